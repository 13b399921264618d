#include "conv.h"

#include "conv_direct.h"
#include "conv_pieces.h"
#include "im2col.h"
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

/// How a convolution is computed, as a whole and in pieces.
struct Passes {
  std::unique_ptr<ConvPass> (*forward)(const ConvSpec&);
  std::unique_ptr<ConvPass> (*backwardData)(const ConvSpec&);
  std::unique_ptr<ConvPass> (*backwardWeights)(const ConvSpec&);
  std::unique_ptr<ActivationInPieces> (*forwardInPieces)(const ConvSpec&);
  std::unique_ptr<ActivationInPieces> (*dataInPieces)(const ConvSpec&);
  std::unique_ptr<WeightsInPieces> (*weightsInPieces)(const ConvSpec&);
  bool (*sumsInPieces)(const ConvSpec&);
  /// Forward, each piece reads them anew.
  int64_t mostWeightsOfPieces;
};

Passes passesOf(const ConvSpec& spec) {
  if (winogradPays(spec))
    return {makeWinogradForward, makeWinogradBackwardData, makeWinogradBackwardWeights, makeWinogradForwardInPieces, makeWinogradDataInPieces,
            makeWinogradWeightsInPieces, winogradSumsInPieces, 9 * 128 * 128};
  const auto backwardWeights = im2colPays(spec) ? makeIm2colBackwardWeights : makeDirectBackwardWeights;
  if (pointwisePays(spec))
    return {makePointwiseForward, makePointwiseBackwardData, backwardWeights, makePointwiseForwardInPieces, makePointwiseDataInPieces,
            makeIm2colWeightsInPieces, im2colSumsInPieces, 128 * 512};
  return {makeDirectForward, makeDirectBackwardData, backwardWeights, makeDirectForwardInPieces, makeDirectDataInPieces,
          makeIm2colWeightsInPieces, im2colSumsInPieces, 128 * 512};
}

/// The op: what it needs in memory and when. How each pass computes is the passes' affair.
class Conv final : public Op {
 public:
  Conv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight, Parameter* bias)
      : Op(node.name), x_(x), y_(y),
        spec_{context, mode, node.name, node.kernel, node.stride, node.padding, node.groups, x, y, weight, bias},
        xPieces_(asPieces(spec_, x)), yPieces_(asPieces(spec_, y)),
        pieceSpec_{context, mode, node.name, node.kernel, node.stride, node.padding, node.groups, xPieces_, yPieces_, weight, bias} {
    y.prefersPieces = mode == Mode::Training && passes_.sumsInPieces(pieceSpec_);
  }

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
    if (y_.pieceReader && forwardPiecesPay()) {
      y_.readInPieces = true;
      forward_ = std::make_unique<PassInPieces>(pieceSpec_, false, passes_.forwardInPieces(pieceSpec_), y_.pieceReader);
    } else {
      forward_ = passes_.forward(spec_);
    }
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
      backwardData_ = passes_.backwardData(spec_);
      backwardData_->plan(plan);
    }
    backwardWeights_ = passes_.backwardWeights(spec_);
    backwardWeights_->plan(plan);
  }

  void bind() override {
    forward_->bind(x_.data, y_.data);
    if (backwardData_) backwardData_->bind(dy_, dx_);
    if (backwardWeights_) backwardWeights_->bind(x_.data, dy_);
    if (backwardPieces_) backwardPieces_->bind(x_.data, dx_);
  }

  void forward() override { forward_->execute(); }

  void backward() override {
    if (backwardPieces_) return backwardPieces_->execute();
    if (backwardData_) backwardData_->execute();
    backwardWeights_->execute();
  }

 private:
  /// Where the whole output would not lie in a cache either, and the weights are few.
  bool forwardPiecesPay() const {
    constexpr size_t kCacheBytes = 8 << 20;
    return y_.bytes() > kCacheBytes && spec_.weight.elements <= passes_.mostWeightsOfPieces;
  }

  void planPieces(MemoryPlan& plan) {
    auto data = dx_ ? passes_.dataInPieces(pieceSpec_) : nullptr;
    backwardPieces_ = std::make_unique<BackwardInPieces>(pieceSpec_, *y_.pieces, std::move(data), passes_.weightsInPieces(pieceSpec_));
    backwardPieces_->plan(plan);
  }

  Value& x_;
  Value& y_;
  const ConvSpec spec_;
  const Value xPieces_, yPieces_;
  const ConvSpec pieceSpec_;
  const Passes passes_ = passesOf(spec_);
  Buffer *dy_ = nullptr, *dx_ = nullptr;
  std::unique_ptr<ConvPass> forward_;
  // Either, once planned.
  std::unique_ptr<ConvPass> backwardData_, backwardWeights_;
  std::unique_ptr<BackwardInPieces> backwardPieces_;
};

}  // namespace

std::unique_ptr<Op> makeConv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight,
                             Parameter* bias) {
  return std::make_unique<Conv>(context, mode, node, x, y, weight, bias);
}

}  // namespace residual
