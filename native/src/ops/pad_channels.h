// He's shortcut A: every `stride`-th pixel, then zero channels behind the input's own.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

std::unique_ptr<Op> makePadChannels(const Context& context, const Node& node, Value& x, Value& y);

}  // namespace residual
