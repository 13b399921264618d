// Pooling: windows (max, average without the padding) and the mean over the whole image.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// `node.kind` is `maxPool` or `averagePool`. A last window may reach past the padding (ceil mode): y's shape decides.
std::unique_ptr<Op> makePool(const Context& context, Mode mode, const Node& node, Value& x, Value& y);

/// y (N, C, 1, 1) may be float32 where x is bfloat16.
std::unique_ptr<Op> makeGlobalAveragePool(const Context& context, const Node& node, Value& x, Value& y);

}  // namespace residual
