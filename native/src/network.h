// A graph made executable for one batch size and one mode: ops in order, their memory planned. Weights belong to the
// session (`Parameters`), the arena too; a network only holds what oneDNN made for its shapes.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph.h"
#include "ops/context.h"
#include "ops/drop.h"
#include "ops/image.h"
#include "ops/memory_plan.h"
#include "ops/op.h"
#include "ops/softmax.h"
#include "ops/value.h"
#include "parameters.h"

namespace residual {

struct NetworkOptions {
  Mode mode;
  int64_t batch;
  /// Of activations; the head (global average pool behind which only linear layers come, logits) is float32.
  DataType type;
  double labelSmoothing;
};

class Network {
 public:
  /// All but `options` outlive the network.
  /// @throws std::invalid_argument where the graph contradicts itself or has a node that this engine cannot compute.
  Network(const Context& context, const Graph& graph, Parameters& parameters, const DropState& drops,
          NetworkOptions options);
  ~Network();

  size_t arenaBytes() const { return arenaBytes_; }
  /// `arena`: `arenaBytes()` bytes that hold nothing between two calls of the network; may be bound anew.
  void bind(std::byte* arena);

  /// `images`: NHWC float32.
  void forward(const float* images);
  /// (N, K) after `forward`.
  const float* logits() const;
  /// Loss of the last `forward`, and every parameter's gradient. Training only.
  LossResult backward(const Targets& targets);

 private:
  class Builder;
  void planPasses();

  const Context& context_;
  const DropState& drops_;
  const NetworkOptions options_;
  std::map<std::string, std::unique_ptr<Value>> values_;
  Image* image_ = nullptr;
  Value* logits_ = nullptr;
  std::vector<std::unique_ptr<Op>> ops_;
  /// What each op of `ops_` writes.
  std::vector<Value*> outputs_;
  std::vector<std::unique_ptr<Op>> gradientSums_;
  std::vector<Op*> backward_;
  std::unique_ptr<SoftmaxCrossEntropy> loss_;
  MemoryPlan plan_;
  size_t arenaBytes_ = 0;
};

/// Bytes that a pass holds at once at the least, without asking oneDNN: refuses absurd batches before anything is built.
double leastActivationBytes(const Graph& graph, const NetworkOptions& options);

}  // namespace residual
