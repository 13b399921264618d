// A convolution of bfloat16 activations, multiplied in float32: a piece of the source becomes float32 in the cache, and what is
// made of it bfloat16 again. For CPUs that have float32's products faster; activations keep half the way through memory.
#pragma once
#include <memory>
#include <vector>

#include "conv_pieces.h"

namespace residual {

inline bool isWidened(const ConvSpec& spec) { return productType(spec) != spec.x.type; }

class WidenedInPieces final : public ActivationInPieces {
 public:
  /// `make` is given the same convolution of float32 activations.
  WidenedInPieces(const ConvSpec& spec, bool backward, std::unique_ptr<ActivationInPieces> (*make)(const ConvSpec&));

  void plan(MemoryPlan& plan) override;
  void bind() override { pass_->bind(); }
  void prepare() override { pass_->prepare(); }
  void run(int thread, int64_t images, const std::byte* source, std::byte* destination) override;

 private:
  const Value x_, y_;
  const ConvSpec spec_;
  const int64_t sourceElements_, destinationElements_;  // of an image
  const Pieces pieces_;
  const std::unique_ptr<ActivationInPieces> pass_;
  std::vector<Buffer*> sources_, destinations_;  // of each thread's piece
};

}  // namespace residual
