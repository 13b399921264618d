// The inner loops of a convolution's weight gradient as one matrix product: see im2col.h for what it is. One source
// (im2col_kernels.inl) compiled for AVX-512 with and without bfloat16 arithmetic.
#pragma once
#include <cstdint>

#include "data_type.h"

namespace residual {

/// Columns and outputs are taken in panels of so many.
constexpr int64_t kIm2colPanel = 32;

/// Where the patches of x lie that make the pixels of y.
struct PatchGeometry {
  int64_t channels, height, width;  // of x
  int64_t yHeight, yWidth;
  int64_t kernel, stride, padding;

  /// A patch is `kernel` rows of this many elements, which lie one behind the other in NHWC.
  int64_t rowElements() const { return kernel * channels; }
  /// Vectors of 16 columns that one of them takes.
  int64_t rowVectors() const { return (rowElements() + 15) / 16; }
  /// Of a patch as a row of the matrix: whole vectors for each row of it, whole panels together; the rest are zeros.
  int64_t columns() const { return (kernel * rowVectors() * 16 + kIm2colPanel - 1) / kIm2colPanel * kIm2colPanel; }
};

/// sums[o][c] = or += sum over pixels of dy[pixel][o] * patch[pixel][c], for some o and c. The sum's order depends on
/// nothing else.
struct Im2colArguments {
  DataType type;
  DataType productType;  // what both are multiplied as
  PatchGeometry geometry;
  int64_t pixels;  // of y, from the first of an image on
  const void* x;
  const void* dy;  // rows of `outputs`
  float* sums;     // (outputs, geometry.columns())
  bool accumulate;
  int64_t outputs;
  int64_t firstColumn, endColumn;  // multiples of kIm2colPanel
  int64_t firstOutput, endOutput;  // likewise
  /// `im2colScratchWords` of them, 64-byte aligned.
  uint32_t* scratch;
};

/// What a call with so many outputs of its own needs.
int64_t im2colScratchWords(int64_t outputs);

struct Im2colKernels {
  void (*weightGradient)(const Im2colArguments&);
};

/// Null where there are none for this element type on this CPU.
const Im2colKernels* im2colKernels(DataType type);

}  // namespace residual
