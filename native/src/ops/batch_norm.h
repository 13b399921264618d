// Batch normalisation (Ioffe and Szegedy 2015) over (N, H, W), fused with what follows it: y = relu(norm(x) + residual).
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// The four tensors of a batch norm, (C) each.
struct NormParameters {
  Parameter* scale;
  Parameter* shift;
  Parameter* runningMean;
  Parameter* runningVariance;
};

/// `residual` is null where nothing is added. In training, `forward` also moves the running statistics.
std::unique_ptr<Op> makeBatchNorm(const Context& context, Mode mode, const Node& node, Value& x, Value* residual, bool relu,
                                  Value& y, NormParameters parameters);

}  // namespace residual
