// The inner loops of Winograd's convolutions F(2x2, 3x3) and F(4x4, 3x3): see winograd.h for the algorithm. One source
// (winograd_kernels.inl) compiled for AVX-512 with and without bfloat16 arithmetic.
//
// An activation's tiles of m by m outputs are numbered (image, row, column); tile (r, c) makes the outputs from row mr and
// column mc on out of m + 2 rows and columns of inputs, from row mr - 1 and column mc - 1 on. What a tile is transformed into
// are (m + 2)^2 values per channel, kept in as many planes: plane p has one row per tile, or per two, and one word per column.
// A word is what one lane of a multiplication takes: a float32, or two bfloat16 that lie beside each other in the sum:
// two channels of a tile, or one channel of two tiles.
#pragma once
#include <cstdint>

#include "data_type.h"

namespace residual {

using Word = uint32_t;
/// Columns of a panel of weights, except for the last, which may have half as many.
constexpr int64_t kPanel = 32;

/// Strides are in words.
struct Planes {
  DataType type;  // of their elements: the activation's, or float32
  Word* data;
  int64_t planeStride, rowStride;
};

/// Some tiles and channels of an activation, NHWC.
struct Tiles {
  DataType type;
  void* activation;
  int64_t channels, height, width;  // of the activation
  int64_t firstTile, endTile;
  int64_t firstChannel, endChannel;  // multiples of 16
};

/// planes[row of tile - firstTile][column of channel - firstChannel] = transform of the tile.
struct TransformArguments {
  Tiles tiles;
  Planes planes;
};

/// activation = inverse transform of float32 planes + bias.
struct OutputArguments {
  Planes planes;
  Tiles tiles;
  const float* bias;  // of the first channel; or null
};

/// Plane by plane: product (rows, columns) = or += a (rows, depth) * b (depth, columns).
struct MultiplyArguments {
  DataType type;  // of a and b
  int64_t planes, rows, columns, depth;  // depth in words; rows: `product` and `a` are touched up to the next multiple of 8
  const Word* a;
  int64_t aPlaneStride, aRowStride, aDepthStride;
  /// Row-major, or in panels one after another, each row-major; a panel is at most kPanel columns wide.
  const Word* b;
  int64_t bPlaneStride, bRowStride;
  bool panels;
  float* product;
  int64_t productPlaneStride, productRowStride;
  bool accumulate;
};

/// Weights (O, I, 3, 3) into planes of panels: a matrix (depth I, columns O), or, `backward`, of the weights turned by half
/// a turn (depth O, columns I). Of the columns and the depth those from `first` to `end`, in channels; the planes begin with
/// `firstColumn`, and at depth 0.
struct WeightArguments {
  DataType type;  // of the planes
  const float* weights;
  int64_t outputs, inputs;
  bool backward;
  Word* planes;
  int64_t planeStride;
  int64_t firstColumn, endColumn, firstDepth, endDepth;
};

/// gradient (O, I, 3, 3), output channels [firstOutput, endOutput) and inputs [firstInput, endInput): the inverse transform
/// of the sum of `parts` times the planes (I, O of the planes).
struct WeightGradientArguments {
  const float* planes;
  int64_t parts, partStride, planeStride, rowStride;
  float* gradient;
  int64_t inputs;  // I
  int64_t firstOutput, endOutput;  // of the planes' columns
  int64_t firstInput, endInput;
};

/// For one size of tile.
struct WinogradKernels {
  /// On each side of a tile.
  int64_t outputs;
  /// Of an input; bfloat16: words of two channels.
  void (*transformInput)(const TransformArguments&);
  /// The same, with a row for each two tiles in bfloat16: words of two tiles.
  void (*transformInputPairs)(const TransformArguments&);
  /// Of an output's gradient, likewise.
  void (*transformGradientPairs)(const TransformArguments&);
  void (*transformOutput)(const OutputArguments&);
  void (*multiply)(const MultiplyArguments&);
  void (*transformWeights)(const WeightArguments&);
  void (*weightGradient)(const WeightGradientArguments&);

  int64_t planes() const { return (outputs + 2) * (outputs + 2); }
};

/// For tiles of `outputs` (2 or 4) on each side. Null where there are none for this element type on this CPU.
const WinogradKernels* winogradKernels(DataType type, int64_t outputs = 2);

}  // namespace residual
