// Sizes of the blocks in which pointwise_kernels.inl works.
#pragma once
#include <cstdint>

namespace residual {

/// Outputs of a register block, at most: with two vectors of inputs they fill 28 of the 32 registers with sums.
constexpr int64_t kPointwiseTile = 14;
/// Words of the sum that are packed and multiplied at once. A word is what a lane of a multiplication takes: a float32 of
/// one pixel, or the bfloat16 of two. A tile's part of them then lies in the first-level cache.
constexpr int64_t kPointwiseDepth = 128;
/// Inputs that are packed at once, so that they stay in the second-level cache.
constexpr int64_t kPointwiseInputs = 512;
// Panels and rows begin at different places of a page, or they would push each other out of the cache.
constexpr int64_t kPointwisePanelWords = 32 * kPointwiseDepth + 16;
inline int64_t pointwiseRowWords(int64_t outputs) { return outputs + 16; }

inline int64_t pointwiseTiles(int64_t outputs) { return (outputs + kPointwiseTile - 1) / kPointwiseTile; }

}  // namespace residual
