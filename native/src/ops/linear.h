// Fully connected layer over the flattened (C, H, W) input, always in float32: it is small, and the logits are exact.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// `weight` (O, C * H * W); `bias` (O) or null; y is float32.
std::unique_ptr<Op> makeLinear(const Context& context, const Node& node, Value& x, Value& y, Parameter& weight,
                               Parameter* bias);

}  // namespace residual
