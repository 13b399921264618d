#include "bias_gradient.h"

#include <algorithm>

#include "kernels.h"
#include "parallel.h"

namespace residual {

BiasGradient::BiasGradient(const ConvSpec& spec) : spec_(spec), width_(rowWidth(spec.y.channels)), noPivot_(width_) {}

void BiasGradient::plan(MemoryPlan& plan) { sums_ = plan.allocate(2 * width_ * spec_.context.threads * sizeof(double)); }

void BiasGradient::execute(const Buffer& dy) {
  const int threads = spec_.context.threads;
  const int64_t elements = spec_.y.elements(), rows = (elements + width_ - 1) / width_, channels = spec_.y.channels;
  std::fill_n(sums_->as<double>(), 2 * width_ * threads, 0.0);
  parallelFor(threads, [&](int thread) {
    const auto [begin, end] = share(rows, threads, thread);
    double* const sum = sums_->as<double>() + 2 * width_ * thread;
    kernels().moments({spec_.y.type, dy.data, width_, noPivot_.data(), sum, sum + width_},
                      {begin * width_, std::min(end * width_, elements)});
  });
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int thread = 0; thread < threads; ++thread)
      for (int64_t place = c; place < width_; place += channels) sum += sums_->as<double>()[2 * width_ * thread + place];
    spec_.bias->gradient[c] = static_cast<float>(sum);
  }
}

}  // namespace residual
