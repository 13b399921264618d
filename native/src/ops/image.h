// The image batch that enters a network: the caller's float32 pixels in the network's element type.
#pragma once
#include <memory>

#include "context.h"
#include "op.h"
#include "value.h"

namespace residual {

class Image final : public Op {
 public:
  Image(const Context& context, Value& y);
  /// NHWC float32, read by the next `forward` only.
  void setPixels(const float* pixels) { pixels_ = pixels; }

  void planForward(MemoryPlan& plan) override;
  void planBackward(MemoryPlan&) override {}
  void forward() override;
  void backward() override {}

 private:
  const int threads_;
  Value& y_;
  const float* pixels_ = nullptr;
};

}  // namespace residual
