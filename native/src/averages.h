// Exponential moving averages of all tensors of a network, trained ones and running statistics, in float32: after each
// update, average += (1 - d) * (tensor - average) with d = min(decay, (1 + n) / (10 + n)), n the updates so far, which is
// TensorFlow's tf.train.ExponentialMovingAverage with num_updates = n: early averages are not held by the initial weights.
#pragma once
#include "parameters.h"

namespace residual {

class Averages {
 public:
  /// Begin as the tensors `of` the network are, which outlive them. `decay` in (0, 1).
  Averages(const Graph& graph, const Parameters& of, double decay, int threads);

  /// @param updates so far, the one just made included
  void follow(int64_t updates);

  /// For a network that evaluates.
  Parameters& parameters() { return averages_; }
  const Parameters& parameters() const { return averages_; }

 private:
  const double decay_;
  const int threads_;
  Parameters averages_;
  const std::vector<Parameter*> from_, to_;  // in the same order
  int64_t elements_ = 0;
};

}  // namespace residual
