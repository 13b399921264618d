#include "averages.h"

#include <algorithm>

#include "ops/parallel.h"

namespace residual {

Averages::Averages(const Graph& graph, const Parameters& of, double decay, int threads)
    : decay_(decay), threads_(threads), averages_(graph, false), from_(of.all()), to_(averages_.all()) {
  averages_.load(of.values());
  for (const Parameter* parameter : from_) elements_ += parameter->elements;
}

void Averages::follow(int64_t updates) {
  const auto n = static_cast<double>(updates);
  const auto part = static_cast<float>(1 - std::min(decay_, (1 + n) / (10 + n)));
  parallelFor(threads_, [&](int thread) {
    auto [begin, end] = share(elements_, threads_, thread);
    for (size_t tensor = 0; tensor < from_.size(); ++tensor) {
      const int64_t size = from_[tensor]->elements;
      const float* __restrict__ values = from_[tensor]->value;
      float* __restrict__ averages = to_[tensor]->value;
      for (int64_t i = std::max<int64_t>(begin, 0); i < std::min(end, size); ++i) averages[i] += part * (values[i] - averages[i]);
      begin -= size;
      end -= size;
    }
  });
}

}  // namespace residual
