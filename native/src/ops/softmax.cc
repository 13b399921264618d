#include "softmax.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace residual {

SoftmaxCrossEntropy::SoftmaxCrossEntropy(const Context& context, Value& logits, double labelSmoothing)
    : threads_(context.threads), logits_(logits), labelSmoothing_(labelSmoothing), results_(logits.batch) {}

void SoftmaxCrossEntropy::plan(MemoryPlan& plan) {
  plan.use(logits_.data);
  gradient_ = plan.allocate(logits_.bytes());
  giveGradient(logits_, gradient_);
}

LossResult SoftmaxCrossEntropy::run(const Targets& targets) {
  parallelFor(threads_, [&](int part) {
    const auto [begin, end] = share(logits_.batch, threads_, part);
    for (int64_t image = begin; image < end; ++image)
      results_[image] = runImage(image, targets.labels[image], targets.others[image], targets.shares ? targets.shares[image] : 1);
  });
  LossResult total{0, 0};
  for (const LossResult& result : results_) {
    total.loss += result.loss;
    total.correct += result.correct;
  }
  return {total.loss / static_cast<double>(logits_.batch), total.correct};
}

LossResult SoftmaxCrossEntropy::runImage(int64_t image, int32_t label, int32_t other, double share) {
  const int64_t classes = logits_.channels;
  const float* logits = logits_.data->as<float>() + image * classes;
  float* gradient = gradient_->as<float>() + image * classes;
  const float* largest = std::max_element(logits, logits + classes);
  double sum = 0, sumOfLogits = 0;
  for (int64_t k = 0; k < classes; ++k) {
    gradient[k] = std::exp(logits[k] - *largest);
    sum += gradient[k];
    sumOfLogits += logits[k] - *largest;
  }
  // target = (1 - s) * (share * onehot + (1 - share) * other's onehot) + s / K; loss = -sum(target * log(softmax));
  // gradient = softmax - target.
  const double spread = labelSmoothing_ / static_cast<double>(classes), logSum = std::log(sum);
  const double hit = share * (logits[label] - *largest) + (1 - share) * (logits[other] - *largest);
  const double loss = logSum - (1 - labelSmoothing_) * hit - spread * sumOfLogits;
  const auto batch = static_cast<double>(logits_.batch);
  for (int64_t k = 0; k < classes; ++k) {
    const double onehot = (k == label ? share : 0) + (k == other ? 1 - share : 0);
    const double target = spread + (1 - labelSmoothing_) * onehot;
    gradient[k] = static_cast<float>((gradient[k] / sum - target) / batch);
  }
  return {loss, largest - logits == (share >= 0.5 ? label : other) ? 1 : 0};
}

}  // namespace residual
