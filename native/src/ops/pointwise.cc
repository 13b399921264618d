#include "pointwise.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bias_gradient.h"
#include "parallel.h"
#include "pointwise_blocks.h"
#include "pointwise_kernels.h"

namespace residual {

#ifdef __x86_64__
namespace kernels_avx512 {
extern const PointwiseKernels pointwiseTable;
}
namespace kernels_avx512_bf16 {
extern const PointwiseKernels pointwiseTable;
}
#endif

const PointwiseKernels* pointwiseKernels([[maybe_unused]] DataType type) {
#ifdef __x86_64__
  const std::string isa = effectiveIsa();
  if (isa == "avx512_core_bf16") return &kernels_avx512_bf16::pointwiseTable;
  if (isa.rfind("avx512", 0) == 0 && type == DataType::Float32) return &kernels_avx512::pointwiseTable;
#endif
  return nullptr;
}

int64_t pointwiseScratchWords(int64_t outputs) {
  return kPointwiseDepth * pointwiseRowWords(outputs) + kPointwiseInputs / kPointwisePanel * kPointwisePanelWords;
}

namespace {

/// Of each pixel of y, the pixel of x that it is made of; empty where that is the same one.
std::vector<int64_t> pixelsOfX(const ConvSpec& spec) {
  const Value &x = spec.x, &y = spec.y;
  std::vector<int64_t> pixels;
  if (spec.stride == 1) return pixels;
  pixels.reserve(y.pixels());
  for (int64_t image = 0; image < y.batch; ++image)
    for (int64_t row = 0; row < y.height; ++row)
      for (int64_t column = 0; column < y.width; ++column)
        pixels.push_back((image * x.height + row * spec.stride) * x.width + column * spec.stride);
  return pixels;
}

/// The longer side of the weights is divided: what the other side is made of, every thread packs for itself.
class PointwiseBackwardWeights final : public ConvPass {
 public:
  PointwiseBackwardWeights(const ConvSpec& spec, const PointwiseKernels& kernels)
      : spec_(spec), kernels_(kernels), byOutputs_(spec.y.channels >= spec.x.channels), xPixels_(pixelsOfX(spec)) {
    if (spec.bias) bias_.emplace(spec_);
    for (int part = 0; part < spec.context.threads; ++part) parts_.push_back(partOf(part));
  }

  void plan(MemoryPlan& plan) override {
    for (Part& part : parts_)
      part.scratch = plan.allocate(sizeof(uint32_t) * pointwiseScratchWords(part.endOutput - part.firstOutput));
    if (bias_) bias_->plan(plan);
  }

  void bind(const Buffer* x, const Buffer* dy) override { x_ = x, dy_ = dy; }

  void execute() override {
    parallelFor(spec_.context.threads, [&](int index) {
      const Part& part = parts_[index];
      if (part.firstInput == part.endInput || part.firstOutput == part.endOutput) return;
      kernels_.weightGradient({spec_.y.type, spec_.y.pixels(), x_->data, xPixels_.empty() ? nullptr : xPixels_.data(),
                               dy_->data, spec_.weight.gradient, false, spec_.x.channels, spec_.y.channels, part.firstInput,
                               part.endInput, part.firstOutput, part.endOutput, part.scratch->as<uint32_t>()});
    });
    if (bias_) bias_->execute(*dy_);
  }

 private:
  struct Part {
    int64_t firstInput, endInput, firstOutput, endOutput;
    Buffer* scratch = nullptr;
  };

  Part partOf(int part) const {
    const int64_t inputs = spec_.x.channels, outputs = spec_.y.channels;
    const auto [begin, end] = share((byOutputs_ ? outputs : inputs) / kPointwisePanel, spec_.context.threads, part);
    if (byOutputs_) return {0, inputs, begin * kPointwisePanel, end * kPointwisePanel};
    return {begin * kPointwisePanel, end * kPointwisePanel, 0, outputs};
  }

  const ConvSpec spec_;
  const PointwiseKernels& kernels_;
  const bool byOutputs_;
  const std::vector<int64_t> xPixels_;
  std::vector<Part> parts_;
  std::optional<BiasGradient> bias_;
  const Buffer *x_ = nullptr, *dy_ = nullptr;
};

/// Each thread has sums of its own; the first thread's are the gradient itself.
class PointwiseWeightsInPieces final : public WeightsInPieces {
 public:
  PointwiseWeightsInPieces(const ConvSpec& spec, const PointwiseKernels& kernels)
      : spec_(spec), kernels_(kernels), threads_(static_cast<int>(std::min<int64_t>(spec.context.threads, spec.y.batch))),
        xPixels_(pixelsOfX(spec)) {}

  void plan(MemoryPlan& plan) override {
    for (int thread = 0; thread < threads_; ++thread) {
      sums_.push_back(thread > 0 ? plan.allocate(spec_.weight.elements * sizeof(float)) : nullptr);
      scratch_.push_back(plan.allocate(sizeof(uint32_t) * pointwiseScratchWords(spec_.y.channels)));
    }
  }

  void run(int thread, int64_t images, const std::byte* x, const std::byte* dy, bool first) override {
    const int64_t pixels = spec_.y.height * spec_.y.width * images, inputs = spec_.x.channels, outputs = spec_.y.channels;
    float* const sums = thread > 0 ? sums_[thread]->as<float>() : spec_.weight.gradient;
    kernels_.weightGradient({spec_.y.type, pixels, x, xPixels_.empty() ? nullptr : xPixels_.data(), dy, sums, !first, inputs,
                             outputs, 0, inputs, 0, outputs, scratch_[thread]->as<uint32_t>()});
  }

  void finish() override {
    for (int thread = 1; thread < threads_; ++thread) addTo(spec_.weight.gradient, sums_[thread]->as<float>());
  }

 private:
  void addTo(float* gradient, float* sums) const {
    const auto bytes = [](float* data) { return reinterpret_cast<std::byte*>(data); };
    const ReluGradientArguments arguments{DataType::Float32, nullptr, bytes(gradient), bytes(sums), bytes(gradient)};
    overElements(spec_.context.threads, spec_.weight.elements, [&](Range range) { kernels().reluGradient(arguments, range); });
  }

  const ConvSpec spec_;
  const PointwiseKernels& kernels_;
  const int threads_;
  const std::vector<int64_t> xPixels_;
  std::vector<Buffer*> sums_, scratch_;
};

/// Of whole panels.
const PointwiseKernels* kernelsFor(const ConvSpec& spec) {
  const bool made = spec.kernel == 1 && spec.padding == 0 && spec.groups == 1 && spec.x.channels % kPointwisePanel == 0 &&
                    spec.y.channels % kPointwisePanel == 0;
  return made ? pointwiseKernels(spec.x.type) : nullptr;
}

}  // namespace

bool pointwisePays(const ConvSpec& spec) {
  const int64_t longer = std::max(spec.x.channels, spec.y.channels);
  return kernelsFor(spec) && longer >= kPointwisePanel * spec.context.threads &&
         !(spec.x.type == DataType::BFloat16 && hasMatrixTiles());
}

std::unique_ptr<ConvPass> makePointwiseBackwardWeights(const ConvSpec& spec) {
  const PointwiseKernels* const kernels = kernelsFor(spec);
  if (!kernels) throw std::invalid_argument(spec.name + ": not a convolution for pointwise kernels");
  return std::make_unique<PointwiseBackwardWeights>(spec, *kernels);
}

bool pointwiseSumsInPieces(const ConvSpec& spec) {
  constexpr int64_t kMostWeights = 128 * 512;  // 256 KiB of sums for each thread, read and written with each piece
  return pointwisePays(spec) && spec.x.channels * spec.y.channels <= kMostWeights;
}

std::unique_ptr<WeightsInPieces> makePointwiseWeightsInPieces(const ConvSpec& spec) {
  return std::make_unique<PointwiseWeightsInPieces>(spec, *kernelsFor(spec));
}

}  // namespace residual
