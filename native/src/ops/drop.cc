#include "drop.h"

#include <cmath>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace residual {
namespace {

/// Passes its input on.
class Identity final : public Op {
 public:
  Identity(const std::string& name, Value& x, Value& y) : Op(name), x_(x), y_(y) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = x_.data;
  }
  void planBackward(MemoryPlan& plan) override { giveGradient(x_, takeGradient(plan, y_).first); }
  void forward() override {}
  void backward() override {}

 private:
  Value& x_;
  Value& y_;
};

/// Of a node's masks: everything but the element and the step.
struct Drop {
  const DropState& drops;
  uint32_t node;
  double rate;

  DropArguments arguments(DataType type, const void* x, void* y) const {
    // u < rate where the word is less than rate * 2^32, a product without rounding.
    const auto lastDropped = static_cast<uint32_t>(std::ceil(std::ldexp(rate, 32)) - 1);
    return {type, {drops.seed, drops.step, node}, lastDropped, static_cast<float>(1 / (1 - rate)), x, y};
  }
};

/// The gradient takes the way of the values, so backward is forward over it; where it can, in place.
class DropOp : public Op {
 public:
  DropOp(const Context& context, const Node& node, const Drop& drop, Value& x, Value& y)
      : Op(node.name), threads_(context.threads), drop_(drop), x_(x), y_(y) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    const Gradient dy = takeGradient(plan, y_);
    dy_ = dy.first;
    dx_ = reuseGradient(plan, dy, x_);
    giveGradient(x_, dx_);
  }

 protected:
  const int threads_;
  const Drop drop_;
  Value& x_;
  Value& y_;
  Buffer *dy_ = nullptr, *dx_ = nullptr;
};

class Dropout final : public DropOp {
 public:
  using DropOp::DropOp;
  void forward() override { pass(x_.data, y_.data); }
  void backward() override { pass(dy_, dx_); }

 private:
  void pass(const Buffer* from, Buffer* to) const {
    const DropArguments arguments = drop_.arguments(x_.type, from->data, to->data);
    overElements(threads_, x_.elements(), [&](Range range) { kernels().drop(arguments, range); });
  }
};

class DropPath final : public DropOp {
 public:
  DropPath(const Context& context, const Node& node, const Drop& drop, Value& x, Value& y)
      : DropOp(context, node, drop, x, y), width_(rowWidth(1)), ones_(x.batch, 1.0f), factors_(x.batch), zeros_(width_),
        rows_(threads_ * width_) {}

  void forward() override {
    kernels().drop(drop_.arguments(DataType::Float32, ones_.data(), factors_.data()), {0, x_.batch});
    pass(x_.data, y_.data);
  }
  void backward() override { pass(dy_, dx_); }

 private:
  /// Each image by its factor.
  void pass(const Buffer* from, Buffer* to) {
    const int64_t elements = x_.imageElements();
    parallelFor(threads_, [&](int part) {
      float* const row = rows_.data() + part * width_;
      const NormaliseArguments arguments{x_.type, from->data, nullptr, to->data, width_, row, zeros_.data(), false};
      const auto [begin, end] = share(x_.batch, threads_, part);
      for (int64_t image = begin; image < end; ++image) {
        std::fill_n(row, width_, factors_[image]);
        kernels().normalise(arguments, {image * elements, (image + 1) * elements});
      }
    });
  }

  const int64_t width_;
  const std::vector<float> ones_;
  std::vector<float> factors_;
  const std::vector<float> zeros_;
  std::vector<float> rows_;
};

}  // namespace

std::unique_ptr<Op> makeDrop(const Context& context, Mode mode, const Node& node, uint32_t position, const DropState& drops,
                             Value& x, Value& y) {
  if (mode == Mode::Evaluation || node.rate == 0) return std::make_unique<Identity>(node.name, x, y);
  const Drop drop{drops, position, node.rate};
  if (node.kind == "dropPath") return std::make_unique<DropPath>(context, node, drop, x, y);
  return std::make_unique<Dropout>(context, node, drop, x, y);
}

}  // namespace residual
