// y = relu(a + b), y = a + b, and y = relu(a): the elementwise ops that no batch norm takes into its own pass.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// `b` is null for a plain ReLU.
std::unique_ptr<Op> makeAdd(const Context& context, const std::string& name, Value& a, Value* b, bool relu, Value& y);

/// Adds up gradients of `value` until `limit` summands are left; planned just before the op that takes them.
std::unique_ptr<Op> makeGradientSum(const Context& context, const std::string& name, Value& value, size_t limit);

}  // namespace residual
