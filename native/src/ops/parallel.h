// Work divided by the configured number of threads, whatever number OpenMP grants, so that results depend on it alone.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "kernels.h"

namespace residual {

/// Calls `work(part)` for each of `parts` parts, in parallel.
template <class Work>
void parallelFor(int parts, Work work) {
  if (parts == 1) return work(0);
#pragma omp parallel for schedule(static, 1) num_threads(parts)
  for (int part = 0; part < parts; ++part) work(part);
}

/// [begin, end) of `part` when `units` are divided evenly.
inline std::pair<int64_t, int64_t> share(int64_t units, int parts, int part) {
  return {units * part / parts, units * (part + 1) / parts};
}

/// Splits `elements` into ranges for each thread that begin at a multiple of 1024.
template <class Work>
void overElements(int threads, int64_t elements, Work work) {
  constexpr int64_t kGrain = 1024;
  const int64_t grains = (elements + kGrain - 1) / kGrain;
  parallelFor(threads, [&](int part) {
    const auto [begin, end] = share(grains, threads, part);
    work(Range{begin * kGrain, std::min(end * kGrain, elements)});
  });
}

}  // namespace residual
