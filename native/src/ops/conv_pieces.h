// A convolution's passes over pieces of the batch, which lie in a cache while several things are done with them. Activations
// are far larger than any cache, so each thing that is not done apart saves their way through memory.
//
// Forward, each thread makes a piece of y, has it read (`PieceReader`) and goes on to the next. Backward, where whoever reads
// y makes its gradient in pieces (`GradientPieces`), each thread has one made and computes from it its part of both gradients,
// which saves a write and two reads. What the pieces are depends on shapes and the number of threads alone, and so do results.
#pragma once
#include <memory>
#include <vector>

#include "conv_pass.h"

namespace residual {

/// The batch in pieces of whole images, of at most about as many bytes of dy, as it is multiplied, as stay in a cache of the
/// second level.
class Pieces {
 public:
  Pieces(const ConvSpec& spec);

  /// `work(firstImage, endImage)` for each piece of the thread, in order.
  template <class Work>
  void forEach(int thread, Work work) const {
    for (size_t i = 0; i + 1 < bounds_[thread].size(); ++i) work(bounds_[thread][i], bounds_[thread][i + 1]);
  }
  /// Threads that have a piece: the first so many.
  int threads() const { return static_cast<int>(bounds_.size()); }
  /// Different numbers of images, ascending.
  const std::vector<int64_t>& sizes() const { return sizes_; }

 private:
  std::vector<std::vector<int64_t>> bounds_;
  std::vector<int64_t> sizes_;
};

/// From one activation to another, forward or backward. `run` is called by several threads at once, each with its number.
class ActivationInPieces {
 public:
  virtual ~ActivationInPieces() = default;
  virtual void plan(MemoryPlan& plan) = 0;
  virtual void bind() = 0;
  /// Before the pieces: what they have in common.
  virtual void prepare() = 0;
  virtual void run(int thread, int64_t images, const std::byte* source, std::byte* destination) = 0;
};

/// One that is computed as a whole or in pieces by the same code.
class ActivationPass : public ConvPass, public ActivationInPieces {
 public:
  ActivationPass(const ConvSpec& spec, bool backward)
      : spec_(spec), backward_(backward), source_(backward ? spec.y : spec.x), destination_(backward ? spec.x : spec.y) {}

  void bind(const Buffer* source, const Buffer* destination) final {
    from_ = source;
    to_ = destination;
  }
  void bind() final {}

 protected:
  const ConvSpec spec_;
  const bool backward_;
  const Value& source_;
  const Value& destination_;
  const Buffer *from_ = nullptr, *to_ = nullptr;  // as a whole
};

/// The gradient of the weights: the sum over the pieces, of each thread's and then in the threads' order.
class WeightsInPieces {
 public:
  virtual ~WeightsInPieces() = default;
  virtual void plan(MemoryPlan& plan) = 0;
  virtual void run(int thread, int64_t images, const std::byte* x, const std::byte* dy, bool first) = 0;
  /// Behind the pieces: their sum to the parameter's gradient.
  virtual void finish() = 0;
};

/// A whole pass, from x to y or backward from dy to dx. `reader` may be null.
class PassInPieces final : public ConvPass {
 public:
  PassInPieces(const ConvSpec& spec, bool backward, std::unique_ptr<ActivationInPieces> pass, PieceReader* reader = nullptr);
  void plan(MemoryPlan& plan) override { pass_->plan(plan); }
  void bind(const Buffer* source, const Buffer* destination) override;
  void execute() override;

 private:
  const Value& source_;
  const Value& destination_;
  const Pieces pieces_;
  const std::unique_ptr<ActivationInPieces> pass_;
  PieceReader* const reader_;
  const Buffer *from_ = nullptr, *to_ = nullptr;
};

/// The whole backward pass. The gradient of a bias is nothing, as is the sum of the pieces (`GradientPieces`). `data` is null where x needs no gradient.
class BackwardInPieces {
 public:
  BackwardInPieces(const ConvSpec& spec, GradientPieces& gradient, std::unique_ptr<ActivationInPieces> data,
                   std::unique_ptr<WeightsInPieces> weights);
  void plan(MemoryPlan& plan);
  void bind(const Buffer* x, const Buffer* dx);
  void execute();

 private:
  const ConvSpec& spec_;
  const Pieces pieces_;
  GradientPieces& gradient_;
  const std::unique_ptr<ActivationInPieces> data_;
  const std::unique_ptr<WeightsInPieces> weights_;
  std::vector<Buffer*> dy_;  // of each thread's piece
  const Buffer *x_ = nullptr, *dx_ = nullptr;
};

}  // namespace residual
