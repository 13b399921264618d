#include "pointwise.h"

#include <stdexcept>
#include <string>
#include <vector>

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
  return pointwiseTiles(outputs) * kPointwiseTileWords + kPointwiseInputs / kPointwisePanel * kPointwisePanelWords;
}

namespace {

/// The longer side of the weights is divided: what the other side is made of, every thread packs for itself.
class PointwiseBackwardWeights final : public ConvPass {
 public:
  PointwiseBackwardWeights(const ConvSpec& spec, const PointwiseKernels& kernels)
      : spec_(spec), kernels_(kernels), byOutputs_(spec.y.channels >= spec.x.channels) {
    if (spec.stride > 1) listPixels();
    for (int part = 0; part < spec.context.threads; ++part) parts_.push_back(partOf(part));
  }

  void plan(MemoryPlan& plan) override {
    for (Part& part : parts_)
      part.scratch = plan.allocate(sizeof(uint32_t) * pointwiseScratchWords(part.endOutput - part.firstOutput));
  }

  void bind(const Buffer* x, const Buffer* dy) override { x_ = x, dy_ = dy; }

  void execute() override {
    parallelFor(spec_.context.threads, [&](int index) {
      const Part& part = parts_[index];
      if (part.firstInput == part.endInput || part.firstOutput == part.endOutput) return;
      kernels_.weightGradient({spec_.y.type, spec_.y.pixels(), x_->data, xPixels_.empty() ? nullptr : xPixels_.data(),
                               dy_->data, spec_.weight.gradient, spec_.x.channels, spec_.y.channels, part.firstInput,
                               part.endInput, part.firstOutput, part.endOutput, part.scratch->as<uint32_t>()});
    });
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

  void listPixels() {
    const Value &x = spec_.x, &y = spec_.y;
    xPixels_.reserve(y.pixels());
    for (int64_t image = 0; image < y.batch; ++image)
      for (int64_t row = 0; row < y.height; ++row)
        for (int64_t column = 0; column < y.width; ++column)
          xPixels_.push_back((image * x.height + row * spec_.stride) * x.width + column * spec_.stride);
  }

  const ConvSpec spec_;
  const PointwiseKernels& kernels_;
  const bool byOutputs_;
  std::vector<int64_t> xPixels_;
  std::vector<Part> parts_;
  const Buffer *x_ = nullptr, *dy_ = nullptr;
};

/// In whole panels, enough of them for each thread, and no bias, whose gradient is another sum.
const PointwiseKernels* kernelsFor(const ConvSpec& spec) {
  const int64_t inputs = spec.x.channels, outputs = spec.y.channels;
  const bool made = spec.kernel == 1 && spec.padding == 0 && spec.groups == 1 && !spec.bias && inputs % kPointwisePanel == 0 &&
                    outputs % kPointwisePanel == 0 && std::max(inputs, outputs) >= kPointwisePanel * spec.context.threads;
  return made ? pointwiseKernels(spec.x.type) : nullptr;
}

}  // namespace

bool pointwisePays(const ConvSpec& spec) {
  // Measured on Zen 4. Packing dy is spread over the inputs, and costs more in bfloat16, where two pixels are interleaved;
  // what is saved behind the product grows with the weights.
  const int64_t inputs = spec.x.channels, weights = inputs * spec.y.channels;
  const bool pays = spec.x.type == DataType::BFloat16 ? inputs >= 256 && !hasMatrixTiles() : weights >= 512 * 512;
  return pays && kernelsFor(spec);
}

std::unique_ptr<ConvPass> makePointwiseBackwardWeights(const ConvSpec& spec) {
  const PointwiseKernels* const kernels = kernelsFor(spec);
  if (!kernels) throw std::invalid_argument(spec.name + ": not a convolution for pointwise kernels");
  return std::make_unique<PointwiseBackwardWeights>(spec, *kernels);
}

}  // namespace residual
