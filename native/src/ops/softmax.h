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
  /// Images whose largest logit (the first of equals) is at their label: of two, that of the larger share.
  int64_t correct;
};

/// What each image should be taken for.
struct Targets {
  /// `labels`: N values in [0, K). Of mixed images, `others` are the labels mixed in, likewise, and `shares` what the
  /// first labels keep, N values in [0, 1].
  Targets(const int32_t* labels, const int32_t* others = nullptr, const float* shares = nullptr)
      : labels(labels), others(others ? others : labels), shares(others ? shares : nullptr) {}
  const int32_t* labels;
  const int32_t* others;
  const float* shares;
};

class SoftmaxCrossEntropy {
 public:
  /// `logits` (N, K) float32; `labelSmoothing` in [0, 1).
  SoftmaxCrossEntropy(const Context& context, Value& logits, double labelSmoothing);

  /// Gives `logits` its gradient.
  void plan(MemoryPlan& plan);
  LossResult run(const Targets& targets);

 private:
  LossResult runImage(int64_t image, int32_t label, int32_t other, double share);

  const int threads_;
  Value& logits_;
  const double labelSmoothing_;
  std::vector<LossResult> results_;  // (N)
  Buffer* gradient_ = nullptr;
};

}  // namespace residual
