// The inner loops of a 1x1 convolution of bfloat16 activations, multiplied in float32: see pointwise.h.
#pragma once
#include <cstdint>

#include "data_type.h"

namespace residual {

/// Columns of a panel of weights, except for the last, which may have fewer.
constexpr int64_t kPointwisePanel = 64;

/// destination (rows, columns) = source (rows, depth) * weights (depth, columns) + bias. Each sum is taken in the order of the
/// depth, whatever the rest.
struct PointwiseArguments {
  int64_t rows, depth, columns;  // the latter two multiples of 16
  const bfloat16* source;
  /// In panels one after another, each row-major.
  const float* weights;
  const float* bias;  // (columns), or null
  bfloat16* destination;
  /// `pointwiseScratchFloats` of them, 64-byte aligned.
  float* scratch;
};

int64_t pointwiseScratchFloats(int64_t depth);

/// Null where this CPU has no AVX-512.
using PointwiseKernel = void (*)(const PointwiseArguments&);
PointwiseKernel pointwiseKernel();

}  // namespace residual
