// Elementwise passes over NHWC activations, and the channel sums of batch norm, in explicit vectors of 16 floats. The
// same source is compiled once per instruction set (kernels_*.cc); `kernels()` is the best one for this CPU.
//
// Every range is given in elements, [begin, end), and begins on a row. A row is `width` elements, a multiple of 16 of
// which each stands for one channel: C channels repeated as often as it takes (see `rowWidth`), so that no vector
// straddles two kinds of channel and C need not be a multiple of 16. Per-channel arguments have `width` elements.
#pragma once
#include <cstdint>

#include "data_type.h"

namespace residual {

/// The smallest row of at least 64 elements that holds whole pixels and whole vectors.
int64_t rowWidth(int64_t channels);

struct Range {
  int64_t begin, end;
};

/// sum += x - pivot; sumOfSquares += (x - pivot)^2, per element of a row. The pivot (some pixel) keeps the variance exact
/// when it is small beside the mean.
struct MomentsArguments {
  DataType type;
  const void* x;
  int64_t width;
  const float* pivot;
  double* sum;
  double* sumOfSquares;
};

/// y = x * factor + offset (+ residual), then ReLU where asked.
struct NormaliseArguments {
  DataType type;
  const void* x;
  const void* residual;  // or null
  void* y;
  int64_t width;
  const float* factor;
  const float* offset;
  bool relu;
};

/// What a gradient passes through before it reaches the normalisation.
enum class Mask {
  None,
  /// ReLU directly behind: passes where x * factor + offset > 0, so that y need not be read.
  FromInput,
  /// ReLU behind an addition: passes where y > 0.
  FromOutput
};

/// g = mask(dy + dy2), stored unless `g` is null; sumG += g; sumGX += g * (x - mean).
struct NormSumsArguments {
  DataType type;
  Mask mask;
  const void* x;
  const void* y;
  const void* dy;
  const void* dy2;  // or null
  void* g;          // or null; may be dy or dy2
  int64_t width;
  const float* factor;
  const float* offset;
  const float* mean;
  double* sumG;
  double* sumGX;
};

/// dx = g * gradientFactor + x * inputFactor + constant, with g as above (Mask::FromOutput is not used here).
struct NormGradientArguments {
  DataType type;
  Mask mask;
  const void* x;
  const void* dy;
  const void* dy2;  // or null
  void* dx;         // may be dy or dy2
  int64_t width;
  const float* factor;
  const float* offset;
  const float* gradientFactor;
  const float* inputFactor;
  const float* constant;
};

/// y = a (+ b), then ReLU where asked.
struct AddArguments {
  DataType type;
  const void* a;
  const void* b;  // or null
  void* y;
  bool relu;
};

/// g = dy (+ dy2), zero where y <= 0 unless y is null.
struct ReluGradientArguments {
  DataType type;
  const void* y;    // or null
  const void* dy;
  const void* dy2;  // or null
  void* g;          // may be dy or dy2
};

/// What decides a drop mask: see ops/drop.h.
struct DropKey {
  uint32_t seed;
  uint32_t step;
  uint32_t node;
};

/// y = x * factor, and x * 0 where the element's 32 random bits are at most `lastDropped`. Ranges begin at multiples of 4.
struct DropArguments {
  DataType type;
  DropKey key;
  uint32_t lastDropped;
  float factor;
  const void* x;
  void* y;  // may be x
};

/// Between element types; rounds to nearest even.
struct ConvertArguments {
  DataType from;
  DataType to;
  const void* source;
  void* destination;
};

struct Kernels {
  void (*moments)(const MomentsArguments&, Range);
  void (*normalise)(const NormaliseArguments&, Range);
  void (*normSums)(const NormSumsArguments&, Range);
  void (*normGradient)(const NormGradientArguments&, Range);
  void (*add)(const AddArguments&, Range);
  void (*reluGradient)(const ReluGradientArguments&, Range);
  void (*drop)(const DropArguments&, Range);
  void (*convert)(const ConvertArguments&, Range);
};

/// Chosen once, by the instruction set that oneDNN uses as well.
const Kernels& kernels();

}  // namespace residual
