#include "optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/parallel.h"

namespace residual {
namespace {

double sumOfSquares(const float* values, int64_t size) {
  // Several sums side by side, since one would wait for each of its additions.
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(values[i + lane]) * values[i + lane];
  double sum = 0;
  for (; i < size; ++i) sum += static_cast<double>(values[i]) * values[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

constexpr int kStepBits = 24;  // that a float32 holds exactly

int64_t stepsOf(const TensorMap& state) {
  const auto found = state.find("step");
  const bool old = found != state.end() && found->second.size() == 1;
  const std::vector<float>& parts = tensorOf(state, "step", old ? 1 : 2);
  return static_cast<int64_t>(parts[0]) + (old ? 0 : static_cast<int64_t>(parts[1]) << kStepBits);
}

}  // namespace

Optimizer::Optimizer(OptimizerOptions options, const Parameters& parameters, int threads)
    : options_(options), threads_(threads) {
  const bool adam = options.kind != OptimizerKind::Sgd;
  for (Parameter* parameter : parameters.all()) {
    if (!parameter->gradient) continue;
    const bool decays = parameter->spec.role == TensorRole::Weight;
    Slot slot{parameter, {}, {}, decays ? static_cast<float>(options.weightDecay) : 0.0f};
    if (adam || options.momentum != 0) slot.first.resize(parameter->elements);
    if (adam) slot.second.resize(parameter->elements);
    slots_.push_back(std::move(slot));
    elements_ += parameter->elements;
  }
}

template <class Work>
void Optimizer::overSlots(Work work) {
  parallelFor(threads_, [&](int part) {
    auto [begin, end] = share(elements_, threads_, part);
    for (Slot& slot : slots_) {
      const int64_t size = slot.parameter->elements, from = std::max<int64_t>(begin, 0), to = std::min(end, size);
      if (from < to) work(slot, from, to, part);
      begin -= size;
      end -= size;
    }
  });
}

void Optimizer::step(double learningRate) {
  ++step_;
  if (options_.clipNorm > 0) clip();
  overSlots([&](Slot& slot, int64_t begin, int64_t end, int) {
    options_.kind == OptimizerKind::Sgd ? updateSgd(slot, begin, end, static_cast<float>(learningRate))
                                        : updateAdam(slot, begin, end, learningRate);
  });
}

void Optimizer::clip() {
  std::vector<double> sums(threads_);
  overSlots([&](Slot& slot, int64_t begin, int64_t end, int part) {
    sums[part] += sumOfSquares(slot.parameter->gradient + begin, end - begin);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  // torch's own guard against a norm of 0.
  const auto scale = static_cast<float>(options_.clipNorm / (std::sqrt(sum) + 1e-6));
  if (scale >= 1) return;
  overSlots([&](Slot& slot, int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) slot.parameter->gradient[i] *= scale;
  });
}

void Optimizer::updateSgd(Slot& slot, int64_t begin, int64_t end, float learningRate) const {
  float* __restrict__ weights = slot.parameter->value;
  const float* __restrict__ gradients = slot.parameter->gradient;
  const float decay = slot.weightDecay;
  if (slot.first.empty()) {
    for (int64_t i = begin; i < end; ++i) weights[i] -= learningRate * (gradients[i] + decay * weights[i]);
    return;
  }
  float* __restrict__ buffers = slot.first.data();
  // The first buffer is the first gradient itself, without the momentum that would scale a zero.
  const auto momentum = static_cast<float>(options_.momentum), kept = step_ == 1 ? 0.0f : momentum;
  const float fromGradient = options_.nesterov ? 1.0f : 0.0f, fromBuffer = options_.nesterov ? momentum : 1.0f;
  for (int64_t i = begin; i < end; ++i) {
    const float gradient = gradients[i] + decay * weights[i];
    const float buffer = kept * buffers[i] + gradient;
    buffers[i] = buffer;
    weights[i] -= learningRate * (fromGradient * gradient + fromBuffer * buffer);
  }
}

void Optimizer::updateAdam(Slot& slot, int64_t begin, int64_t end, double learningRate) const {
  float* __restrict__ weights = slot.parameter->value;
  const float* __restrict__ gradients = slot.parameter->gradient;
  float* __restrict__ firsts = slot.first.data();
  float* __restrict__ seconds = slot.second.data();
  const bool decoupled = options_.kind == OptimizerKind::AdamW;
  const auto beta1 = static_cast<float>(options_.beta1), beta2 = static_cast<float>(options_.beta2);
  const auto rest1 = static_cast<float>(1 - options_.beta1), rest2 = static_cast<float>(1 - options_.beta2);
  const double steps = static_cast<double>(step_);
  const auto stepSize = static_cast<float>(learningRate / (1 - std::pow(options_.beta1, steps)));
  const auto unbias = static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, steps)));
  const auto epsilon = static_cast<float>(options_.epsilon);
  const float decay = decoupled ? 0.0f : slot.weightDecay;
  const auto shrink = static_cast<float>(decoupled ? 1 - learningRate * slot.weightDecay : 1);
  for (int64_t i = begin; i < end; ++i) {
    const float weight = weights[i] * shrink;
    const float gradient = gradients[i] + decay * weight;
    firsts[i] = beta1 * firsts[i] + rest1 * gradient;
    seconds[i] = beta2 * seconds[i] + rest2 * gradient * gradient;
    weights[i] = weight - stepSize * firsts[i] / (std::sqrt(seconds[i]) * unbias + epsilon);
  }
}

TensorMap Optimizer::state() const {
  const bool adam = options_.kind != OptimizerKind::Sgd;
  const int64_t low = step_ & ((int64_t{1} << kStepBits) - 1);
  TensorMap state{{"step", {static_cast<float>(low), static_cast<float>(step_ >> kStepBits)}}};
  for (const Slot& slot : slots_) {
    const std::string& name = slot.parameter->spec.name;
    if (!slot.first.empty()) state[(adam ? "first." : "momentum.") + name] = slot.first;
    if (adam) state["second." + name] = slot.second;
  }
  return state;
}

void Optimizer::restore(const TensorMap& state) {
  const bool adam = options_.kind != OptimizerKind::Sgd;
  auto copy = [&](const std::string& name, std::vector<float>& to, bool check) {
    const auto& from = tensorOf(state, name, static_cast<int64_t>(to.size()));
    if (!check) to = from;
  };
  const int64_t steps = stepsOf(state);
  for (const bool check : {true, false})
    for (Slot& slot : slots_) {
      const std::string& name = slot.parameter->spec.name;
      if (!slot.first.empty()) copy((adam ? "first." : "momentum.") + name, slot.first, check);
      if (adam) copy("second." + name, slot.second, check);
    }
  step_ = steps;
}

size_t Optimizer::bytes() const {
  size_t bytes = 0;
  for (const Slot& slot : slots_) bytes += (slot.first.size() + slot.second.size()) * sizeof(float);
  return bytes;
}

}  // namespace residual
