#include "conv.h"

#include "conv_direct.h"
#include "pointwise.h"
#include "winograd.h"

namespace residual {
namespace {

/// The op: what it needs in memory and when. How each pass computes is the passes' affair.
class Conv final : public Op {
 public:
  Conv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight, Parameter* bias)
      : Op(node.name), x_(x), y_(y),
        spec_{context, mode, node.name, node.kernel, node.stride, node.padding, node.groups, x, y, weight, bias} {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
    forward_ = winograd_ ? makeWinogradForward(spec_) : makeDirectForward(spec_);
    forward_->plan(plan);
  }

  void planBackward(MemoryPlan& plan) override {
    dy_ = takeGradient(plan, y_).first;
    plan.use(x_.data);
    if (x_.needsGradient) {
      dx_ = plan.allocate(x_.bytes());
      giveGradient(x_, dx_);
      backwardData_ = winograd_ ? makeWinogradBackwardData(spec_) : makeDirectBackwardData(spec_);
      backwardData_->plan(plan);
    }
    backwardWeights_ = makeBackwardWeights();
    backwardWeights_->plan(plan);
  }

  void bind() override {
    forward_->bind(x_.data, y_.data);
    if (backwardData_) backwardData_->bind(dy_, dx_);
    if (backwardWeights_) backwardWeights_->bind(x_.data, dy_);
  }

  void forward() override { forward_->execute(); }

  void backward() override {
    if (backwardData_) backwardData_->execute();
    backwardWeights_->execute();
  }

 private:
  std::unique_ptr<ConvPass> makeBackwardWeights() const {
    if (winograd_) return makeWinogradBackwardWeights(spec_);
    return pointwisePays(spec_) ? makePointwiseBackwardWeights(spec_) : makeDirectBackwardWeights(spec_);
  }

  Value& x_;
  Value& y_;
  const ConvSpec spec_;
  const bool winograd_ = winogradPays(spec_);
  Buffer *dy_ = nullptr, *dx_ = nullptr;
  std::unique_ptr<ConvPass> forward_, backwardData_, backwardWeights_;
};

}  // namespace

std::unique_ptr<Op> makeConv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight,
                             Parameter* bias) {
  return std::make_unique<Conv>(context, mode, node, x, y, weight, bias);
}

}  // namespace residual
