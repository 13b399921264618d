// One of a convolution's three passes by some algorithm; conv.cc chooses which. Planned in the step of its op that runs it,
// after what it reads and writes is.
#pragma once
#include <string>

#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

/// A convolution as its passes see it; `bias` may be null. The values' data and the parameters' tensors are there at `bind`.
struct ConvSpec {
  const Context& context;
  const Mode mode;
  const std::string name;
  /// The same in both directions.
  const int64_t kernel, stride, padding, groups;
  const Value& x;
  const Value& y;
  /// (O, I / groups, K, K)
  const Parameter& weight;
  /// (O)
  const Parameter* const bias;
};

/// Of what is multiplied: the activations', or float32 where a CPU multiplies that faster.
inline DataType productType(const ConvSpec& spec) { return spec.context.bfloat16Products ? spec.x.type : DataType::Float32; }

class ConvPass {
 public:
  virtual ~ConvPass() = default;
  virtual void plan(MemoryPlan& plan) = 0;
  /// What the pass reads and writes besides parameters: forward (x, y), backward data (dy, dx), backward weights (x, dy).
  virtual void bind(const Buffer* first, const Buffer* second) = 0;
  virtual void execute() = 0;
};

}  // namespace residual
