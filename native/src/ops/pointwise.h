// Convolutions of 1x1, forward and backward to their input, of bfloat16 activations that are multiplied in float32: one matrix
// product, rows of pixels times the weights. A few rows at a time become float32 in the cache on their way into it, and what
// comes out of registers is rounded. The gradient of the weights is im2col's. Why, and how much:
// docs/decisions/0011-bfloat16-kept-float32-multiplied.md.
#pragma once
#include <memory>

#include "conv_pieces.h"

namespace residual {

/// Whether there is a kernel for it on this CPU, and it is known to be faster than oneDNN's primitive on widened pieces.
bool pointwisePays(const ConvSpec& spec);

std::unique_ptr<ConvPass> makePointwiseForward(const ConvSpec& spec);
std::unique_ptr<ConvPass> makePointwiseBackwardData(const ConvSpec& spec);
std::unique_ptr<ActivationInPieces> makePointwiseForwardInPieces(const ConvSpec& spec);
std::unique_ptr<ActivationInPieces> makePointwiseDataInPieces(const ConvSpec& spec);

}  // namespace residual
