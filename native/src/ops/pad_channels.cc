#include "pad_channels.h"

#include <cstring>

#include "parallel.h"

namespace residual {
namespace {

class PadChannels final : public Op {
 public:
  PadChannels(const Context& context, const Node& node, Value& x, Value& y)
      : Op(node.name), threads_(context.threads), stride_(node.stride), x_(x), y_(y) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    dy_ = takeGradient(plan, y_).first;
    dx_ = plan.allocate(x_.bytes());
    giveGradient(x_, dx_);
  }

  void forward() override {
    const size_t inBytes = pixelBytes(x_), outBytes = pixelBytes(y_);
    overPixels(y_, [&](int64_t image, int64_t row, int64_t column) {
      std::byte* to = pixel(y_, y_.data, image, row, column);
      std::memcpy(to, pixel(x_, x_.data, image, row * stride_, column * stride_), inBytes);
      std::memset(to + inBytes, 0, outBytes - inBytes);
    });
  }

  void backward() override {
    const size_t bytes = pixelBytes(x_);
    overPixels(x_, [&](int64_t image, int64_t row, int64_t column) {
      std::byte* to = pixel(x_, dx_, image, row, column);
      const bool taken = row % stride_ == 0 && column % stride_ == 0;
      taken ? std::memcpy(to, pixel(y_, dy_, image, row / stride_, column / stride_), bytes) : std::memset(to, 0, bytes);
    });
  }

 private:
  static size_t pixelBytes(const Value& value) { return value.channels * sizeOf(value.type); }
  static std::byte* pixel(const Value& value, const Buffer* buffer, int64_t image, int64_t row, int64_t column) {
    return buffer->data + ((image * value.height + row) * value.width + column) * pixelBytes(value);
  }

  template <class Work>
  void overPixels(const Value& value, Work work) const {
    parallelFor(threads_, [&](int part) {
      const auto [begin, end] = share(value.batch, threads_, part);
      for (int64_t image = begin; image < end; ++image)
        for (int64_t row = 0; row < value.height; ++row)
          for (int64_t column = 0; column < value.width; ++column) work(image, row, column);
    });
  }

  const int threads_;
  const int64_t stride_;
  Value& x_;
  Value& y_;
  Buffer *dy_ = nullptr, *dx_ = nullptr;
};

}  // namespace

std::unique_ptr<Op> makePadChannels(const Context& context, const Node& node, Value& x, Value& y) {
  return std::make_unique<PadChannels>(context, node, x, y);
}

}  // namespace residual
