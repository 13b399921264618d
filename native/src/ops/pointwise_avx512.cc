// The kernel of pointwise_kernels.h for AVX-512. Only `pointwiseKernel` may choose it, after it has asked the CPU.
#include <algorithm>

#include "pointwise_kernels.h"

namespace residual {
namespace {

/// Rows of a register block: with four vectors of columns, 24 of the 32 registers are sums, and five more what is multiplied.
constexpr int64_t kTile = 6;

/// Of the source at a time: so many that a panel of weights is worth its way into the cache of the first level, and all of
/// them stay in that of the second.
int64_t blockRows(int64_t depth) {
  constexpr int64_t kBytes = 512 << 10, kMost = 40;
  return kTile * std::clamp<int64_t>(kBytes / (kTile * depth * static_cast<int64_t>(sizeof(float))), 2, kMost);
}

/// An odd number of lines, where rows of powers of two would fall into the same few sets of a cache.
int64_t scratchRow(int64_t depth) { return depth + (depth % 32 == 0 ? 16 : 0); }

}  // namespace

int64_t pointwiseScratchFloats(int64_t depth) { return blockRows(depth) * scratchRow(depth); }

}  // namespace residual

#ifdef __x86_64__
#include <immintrin.h>

// Intrinsics leave unmasked lanes undefined on purpose; GCC 12 warns of it (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#define RESIDUAL_AVX512

namespace residual::kernels_avx512 {
namespace {

#include "vectors.inl"

void widen(const bfloat16* source, int64_t rows, int64_t depth, float* scratch) {
  for (int64_t row = 0; row < rows; ++row, scratch += scratchRow(depth) - depth)
    for (int64_t d = 0; d < depth; d += kLanes, source += kLanes, scratch += kLanes) {
      fetchAhead(source);
      store(scratch, load(source));
    }
}

/// `kRows` rows and `kVectors` times 16 columns, in registers.
template <int kRows, int kVectors>
__attribute__((noinline)) void multiplyTile(const float* a, int64_t aStride, const float* panel, int64_t depth, const float* bias,
                                            bfloat16* result, int64_t resultStride) {
  // Its lines are on their way meanwhile.
#pragma GCC unroll 1
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; v += 2) _mm_prefetch(reinterpret_cast<const char*>(result + r * resultStride + v * kLanes), _MM_HINT_T0);
  Floats sums[kRows][kVectors] = {};
  for (int64_t d = 0; d < depth; ++d, panel += kVectors * kLanes) {
    Floats columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = load(panel + v * kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m512 value = _mm512_set1_ps(a[r * aStride + d]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = (Floats)_mm512_fmadd_ps(value, (__m512)columns[v], (__m512)sums[r][v]);
    }
  }
  Floats more[kVectors] = {};
  if (bias)
    for (int v = 0; v < kVectors; ++v) more[v] = load(bias + v * kLanes);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r, result = notHoisted(result + resultStride))
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(result + v * kLanes, sums[r][v] + more[v]);
}

using Multiply = void (*)(const float*, int64_t, const float*, int64_t, const float*, bfloat16*, int64_t);

/// By the number of rows, from one on, and of vectors.
template <int kVectors>
constexpr Multiply kByRows[kTile] = {multiplyTile<1, kVectors>, multiplyTile<2, kVectors>, multiplyTile<3, kVectors>,
                                     multiplyTile<4, kVectors>, multiplyTile<5, kVectors>, multiplyTile<6, kVectors>};
constexpr const Multiply* kMultiply[kPointwisePanel / kLanes] = {kByRows<1>, kByRows<2>, kByRows<3>, kByRows<4>};

}  // namespace

void multiplyPointwise(const PointwiseArguments& a) {
  const int64_t most = blockRows(a.depth), row = scratchRow(a.depth);
  for (int64_t first = 0; first < a.rows; first += most) {
    const int64_t rows = std::min(most, a.rows - first);
    widen(a.source + first * a.depth, rows, a.depth, a.scratch);
    for (int64_t column = 0; column < a.columns; column += kPointwisePanel) {
      const Multiply* const multiply = kMultiply[std::min(kPointwisePanel, a.columns - column) / kLanes - 1];
      for (int64_t r = 0; r < rows; r += kTile)
        multiply[std::min(kTile, rows - r) - 1](a.scratch + r * row, row, a.weights + column * a.depth, a.depth,
                                                a.bias ? a.bias + column : nullptr,
                                                a.destination + (first + r) * a.columns + column, a.columns);
    }
  }
}

}  // namespace residual::kernels_avx512
#endif
