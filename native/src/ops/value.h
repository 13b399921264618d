// What flows between ops: an activation of a whole batch, NHWC, and the summands of its gradient.
#pragma once
#include <cstdint>
#include <vector>

#include "../graph.h"
#include "data_type.h"
#include "memory_plan.h"

namespace residual {

/// Makes the gradient of a value stretch by stretch, when and where its maker wants it: it is never in memory as a whole.
/// A batch norm does, so that over the pixels of a channel it sums to nothing but what rounding leaves.
class GradientPieces {
 public:
  virtual ~GradientPieces() = default;
  /// The current step is the one that makes them.
  virtual void planPieces(MemoryPlan& plan) = 0;
  /// Elements [begin, end) of the value, which begin on a pixel, to `destination`. By several threads at once.
  virtual void makePiece(int64_t begin, int64_t end, std::byte* destination) const = 0;
};

/// Reads a value piece by piece right behind its making, while it lies in the cache.
class PieceReader {
 public:
  virtual ~PieceReader() = default;
  /// Elements [begin, end), of whole pixels, that one of several threads has made; `first` of its pieces in this pass.
  virtual void readPiece(int thread, int64_t begin, int64_t end, bool first) = 0;
};

struct Value {
  int64_t batch = 0, channels = 0, height = 0, width = 0;
  DataType type = DataType::Float32;
  bool needsGradient = false;
  int readers = 0;
  /// Whether its maker would rather have the gradient in pieces. It can where there is one reader, that makes it so.
  bool prefersPieces = false;
  /// Who would rather read it in pieces, or null; and whether its maker has it so.
  PieceReader* pieceReader = nullptr;
  bool readInPieces = false;
  Buffer* data = nullptr;
  /// One per reader whose backward pass is planned: the gradient is their sum, formed by whoever takes it.
  std::vector<Buffer*> gradients;
  /// Instead of `gradients`, or null.
  GradientPieces* pieces = nullptr;

  int64_t pixels() const { return batch * height * width; }
  int64_t elements() const { return pixels() * channels; }
  int64_t imageElements() const { return height * width * channels; }
  int64_t pixelBytes() const { return channels * static_cast<int64_t>(sizeOf(type)); }
  int64_t imageBytes() const { return height * width * pixelBytes(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * sizeOf(type); }
};

/// A gradient as the op that made the value receives it: `first`, plus `second` unless that is null.
struct Gradient {
  Buffer* first = nullptr;
  Buffer* second = nullptr;
};

/// A trained tensor or a running statistic. `gradient` is null for statistics.
struct Parameter {
  TensorSpec spec;
  int64_t elements = 0;
  float* value = nullptr;
  float* gradient = nullptr;
};

/// Takes the (at most two) summands; the current step reads them.
inline Gradient takeGradient(MemoryPlan& plan, Value& value) {
  Gradient gradient;
  for (Buffer* summand : value.gradients) {
    plan.use(summand);
    --summand->holders;
    (gradient.first ? gradient.second : gradient.first) = summand;
  }
  value.gradients.clear();
  return gradient;
}

/// Memory for something of `value`'s size that replaces `gradient`: one of its summands where nobody else needs it.
inline Buffer* reuseGradient(MemoryPlan& plan, const Gradient& gradient, const Value& value) {
  for (Buffer* summand : {gradient.first, gradient.second})
    if (summand && summand->holders == 0 && summand->bytes >= value.bytes()) return summand;
  return plan.allocate(value.bytes());
}

inline void giveGradient(Value& value, Buffer* summand) {
  if (!value.needsGradient) return;
  value.gradients.push_back(summand);
  ++summand->holders;
}

}  // namespace residual
