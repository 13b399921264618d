#include "matmul_rate.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

#include "context.h"
#include "onednn.h"

namespace residual {
namespace {

/// 256 KiB a matrix in float32: all three stay in the second-level cache, and memory has no part in it.
constexpr int64_t kSmallSide = 256;

bool compare() {
  if (!hasNativeBFloat16()) return false;
  if (hasMatrixTiles()) return true;
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const bool faster = matmulRate(DataType::BFloat16, kSmallSide) > matmulRate(DataType::Float32, kSmallSide);
  omp_set_num_threads(threads);
  return faster;
}

}  // namespace

double matmulRate(DataType type, int64_t side) {
  using dnnl::memory;
  using Clock = std::chrono::steady_clock;
  OneDnn onednn;
  const memory::desc plain({side, side}, dnnlType(type), memory::format_tag::ab);
  const memory::desc any({side, side}, dnnlType(type), memory::format_tag::any);
  const auto description = RESIDUAL_DESCRIBE(dnnl::matmul, onednn.engine, dnnl::primitive_attr(), plain, any, plain);
  const memory source(description.src_desc(), onednn.engine), weights(description.weights_desc(), onednn.engine),
      result(description.dst_desc(), onednn.engine);
  std::memset(source.get_data_handle(), 0, description.src_desc().get_size());
  std::memset(weights.get_data_handle(), 0, description.weights_desc().get_size());
  const dnnl::matmul product(description);
  double best = std::numeric_limits<double>::infinity();
  for (int time = 0; time < 10; ++time) {
    const auto start = Clock::now();
    product.execute(onednn.stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, result}});
    onednn.stream.wait();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return 2.0 * side * side * side / best;
}

bool bfloat16IsFaster() {
  static const bool faster = compare();
  return faster;
}

}  // namespace residual
