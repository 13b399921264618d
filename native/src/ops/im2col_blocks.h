// Sizes of the blocks in which im2col_kernels.inl works.
#pragma once
#include <cstdint>

namespace residual {

/// Outputs of a register block, at most: with two vectors of columns they fill 28 of the 32 registers with sums.
constexpr int64_t kIm2colTile = 14;
/// Words of the sum that are packed and multiplied at once. A word is what a lane of a multiplication takes: a float32 of
/// one pixel, or the bfloat16 of two. A panel and a tile's part of them then lie in the first-level cache.
constexpr int64_t kIm2colDepth = 128;
/// Columns that are packed at once, so that they stay in the second-level cache.
constexpr int64_t kIm2colColumns = 512;
// Panels and rows begin at different places of a page, or they would push each other out of the cache.
constexpr int64_t kIm2colPanelWords = 32 * kIm2colDepth + 16;
inline int64_t im2colRowWords(int64_t outputs) { return outputs + 16; }

}  // namespace residual
