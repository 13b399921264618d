#include "pointwise.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "conv_widened.h"
#include "parallel.h"
#include "pointwise_kernels.h"

namespace residual {

#ifdef __x86_64__
namespace kernels_avx512 {
void multiplyPointwise(const PointwiseArguments& arguments);
}
#endif

PointwiseKernel pointwiseKernel() {
#ifdef __x86_64__
  if (effectiveIsa().rfind("avx512", 0) == 0) return kernels_avx512::multiplyPointwise;
#endif
  return nullptr;
}

namespace {

/// The threads divide the pixels, or the images where a stride leaves pixels of x out, and all of them read the same weights.
class Pointwise final : public ActivationPass {
 public:
  Pointwise(const ConvSpec& spec, bool backward) : ActivationPass(spec, backward), kernel_(pointwiseKernel()) {}

  void plan(MemoryPlan& plan) override {
    weights_ = plan.allocate(spec_.weight.elements * sizeof(float));
    for (int thread = 0; thread < spec_.context.threads; ++thread) {
      scratch_.push_back(plan.allocate(pointwiseScratchFloats(source_.channels) * sizeof(float)));
      if (isStrided()) reached_.push_back(plan.allocate(yPixels() * spec_.x.pixelBytes()));
    }
  }

  void prepare() override {
    parallelFor(spec_.context.threads, [&](int thread) {
      const auto [begin, end] = share(destination_.channels / kColumns, spec_.context.threads, thread);
      for (int64_t column = begin * kColumns; column < end * kColumns; column += kColumns) packColumns(column);
    });
  }

  void execute() override {
    prepare();
    parallelFor(spec_.context.threads, [&](int thread) {
      const auto [begin, end] = share(isStrided() ? source_.batch : source_.pixels(), spec_.context.threads, thread);
      if (isStrided())
        run(thread, end - begin, from_->data + begin * source_.imageBytes(), to_->data + begin * destination_.imageBytes());
      else
        multiply(thread, end - begin, from_->data + begin * source_.pixelBytes(), to_->data + begin * destination_.pixelBytes());
    });
  }

  void run(int thread, int64_t images, const std::byte* source, std::byte* destination) override {
    if (!isStrided()) return multiply(thread, images * source_.height * source_.width, source, destination);
    std::byte* const reached = reached_[thread]->data;
    for (int64_t image = 0; image < images; ++image, source += source_.imageBytes(), destination += destination_.imageBytes()) {
      if (backward_) {
        multiply(thread, yPixels(), source, reached);
        std::memset(destination, 0, destination_.imageBytes());
        forReached([&](int64_t x, int64_t y) { std::memcpy(destination + x, reached + y, spec_.x.pixelBytes()); });
      } else {
        forReached([&](int64_t x, int64_t y) { std::memcpy(reached + y, source + x, spec_.x.pixelBytes()); });
        multiply(thread, yPixels(), reached, destination);
      }
    }
  }

 private:
  static constexpr int64_t kColumns = 16;

  int64_t yPixels() const { return spec_.y.height * spec_.y.width; }
  bool isStrided() const { return spec_.stride > 1; }

  /// `visit(of x, of those together)`, in bytes, for each pixel of an image of x that the stride does not leave out.
  template <class Visit>
  void forReached(Visit visit) const {
    for (int64_t pixel = 0; pixel < yPixels(); ++pixel) {
      const int64_t row = pixel / spec_.y.width * spec_.stride, column = pixel % spec_.y.width * spec_.stride;
      visit((row * spec_.x.width + column) * spec_.x.pixelBytes(), pixel * spec_.x.pixelBytes());
    }
  }

  /// 16 of the weights' columns, into their panel.
  void packColumns(int64_t column) const {
    const int64_t depth = source_.channels, panel = column / kPointwisePanel * kPointwisePanel;
    const int64_t wide = std::min(kPointwisePanel, destination_.channels - panel);
    const int64_t columnStride = backward_ ? 1 : depth, depthStride = backward_ ? destination_.channels : 1;
    const float* const weights = spec_.weight.value + column * columnStride;
    float* const packed = weights_->as<float>() + panel * depth + column - panel;
    for (int64_t d = 0; d < depth; ++d)
      for (int64_t c = 0; c < kColumns; ++c) packed[d * wide + c] = weights[d * depthStride + c * columnStride];
  }

  void multiply(int thread, int64_t rows, const std::byte* source, std::byte* destination) const {
    kernel_({rows, source_.channels, destination_.channels, reinterpret_cast<const bfloat16*>(source), weights_->as<float>(),
             spec_.bias && !backward_ ? spec_.bias->value : nullptr, reinterpret_cast<bfloat16*>(destination),
             scratch_[thread]->as<float>()});
  }

  const PointwiseKernel kernel_;
  Buffer* weights_ = nullptr;
  std::vector<Buffer*> scratch_;
  /// Of each thread's image of x, the pixels that a stride does not leave out.
  std::vector<Buffer*> reached_;
};

}  // namespace

bool pointwisePays(const ConvSpec& spec) {
  if (spec.kernel != 1 || spec.padding != 0 || spec.groups != 1 || !isWidened(spec) || !pointwiseKernel()) return false;
  return spec.x.channels % 16 == 0 && spec.y.channels % 16 == 0;
}

std::unique_ptr<ConvPass> makePointwiseForward(const ConvSpec& spec) { return std::make_unique<Pointwise>(spec, false); }
std::unique_ptr<ConvPass> makePointwiseBackwardData(const ConvSpec& spec) { return std::make_unique<Pointwise>(spec, true); }
std::unique_ptr<ActivationInPieces> makePointwiseForwardInPieces(const ConvSpec& spec) { return std::make_unique<Pointwise>(spec, false); }
std::unique_ptr<ActivationInPieces> makePointwiseDataInPieces(const ConvSpec& spec) { return std::make_unique<Pointwise>(spec, true); }

}  // namespace residual
