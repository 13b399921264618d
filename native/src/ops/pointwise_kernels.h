// The inner loops of a 1x1 convolution's weight gradient: see pointwise.h for what it is. One source
// (pointwise_kernels.inl) compiled for AVX-512 with and without bfloat16 arithmetic.
#pragma once
#include <cstdint>

#include "data_type.h"

namespace residual {

/// Inputs are taken in panels of so many channels.
constexpr int64_t kPointwisePanel = 32;

/// gradient[o][i] = or += sum over pixels of dy[pixel][o] * x[pixel][i], for some o and i. The sum's order depends on nothing else.
struct PointwiseGradientArguments {
  DataType type;
  int64_t pixels;  // of dy
  const void* x;   // rows of I
  /// For each pixel of dy the pixel of x that it was made of; null where that is the same one.
  const int64_t* xPixels;
  const void* dy;   // rows of O
  float* gradient;  // (O, I)
  bool accumulate;
  int64_t inputs, outputs;
  int64_t firstInput, endInput;  // multiples of kPointwisePanel
  int64_t firstOutput, endOutput;
  /// `pointwiseScratchWords` of them, 64-byte aligned.
  uint32_t* scratch;
};

/// What a call with so many outputs of its own needs.
int64_t pointwiseScratchWords(int64_t outputs);

struct PointwiseKernels {
  void (*weightGradient)(const PointwiseGradientArguments&);
};

/// Null where there are none for this element type on this CPU.
const PointwiseKernels* pointwiseKernels(DataType type);

}  // namespace residual
