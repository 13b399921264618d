#include "add.h"

#include "kernels.h"
#include "parallel.h"

namespace residual {
namespace {

class Add final : public Op {
 public:
  Add(const Context& context, const std::string& name, Value& a, Value* b, bool relu, Value& y)
      : Op(name), threads_(context.threads), a_(a), b_(b), relu_(relu), y_(y) {}

  int gradientSummands() const override { return 2; }

  void planForward(MemoryPlan& plan) override {
    plan.use(a_.data);
    if (b_) plan.use(b_->data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    dy_ = takeGradient(plan, y_);
    if (relu_) plan.use(y_.data);
    if (relu_ || dy_.second) g_ = reuseGradient(plan, dy_, y_);
    Buffer* const passed = g_ ? g_ : dy_.first;
    giveGradient(a_, passed);
    if (b_) giveGradient(*b_, passed);
  }

  void forward() override {
    const AddArguments arguments{y_.type, a_.data->data, b_ ? b_->data->data : nullptr, y_.data->data, relu_};
    overElements(threads_, y_.elements(), [&](Range range) { kernels().add(arguments, range); });
  }

  void backward() override {
    if (!g_) return;
    const ReluGradientArguments arguments{y_.type, relu_ ? y_.data->data : nullptr, dy_.first->data,
                                          dy_.second ? dy_.second->data : nullptr, g_->data};
    overElements(threads_, y_.elements(), [&](Range range) { kernels().reluGradient(arguments, range); });
  }

 private:
  const int threads_;
  Value& a_;
  Value* const b_;
  const bool relu_;
  Value& y_;
  Gradient dy_;
  Buffer* g_ = nullptr;
};

class GradientSum final : public Op {
 public:
  GradientSum(const Context& context, const std::string& name, Value& value, size_t limit)
      : Op(name), threads_(context.threads), value_(value), limit_(limit) {}

  void planForward(MemoryPlan&) override {}

  void planBackward(MemoryPlan& plan) override {
    while (value_.gradients.size() > limit_) {
      Value pair = value_;
      pair.gradients.assign(value_.gradients.end() - 2, value_.gradients.end());
      value_.gradients.resize(value_.gradients.size() - 2);
      const Gradient summands = takeGradient(plan, pair);
      Buffer* const sum = reuseGradient(plan, summands, value_);
      sums_.push_back({summands, sum});
      giveGradient(value_, sum);
    }
  }

  void forward() override {}

  void backward() override {
    for (const auto& [summands, sum] : sums_) {
      const ReluGradientArguments arguments{value_.type, nullptr, summands.first->data, summands.second->data, sum->data};
      overElements(threads_, value_.elements(), [&](Range range) { kernels().reluGradient(arguments, range); });
    }
  }

 private:
  struct Sum {
    Gradient summands;
    Buffer* result;
  };

  const int threads_;
  Value& value_;
  const size_t limit_;
  std::vector<Sum> sums_;
};

}  // namespace

std::unique_ptr<Op> makeAdd(const Context& context, const std::string& name, Value& a, Value* b, bool relu, Value& y) {
  return std::make_unique<Add>(context, name, a, b, relu, y);
}

std::unique_ptr<Op> makeGradientSum(const Context& context, const std::string& name, Value& value, size_t limit) {
  return std::make_unique<GradientSum>(context, name, value, limit);
}

}  // namespace residual
