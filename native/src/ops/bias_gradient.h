// The gradient of a convolution's bias: the sum of dy over pixels, of each thread's share and then in the threads' order.
#pragma once
#include <vector>

#include "conv_pass.h"

namespace residual {

class BiasGradient {
 public:
  /// `spec` has a bias and outlives this.
  explicit BiasGradient(const ConvSpec& spec);
  void plan(MemoryPlan& plan);
  void execute(const Buffer& dy);

 private:
  const ConvSpec& spec_;
  const int64_t width_;
  /// The pass also sums squares around a pivot, which nobody asks for here.
  const std::vector<float> noPivot_;
  Buffer* sums_ = nullptr;
};

}  // namespace residual
