// y = 1 / (1 + exp(-x))
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

std::unique_ptr<Op> makeSigmoid(const Context& context, const Node& node, Value& x, Value& y);

}  // namespace residual
