// A network in training: its tensors, its optimizer, and an executable network for each batch size that comes along.
// Every method must be called on the thread that made the trainer, one at a time: OpenMP keeps one team for each thread.
#pragma once
#include <list>
#include <memory>
#include <optional>

#include "averages.h"
#include "graph.h"
#include "memory.h"
#include "network.h"
#include "ops/context.h"
#include "optimizer.h"
#include "parameters.h"

namespace residual {

struct TrainerOptions {
  int64_t batchSize = 1;
  DataType type = DataType::Float32;
  OptimizerOptions optimizer;
  double labelSmoothing = 0;
  int threads = 1;
  /// Of the drop masks.
  uint32_t seed = 0;
  /// Of the averages of all tensors, which then evaluate; 0: none.
  double emaDecay = 0;
};

class Trainer {
 public:
  /// Plans a training step and an evaluation of `batchSize` images and takes the memory for both.
  /// @throws MemoryError, std::invalid_argument (graph or tensors), std::runtime_error (this CPU cannot)
  Trainer(Graph graph, TensorMap initial, TrainerOptions options);
  ~Trainer();

  /// `images`: `size` x H x W x C; `targets`: of `size` images; 1 <= size <= batchSize.
  LossResult step(const float* images, const Targets& targets, int64_t size, double learningRate);
  /// By the averages where there are some. `logits`: room for `size` x K.
  void evaluate(const float* images, int64_t size, float* logits);

  TensorMap tensors() const { return parameters_.values(); }
  /// Empty without `emaDecay`.
  TensorMap averages() const { return averages_ ? averages_->parameters().values() : TensorMap{}; }
  TensorMap gradients() const { return parameters_.gradients(); }
  TensorMap optimizerState() const { return optimizer_.state(); }
  /// All or nothing; `averages` are read with `emaDecay` only. @throws std::invalid_argument
  void restore(const TensorMap& tensors, const TensorMap& optimizerState, const TensorMap& averages = {});

  const Graph& graph() const { return graph_; }
  int64_t batchSize() const { return options_.batchSize; }
  /// Of tensors, gradients, averages, optimizer and arena.
  double plannedBytes() const;

 private:
  /// The network for `size` images, made and bound when it is not there yet.
  Network& network(Mode mode, int64_t size);

  struct Planned {
    Mode mode;
    int64_t size;
    std::unique_ptr<Network> network;
  };

  const Graph graph_;
  const TrainerOptions options_;
  const Context context_;
  Parameters parameters_;
  Optimizer optimizer_;
  std::optional<Averages> averages_;
  DropState drops_;
  Arena arena_;
  std::list<Planned> networks_;  // the last used first
};

}  // namespace residual
