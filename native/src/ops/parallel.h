// Work divided by the configured number of threads, whatever number OpenMP grants, so that results depend on it alone.
#pragma once
#include <omp.h>

#include <cstdint>
#include <utility>

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

}  // namespace residual
