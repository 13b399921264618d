#include "sigmoid.h"

#include <cmath>

#include "kernels.h"
#include "parallel.h"

namespace residual {
namespace {

/// Elements that are computed at once, in float32.
constexpr int64_t kChunk = 256;

class Sigmoid final : public Op {
 public:
  Sigmoid(const Context& context, const Node& node, Value& x, Value& y)
      : Op(node.name), threads_(context.threads), x_(x), y_(y) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    const Gradient dy = takeGradient(plan, y_);
    dy_ = dy.first;
    plan.use(y_.data);
    dx_ = reuseGradient(plan, dy, x_);
    giveGradient(x_, dx_);
  }

  void forward() override {
    overChunks([&](int64_t first, int64_t count) {
      float values[kChunk];
      load(x_.data, first, count, values);
      for (int64_t i = 0; i < count; ++i) values[i] = 1 / (1 + std::exp(-values[i]));
      store(values, y_.data, first, count);
    });
  }

  void backward() override {
    overChunks([&](int64_t first, int64_t count) {
      float values[kChunk], gradients[kChunk];
      load(y_.data, first, count, values);
      load(dy_, first, count, gradients);
      for (int64_t i = 0; i < count; ++i) gradients[i] *= values[i] * (1 - values[i]);
      store(gradients, dx_, first, count);
    });
  }

 private:
  template <class Work>
  void overChunks(Work work) const {
    overElements(threads_, x_.elements(), [&](Range range) {
      for (int64_t first = range.begin; first < range.end; first += kChunk) work(first, std::min(kChunk, range.end - first));
    });
  }

  void load(const Buffer* source, int64_t first, int64_t count, float* values) const {
    kernels().convert({x_.type, DataType::Float32, source->data + first * sizeOf(x_.type), values}, {0, count});
  }
  void store(const float* values, Buffer* destination, int64_t first, int64_t count) const {
    kernels().convert({DataType::Float32, x_.type, values, destination->data + first * sizeOf(x_.type)}, {0, count});
  }

  const int threads_;
  Value& x_;
  Value& y_;
  Buffer *dy_ = nullptr, *dx_ = nullptr;
};

}  // namespace

std::unique_ptr<Op> makeSigmoid(const Context& context, const Node& node, Value& x, Value& y) {
  return std::make_unique<Sigmoid>(context, node, x, y);
}

}  // namespace residual
