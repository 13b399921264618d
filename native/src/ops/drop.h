// dropout (single values) and dropPath (an image's whole branch): x / (1 - rate), or zero with probability `rate`; in
// evaluation x itself.
//
// A mask is a function of (seed, step, node, element) and stored nowhere: backward draws it again. Element e (an image for
// dropPath, a place in the NHWC batch for dropout) is dropped where u < rate, u = w / 2^32, w the word e mod 4 of the
// Philox4x32-10 block with counter (e / 4, step, node's position in the graph, 0) and key (seed, STREAM.drop). This is
// `new CounterRandom(seed, STREAM.drop, step, position)` of src/domain/seed.ts, which the TensorFlow.js engine draws from.
#pragma once
#include <memory>

#include "../graph.h"
#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// What the masks of all ops are drawn from; `step`, the number of updates so far, is set before each step.
struct DropState {
  uint32_t seed = 0;
  uint32_t step = 0;
};

/// `position`: of the node in the graph. `drops` outlives the op.
std::unique_ptr<Op> makeDrop(const Context& context, Mode mode, const Node& node, uint32_t position, const DropState& drops,
                             Value& x, Value& y);

}  // namespace residual
