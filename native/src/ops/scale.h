// y = a * b, a (N, C, H, W) and b (N, C, 1, 1): the gate of squeeze and excitation.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// a, b and y are of one element type.
std::unique_ptr<Op> makeScale(const Context& context, const Node& node, Value& a, Value& b, Value& y);

}  // namespace residual
