// Softmax cross-entropy with label smoothing (Szegedy et al. 2016), as torch.nn.functional.cross_entropy computes it.
#pragma once
#include <memory>

#include "context.h"
#include "memory_plan.h"
#include "value.h"

namespace residual {

struct LossResult {
  /// Mean over the batch, natural logarithm.
  double loss;
  /// Images whose largest logit (the first of equals) is at their label.
  int64_t correct;
};

class SoftmaxCrossEntropy {
 public:
  /// `logits` (N, K) float32; `labelSmoothing` in [0, 1).
  SoftmaxCrossEntropy(const Context& context, Value& logits, double labelSmoothing);

  /// Gives `logits` its gradient.
  void plan(MemoryPlan& plan);
  /// `labels`: N values in [0, K).
  LossResult run(const int32_t* labels);

 private:
  LossResult runImage(int64_t image, int32_t label);

  const int threads_;
  Value& logits_;
  const double labelSmoothing_;
  std::vector<LossResult> results_;  // (N)
  Buffer* gradient_ = nullptr;
};

}  // namespace residual
