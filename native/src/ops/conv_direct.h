// A convolution's passes as oneDNN's direct convolutions: any geometry, any groups.
#pragma once
#include <memory>

#include "conv_pieces.h"

namespace residual {

std::unique_ptr<ConvPass> makeDirectForward(const ConvSpec& spec);
std::unique_ptr<ConvPass> makeDirectBackwardData(const ConvSpec& spec);
/// The gradients of weight and bias.
std::unique_ptr<ConvPass> makeDirectBackwardWeights(const ConvSpec& spec);

std::unique_ptr<ActivationInPieces> makeDirectForwardInPieces(const ConvSpec& spec);
std::unique_ptr<ActivationInPieces> makeDirectDataInPieces(const ConvSpec& spec);

}  // namespace residual
