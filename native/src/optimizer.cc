#include "optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/parallel.h"

namespace residual {

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

void Optimizer::step(double learningRate) {
  ++step_;
  parallelFor(threads_, [&](int part) {
    auto [begin, end] = share(elements_, threads_, part);
    for (Slot& slot : slots_) {
      const int64_t size = slot.parameter->elements, from = std::max<int64_t>(begin, 0), to = std::min(end, size);
      if (from < to)
        options_.kind == OptimizerKind::Sgd ? updateSgd(slot, from, to, static_cast<float>(learningRate))
                                            : updateAdam(slot, from, to, learningRate);
      begin -= size;
      end -= size;
    }
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
  TensorMap state{{"step", {static_cast<float>(step_)}}};
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
  const float step = tensorOf(state, "step", 1)[0];
  for (const bool check : {true, false})
    for (Slot& slot : slots_) {
      const std::string& name = slot.parameter->spec.name;
      if (!slot.first.empty()) copy((adam ? "first." : "momentum.") + name, slot.first, check);
      if (adam) copy("second." + name, slot.second, check);
    }
  step_ = static_cast<int64_t>(step);
}

size_t Optimizer::bytes() const {
  size_t bytes = 0;
  for (const Slot& slot : slots_) bytes += (slot.first.size() + slot.second.size()) * sizeof(float);
  return bytes;
}

}  // namespace residual
