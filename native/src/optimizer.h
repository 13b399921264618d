// SGD with momentum, Adam and AdamW with PyTorch's semantics (torch.optim, 1.13 and later), in float32.
#pragma once
#include <memory>
#include <vector>

#include "parameters.h"

namespace residual {

enum class OptimizerKind { Sgd, Adam, AdamW };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::Sgd;
  double momentum = 0;
  bool nesterov = false;
  /// Of tensors with role `weight` only.
  double weightDecay = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  /// Largest L2 norm of all gradients together, as torch.nn.utils.clip_grad_norm_ has it; 0: none.
  double clipNorm = 0;
};

class Optimizer {
 public:
  /// `parameters` outlives the optimizer; those without a gradient are left alone.
  Optimizer(OptimizerOptions options, const Parameters& parameters, int threads);

  /// Updates every parameter by its gradient, which stays as it is but where it is clipped.
  void step(double learningRate);

  /// Updates so far.
  int64_t steps() const { return step_; }

  /// `step` (two elements: the count modulo 2^24 and its multiples, both exact in float32) and, by tensor name behind a prefix, `momentum.`, or `first.` and `second.` moments.
  TensorMap state() const;
  /// A `step` of one element, as there once was, is taken too.
  /// @throws std::invalid_argument where something is missing or of another length; nothing is changed then.
  void restore(const TensorMap& state);
  size_t bytes() const;

 private:
  struct Slot {
    Parameter* parameter;
    std::vector<float> first, second;  // momentum, or both moments
    float weightDecay;
  };
  /// Scales all gradients down to `clipNorm`.
  void clip();
  /// Calls `work(slot, begin, end, part)` with a part of the elements in each thread.
  template <class Work>
  void overSlots(Work work);
  /// Elements [begin, end) of a slot.
  void updateSgd(Slot& slot, int64_t begin, int64_t end, float learningRate) const;
  void updateAdam(Slot& slot, int64_t begin, int64_t end, double learningRate) const;

  const OptimizerOptions options_;
  const int threads_;
  std::vector<Slot> slots_;
  int64_t elements_ = 0;
  int64_t step_ = 0;
};

}  // namespace residual
