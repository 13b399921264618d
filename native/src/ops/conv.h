// 2-D convolution, zero padding the same on all sides, groups, optional bias.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// `weight` (O, I / groups, K, K); `bias` (O) or null. In training, `backward` fills their gradients.
std::unique_ptr<Op> makeConv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight,
                             Parameter* bias);

}  // namespace residual
