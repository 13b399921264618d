#include "im2col.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bias_gradient.h"
#include "im2col_blocks.h"
#include "im2col_kernels.h"
#include "parallel.h"

namespace residual {

#ifdef __x86_64__
namespace kernels_avx512 {
extern const Im2colKernels im2colTable;
}
namespace kernels_avx512_bf16 {
extern const Im2colKernels im2colTable;
}
#endif

const Im2colKernels* im2colKernels([[maybe_unused]] DataType type) {
#ifdef __x86_64__
  const std::string isa = effectiveIsa();
  if (isa == "avx512_core_bf16") return &kernels_avx512_bf16::im2colTable;
  if (isa.rfind("avx512", 0) == 0 && type == DataType::Float32) return &kernels_avx512::im2colTable;
#endif
  return nullptr;
}

int64_t im2colScratchWords(int64_t outputs) {
  return kIm2colDepth * im2colRowWords(outputs) + kIm2colColumns / kIm2colPanel * kIm2colPanelWords;
}

namespace {

PatchGeometry geometryOf(const ConvSpec& spec) {
  const Value &x = spec.x, &y = spec.y;
  return {x.channels, x.height, x.width, y.height, y.width, spec.kernel, spec.stride, spec.padding};
}

/// Sums (O, columns of patches) of several parts, together, as the gradient of the weights (O, I, K, K).
class Sums {
 public:
  Sums(const ConvSpec& spec, int parts) : spec_(spec), geometry_(geometryOf(spec)), parts_(parts) {}

  void plan(MemoryPlan& plan) {
    for (int part = isGradient() ? 1 : 0; part < parts_; ++part)
      sums_.push_back(plan.allocate(spec_.y.channels * geometry_.columns() * sizeof(float)));
  }

  /// The first part of a 1x1 convolution's is the gradient itself, where there are no columns of zeros.
  float* part(int part) const {
    if (!isGradient()) return sums_[part]->as<float>();
    return part == 0 ? spec_.weight.gradient : sums_[part - 1]->as<float>();
  }

  void finish() const {
    if (isGradient() && parts_ == 1) return;
    parallelFor(spec_.context.threads, [&](int thread) {
      const auto [begin, end] = share(spec_.y.channels, spec_.context.threads, thread);
      for (int64_t output = begin; output < end; ++output) isGradient() ? addRow(output) : gatherRow(output);
    });
  }

 private:
  bool isGradient() const { return geometry_.kernel == 1 && geometry_.columns() == geometry_.channels; }

  void addRow(int64_t output) const {
    const int64_t columns = geometry_.columns();
    float* const row = spec_.weight.gradient + output * columns;
    for (int part = 1; part < parts_; ++part) {
      const float* const more = this->part(part) + output * columns;
      for (int64_t c = 0; c < columns; ++c) row[c] += more[c];
    }
  }

  void gatherRow(int64_t output) const {
    const int64_t kernel = geometry_.kernel, inputs = geometry_.channels, rowColumns = geometry_.rowVectors() * 16;
    float* weight = spec_.weight.gradient + output * inputs * kernel * kernel;
    for (int64_t i = 0; i < inputs; ++i)
      for (int64_t y = 0; y < kernel; ++y)
        for (int64_t x = 0; x < kernel; ++x) {
          const int64_t place = output * geometry_.columns() + y * rowColumns + x * inputs + i;
          float sum = 0;
          for (int part = 0; part < parts_; ++part) sum += this->part(part)[place];
          *weight++ = sum;
        }
  }

  const ConvSpec& spec_;
  const PatchGeometry geometry_;
  const int parts_;
  std::vector<Buffer*> sums_;
};

/// The longer side of the matrix of weights is divided: what the other side is made of, every thread packs for itself.
class Im2colBackwardWeights final : public ConvPass {
 public:
  Im2colBackwardWeights(const ConvSpec& spec, const Im2colKernels& kernels)
      : spec_(spec), kernels_(kernels), geometry_(geometryOf(spec)), sums_(spec_, 1) {
    if (spec.bias) bias_.emplace(spec_);
    for (int part = 0; part < spec.context.threads; ++part) parts_.push_back(partOf(part));
  }

  void plan(MemoryPlan& plan) override {
    sums_.plan(plan);
    for (Part& part : parts_) part.scratch = plan.allocate(sizeof(uint32_t) * im2colScratchWords(part.endOutput - part.firstOutput));
    if (bias_) bias_->plan(plan);
  }

  void bind(const Buffer* x, const Buffer* dy) override { x_ = x, dy_ = dy; }

  void execute() override {
    parallelFor(spec_.context.threads, [&](int index) {
      const Part& part = parts_[index];
      if (part.firstColumn == part.endColumn || part.firstOutput == part.endOutput) return;
      kernels_.weightGradient({spec_.y.type, productType(spec_), geometry_, spec_.y.pixels(), x_->data, dy_->data, sums_.part(0), false,
                               spec_.y.channels, part.firstColumn, part.endColumn, part.firstOutput, part.endOutput,
                               part.scratch->as<uint32_t>()});
    });
    sums_.finish();
    if (bias_) bias_->execute(*dy_);
  }

 private:
  struct Part {
    int64_t firstColumn, endColumn, firstOutput, endOutput;
    Buffer* scratch = nullptr;
  };

  Part partOf(int part) const {
    const int64_t columns = geometry_.columns(), outputs = spec_.y.channels;
    const bool byOutputs = outputs >= columns || outputs >= 8 * kIm2colPanel * spec_.context.threads;
    const auto [begin, end] = share((byOutputs ? outputs : columns) / kIm2colPanel, spec_.context.threads, part);
    if (byOutputs) return {0, columns, begin * kIm2colPanel, end * kIm2colPanel};
    return {begin * kIm2colPanel, end * kIm2colPanel, 0, outputs};
  }

  const ConvSpec spec_;
  const Im2colKernels& kernels_;
  const PatchGeometry geometry_;
  Sums sums_;
  std::vector<Part> parts_;
  std::optional<BiasGradient> bias_;
  const Buffer *x_ = nullptr, *dy_ = nullptr;
};

/// Each thread has sums of its own.
class Im2colWeightsInPieces final : public WeightsInPieces {
 public:
  Im2colWeightsInPieces(const ConvSpec& spec, const Im2colKernels& kernels)
      : spec_(spec), kernels_(kernels), geometry_(geometryOf(spec)),
        threads_(static_cast<int>(std::min<int64_t>(spec.context.threads, spec.y.batch))), sums_(spec_, threads_) {}

  void plan(MemoryPlan& plan) override {
    sums_.plan(plan);
    for (int thread = 0; thread < threads_; ++thread)
      scratch_.push_back(plan.allocate(sizeof(uint32_t) * im2colScratchWords(spec_.y.channels)));
  }

  void run(int thread, int64_t images, const std::byte* x, const std::byte* dy, bool first) override {
    const int64_t pixels = spec_.y.height * spec_.y.width * images;
    kernels_.weightGradient({spec_.y.type, productType(spec_), geometry_, pixels, x, dy, sums_.part(thread), !first, spec_.y.channels,
                             0, geometry_.columns(), 0, spec_.y.channels, scratch_[thread]->as<uint32_t>()});
  }

  void finish() override { sums_.finish(); }

 private:
  const ConvSpec spec_;
  const Im2colKernels& kernels_;
  const PatchGeometry geometry_;
  const int threads_;
  Sums sums_;
  std::vector<Buffer*> scratch_;
};

/// Of whole panels of outputs.
const Im2colKernels* kernelsFor(const ConvSpec& spec) {
  return spec.groups == 1 && spec.y.channels % kIm2colPanel == 0 ? im2colKernels(spec.x.type) : nullptr;
}

}  // namespace

bool im2colPays(const ConvSpec& spec) {
  // Rows of a patch are rounded up to whole vectors: with few channels most of the columns would be zeros.
  const PatchGeometry geometry = geometryOf(spec);
  const bool dense = 4 * spec.kernel * geometry.rowElements() >= 3 * geometry.columns();
  return dense && kernelsFor(spec) && !(spec.x.type == DataType::BFloat16 && hasMatrixTiles());
}

std::unique_ptr<ConvPass> makeIm2colBackwardWeights(const ConvSpec& spec) {
  const Im2colKernels* const kernels = kernelsFor(spec);
  if (!kernels) throw std::invalid_argument(spec.name + ": not a convolution for im2col kernels");
  return std::make_unique<Im2colBackwardWeights>(spec, *kernels);
}

bool im2colSumsInPieces(const ConvSpec& spec) {
  constexpr int64_t kMostSums = 128 * 512;  // 256 KiB for each thread, read and written with each piece
  return im2colPays(spec) && spec.y.channels * geometryOf(spec).columns() <= kMostSums;
}

std::unique_ptr<WeightsInPieces> makeIm2colWeightsInPieces(const ConvSpec& spec) {
  return std::make_unique<Im2colWeightsInPieces>(spec, *kernelsFor(spec));
}

}  // namespace residual
