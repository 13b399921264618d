// The weight gradient of a 1x1 convolution, of any stride, as what it is: one matrix product over all pixels, dy^T x. Each
// thread computes a part of the weights over the whole batch, straight into the parameter's gradient: there is nothing to
// add up or to reorder behind it, and the result does not depend on the number of threads.
#pragma once
#include <memory>

#include "conv_pieces.h"

namespace residual {

/// Whether it is made for this convolution on this CPU, and faster than oneDNN's primitive.
bool pointwisePays(const ConvSpec& spec);
/// @throws std::invalid_argument where it is not made for it.
std::unique_ptr<ConvPass> makePointwiseBackwardWeights(const ConvSpec& spec);

/// Whether it is made for this convolution, whose weights are few enough for each thread to have sums of its own.
bool pointwiseSumsInPieces(const ConvSpec& spec);
std::unique_ptr<WeightsInPieces> makePointwiseWeightsInPieces(const ConvSpec& spec);

}  // namespace residual
