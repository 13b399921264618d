// The gradient of a convolution's weights as one matrix product over all pixels of y: dy^T times the patches of x that they
// are made of (Chellapilla, Puri and Simard 2006, "High performance convolutional neural networks for document processing").
// The matrix of patches is never in memory as a whole: blocks of it are packed for the multiplication.
#pragma once
#include <memory>

#include "conv_pieces.h"

namespace residual {

/// Whether it is made for this convolution on this CPU, and faster than oneDNN's primitive.
bool im2colPays(const ConvSpec& spec);
/// Each thread computes a part of the weights over the whole batch: there is nothing to add up behind it, and the result
/// does not depend on the number of threads. @throws std::invalid_argument where it is not made for it.
std::unique_ptr<ConvPass> makeIm2colBackwardWeights(const ConvSpec& spec);

/// Whether it pays and the weights are few enough for each thread to have sums of its own.
bool im2colSumsInPieces(const ConvSpec& spec);
std::unique_ptr<WeightsInPieces> makeIm2colWeightsInPieces(const ConvSpec& spec);

}  // namespace residual
