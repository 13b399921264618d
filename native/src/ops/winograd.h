// Convolutions of 3x3 with stride 1 and padding 1 by Winograd's minimal filtering F(2x2, 3x3) or F(4x4, 3x3): A. Lavin and
// S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016. A tile of 2x2 outputs costs 16 multiplications per
// pair of channels instead of 36, one of 4x4 costs 36 instead of 144:
//
//   y  = A^T [(G g G^T) . (B^T x B)] A        forward; backward data with g turned by half a turn and its channels swapped
//   dg = G^T [(B^T x B) . (A dy A^T)] G       backward weights, summed over the tiles
//
// The products over channels (or tiles) are 16 or 36 matrix multiplications. Tiles are taken in blocks, so that what they are
// transformed into stays in the cache. In bfloat16 the transforms are computed in float32 and rounded once, for the
// multiplication, whose sums are float32. Nothing depends on how the tiles fall into blocks; backward weights depend on
// the number of threads. Why, when and how much: docs/decisions/0005-winograd.md.
#pragma once
#include <memory>

#include "conv_pieces.h"

namespace residual {

/// Whether Winograd's algorithm can compute this convolution and is known to be faster than the direct one.
bool winogradPays(const ConvSpec& spec);

std::unique_ptr<ConvPass> makeWinogradForward(const ConvSpec& spec);
std::unique_ptr<ConvPass> makeWinogradBackwardData(const ConvSpec& spec);
/// The gradients of weight and bias.
std::unique_ptr<ConvPass> makeWinogradBackwardWeights(const ConvSpec& spec);

/// Whether the weights are few enough for each thread to have sums of its own, as pieces want it.
bool winogradSumsInPieces(const ConvSpec& spec);
std::unique_ptr<ActivationInPieces> makeWinogradForwardInPieces(const ConvSpec& spec);
std::unique_ptr<ActivationInPieces> makeWinogradDataInPieces(const ConvSpec& spec);
std::unique_ptr<WeightsInPieces> makeWinogradWeightsInPieces(const ConvSpec& spec);

}  // namespace residual
