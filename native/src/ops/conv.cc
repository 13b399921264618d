#include "conv.h"

#include "conv_direct.h"
#include "conv_pieces.h"
#include "pointwise.h"
#include "winograd.h"

namespace residual {
namespace {

bool isPointwise(const ConvSpec& spec) { return spec.kernel == 1 && spec.stride == 1 && spec.padding == 0; }

/// Of a 1x1 convolution each row is an image as good as any: its pieces can be smaller than an image.
Value asPieces(const ConvSpec& spec, Value value) {
  if (!isPointwise(spec)) return value;
  value.batch *= value.height;
  value.height = 1;
  return value;
}

/// The op: what it needs in memory and when. How each pass computes is the passes' affair.
class Conv final : public Op {
 public:
  Conv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight, Parameter* bias)
      : Op(node.name), x_(x), y_(y),
        spec_{context, mode, node.name, node.kernel, node.stride, node.padding, node.groups, x, y, weight, bias},
        xPieces_(asPieces(spec_, x)), yPieces_(asPieces(spec_, y)),
        pieceSpec_{context, mode, node.name, node.kernel, node.stride, node.padding, node.groups, xPieces_, yPieces_, weight, bias} {
    y.prefersPieces = mode == Mode::Training && (winograd_ ? winogradSumsInPieces(pieceSpec_) : pointwiseSumsInPieces(pieceSpec_));
  }

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
    forward_ = winograd_ ? makeWinogradForward(spec_) : makeDirectForward(spec_);
    forward_->plan(plan);
  }

  void planBackward(MemoryPlan& plan) override {
    plan.use(x_.data);
    if (x_.needsGradient) {
      dx_ = plan.allocate(x_.bytes());
      giveGradient(x_, dx_);
    }
    if (y_.pieces) return planPieces(plan);
    dy_ = takeGradient(plan, y_).first;
    if (dx_) {
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
    if (pieces_) pieces_->bind(x_.data, dx_);
  }

  void forward() override { forward_->execute(); }

  void backward() override {
    if (pieces_) return pieces_->execute();
    if (backwardData_) backwardData_->execute();
    backwardWeights_->execute();
  }

 private:
  void planPieces(MemoryPlan& plan) {
    std::unique_ptr<DataInPieces> data;
    if (dx_) data = winograd_ ? makeWinogradDataInPieces(pieceSpec_) : makeDirectDataInPieces(pieceSpec_);
    auto weights = winograd_ ? makeWinogradWeightsInPieces(pieceSpec_) : makePointwiseWeightsInPieces(pieceSpec_);
    pieces_ = std::make_unique<BackwardInPieces>(pieceSpec_, *y_.pieces, std::move(data), std::move(weights));
    pieces_->plan(plan);
  }

  std::unique_ptr<ConvPass> makeBackwardWeights() const {
    if (winograd_) return makeWinogradBackwardWeights(spec_);
    return pointwisePays(spec_) ? makePointwiseBackwardWeights(spec_) : makeDirectBackwardWeights(spec_);
  }

  Value& x_;
  Value& y_;
  const ConvSpec spec_;
  const Value xPieces_, yPieces_;
  const ConvSpec pieceSpec_;
  const bool winograd_ = winogradPays(spec_);
  Buffer *dy_ = nullptr, *dx_ = nullptr;
  std::unique_ptr<ConvPass> forward_, backwardData_, backwardWeights_;
  std::unique_ptr<BackwardInPieces> pieces_;  // instead of the two before it
};

}  // namespace

std::unique_ptr<Op> makeConv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight,
                             Parameter* bias) {
  return std::make_unique<Conv>(context, mode, node, x, y, weight, bias);
}

}  // namespace residual
