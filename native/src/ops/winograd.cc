#include "winograd.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "bias_gradient.h"
#include "kernels.h"
#include "parallel.h"
#include "winograd_kernels.h"

namespace residual {

#ifdef __x86_64__
namespace kernels_avx512 {
extern const WinogradKernels winograd;
}
namespace kernels_avx512_bf16 {
extern const WinogradKernels winograd;
}
#endif

const WinogradKernels* winogradKernels(DataType type) {
#ifdef __x86_64__
  static const std::string isa = effectiveIsa();
  if (isa == "avx512_core_bf16") return &kernels_avx512_bf16::winograd;
  if (isa.rfind("avx512", 0) == 0 && type == DataType::Float32) return &kernels_avx512::winograd;
#endif
  (void)type;
  return nullptr;
}

namespace {

constexpr int64_t kLineWords = 64 / sizeof(Word);
constexpr int64_t kBlockRows = 8;

int64_t roundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// A distance between planes at which the 16 of them fall into different sets of a cache: an odd number of lines.
int64_t planeStride(int64_t words) { return (roundUp(words, kLineWords) / kLineWords | 1) * kLineWords; }

/// Likewise for rows that are read one beside the other.
int64_t rowStride(int64_t words) { return words % 128 == 0 ? words + kLineWords : words; }

int64_t tilesOf(const Value& value) { return value.batch * ((value.height + 1) / 2) * ((value.width + 1) / 2); }

Tiles tiles(const Value& value, const std::byte* data, int64_t first, int64_t end) {
  return {value.type, const_cast<std::byte*>(data), value.channels, value.height, value.width, first, end, 0, value.channels};
}

/// Forward, and backward data, which is the same with other weights.
class WinogradConv final : public ConvPass, public ActivationInPieces {
 public:
  WinogradConv(const ConvSpec& spec, bool backward)
      : spec_(spec), backward_(backward), source_(backward ? spec.y : spec.x), destination_(backward ? spec.x : spec.y),
        kernels_(*winogradKernels(source_.type)), depth_(source_.channels * sizeOf(source_.type) / sizeof(Word)),
        columns_(std::min<int64_t>(destination_.channels, kColumns)), sourceRow_(rowStride(depth_)),
        tiles_(blockTiles()), weightPlane_(planeStride(depth_ * destination_.channels)),
        sourcePlane_(planeStride(tiles_ * sourceRow_)), productPlane_(planeStride(tiles_ * columns_)) {}

  void plan(MemoryPlan& plan) override {
    weights_ = plan.allocate(kWinogradPlanes * weightPlane_ * sizeof(Word));
    for (int thread = 0; thread < spec_.context.threads; ++thread)
      scratch_.push_back(plan.allocate(kWinogradPlanes * (sourcePlane_ + productPlane_) * sizeof(Word)));
  }

  void bind(const Buffer* source, const Buffer* destination) override {
    from_ = source;
    to_ = destination;
  }

  void bind() override {}

  void prepare() override {
    parallelFor(spec_.context.threads, [&](int thread) { transformWeights(thread); });
  }

  void execute() override {
    const int threads = spec_.context.threads;
    prepare();
    parallelFor(threads, [&](int thread) {
      const auto [begin, end] = share(tilesOf(source_), threads, thread);
      blocks(thread, from_->data, to_->data, begin, end);
    });
  }

  void run(int thread, int64_t images, const std::byte* from, std::byte* to) override {
    blocks(thread, from, to, 0, tilesOf(source_) / source_.batch * images);
  }

 private:
  /// Of the product at a time.
  static constexpr int64_t kColumns = 2 * kPanel;

  /// So many that source and product stay in the cache of the second level; more where the weights do not and would have
  /// to come from further away too often.
  int64_t blockTiles() const {
    const int64_t bytesPerTile = kWinogradPlanes * (sourceRow_ + columns_) * sizeof(Word);
    const int64_t weightBytes = kWinogradPlanes * depth_ * destination_.channels * sizeof(Word);
    const int64_t least = weightBytes > (1 << 20) ? 64 : 8;
    const int64_t most = roundUp(roundUp(tilesOf(source_), spec_.context.threads) / spec_.context.threads, kBlockRows);
    return std::min(most, std::clamp<int64_t>((96 << 10) / bytesPerTile, least, 128) / kBlockRows * kBlockRows);
  }

  void transformWeights(int thread) {
    const int64_t channels = source_.channels;
    const auto [begin, end] = share(channels / 2, spec_.context.threads, thread);
    kernels_.transformWeights({source_.type, spec_.weight.value, spec_.y.channels, spec_.x.channels, backward_, weights_->as<Word>(),
                               weightPlane_, 2 * begin, 2 * end});
  }

  void blocks(int thread, const std::byte* from, std::byte* to, int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += tiles_) block(*scratch_[thread], from, to, first, std::min(first + tiles_, end));
  }

  void block(const Buffer& scratch, const std::byte* from, std::byte* to, int64_t first, int64_t end) {
    const Planes source{scratch.as<Word>(), sourcePlane_, sourceRow_};
    const Planes product{source.data + kWinogradPlanes * sourcePlane_, productPlane_, columns_};
    kernels_.transformInput({tiles(source_, from, first, end), source});
    for (int64_t column = 0; column < destination_.channels; column += columns_) {
      const int64_t columns = std::min(columns_, destination_.channels - column);
      kernels_.multiply({source_.type, end - first, columns, depth_, source.data, sourcePlane_, sourceRow_, 1,
                         weights_->as<Word>() + column * depth_, weightPlane_, 0, true,
                         reinterpret_cast<float*>(product.data), productPlane_, columns_, false});
      Tiles made = tiles(destination_, to, first, end);
      made.firstChannel = column;
      made.endChannel = column + columns;
      const float* const bias = spec_.bias && !backward_ ? spec_.bias->value + column : nullptr;
      kernels_.transformOutput({product, made, bias});
    }
  }

  const ConvSpec spec_;
  const bool backward_;
  const Value& source_;
  const Value& destination_;
  const WinogradKernels& kernels_;
  const int64_t depth_, columns_, sourceRow_, tiles_, weightPlane_, sourcePlane_, productPlane_;
  Buffer* weights_ = nullptr;
  std::vector<Buffer*> scratch_;
  const Buffer *from_ = nullptr, *to_ = nullptr;
};

/// Sums beyond what caches hold are not kept once per thread: so many of the threads divide the outputs instead.
int outputPartsOf(const ConvSpec& spec) {
  constexpr int64_t kLargest = 128 * 128;
  const int64_t wanted = roundUp(spec.x.channels * spec.y.channels, kLargest) / kLargest;
  int parts = 1;
  for (int candidate = 1; candidate <= std::min(wanted, spec.y.channels / kPanel); ++candidate)
    if (spec.context.threads % candidate == 0) parts = candidate;
  return parts;
}

/// The threads divide the tiles, and the sums are added in the threads' order; where the sums are large, some of the
/// threads divide the output channels instead.
class WinogradWeights final : public ConvPass, public WeightsInPieces {
 public:
  /// `tileUnits`: what of the batch threads may divide among them, tiles or images.
  WinogradWeights(const ConvSpec& spec, int64_t tileUnits)
      : spec_(spec), kernels_(*winogradKernels(spec.x.type)), perRow_(sizeof(Word) / sizeOf(spec.x.type)),
        outputParts_(outputPartsOf(spec)), tileParts_(std::max<int>(1, std::min<int64_t>(spec.context.threads / outputParts_, tileUnits))),
        xRow_(rowStride(spec.x.channels)), dyRow_(rowStride(outputsOfPart())), tiles_(blockTiles()),
        xPlane_(planeStride(tiles_ / perRow_ * xRow_)), dyPlane_(planeStride(tiles_ / perRow_ * dyRow_)),
        sumPlane_(planeStride(spec.x.channels * outputsOfPart())) {
    if (spec.bias) bias_.emplace(spec_);
  }

  void plan(MemoryPlan& plan) override {
    sums_ = plan.allocate(outputParts_ * tileParts_ * kWinogradPlanes * sumPlane_ * sizeof(float));
    for (int part = 0; part < outputParts_ * tileParts_; ++part)
      scratch_.push_back(plan.allocate(kWinogradPlanes * (xPlane_ + dyPlane_) * sizeof(Word)));
    if (bias_) bias_->plan(plan);
  }

  void bind(const Buffer* x, const Buffer* dy) override {
    x_ = x;
    dy_ = dy;
  }

  void execute() override {
    parallelFor(outputParts_ * tileParts_, [&](int part) {
      const auto [begin, end] = share(tilesOf(spec_.x), tileParts_, part % tileParts_);
      sumTiles(part / tileParts_, part % tileParts_, x_->data, dy_->data, begin, end, true);
    });
    parallelFor(spec_.context.threads, [&](int thread) { transformSums(thread); });
    if (bias_) bias_->execute(*dy_);
  }

  void run(int thread, int64_t images, const std::byte* x, const std::byte* dy, bool first) override {
    sumTiles(0, thread, x, dy, 0, tilesOf(spec_.x) / spec_.x.batch * images, first);
  }

  void finish() override {
    parallelFor(spec_.context.threads, [&](int thread) { transformSums(thread); });
  }

 private:
  /// So many that the sums, which each block reads and writes, are worth their way where no cache holds them.
  int64_t blockTiles() const {
    const int64_t sumBytes = kWinogradPlanes * spec_.x.channels * outputsOfPart() * sizeof(float);
    const int64_t most = roundUp(roundUp(tilesOf(spec_.x), tileParts_) / tileParts_, kBlockRows);
    return std::min<int64_t>(most, sumBytes > (4 << 20) ? 512 : 256);
  }

  std::pair<int64_t, int64_t> outputs(int outputPart) const {
    const auto [begin, end] = share(roundUp(spec_.y.channels, kPanel) / kPanel, outputParts_, outputPart);
    return {begin * kPanel, std::min(end * kPanel, spec_.y.channels)};
  }

  /// At most.
  int64_t outputsOfPart() const {
    int64_t most = 0;
    for (int part = 0; part < outputParts_; ++part) most = std::max(most, outputs(part).second - outputs(part).first);
    return most;
  }

  float* sums(int outputPart, int tilePart) const {
    return sums_->as<float>() + (outputPart * tileParts_ + tilePart) * kWinogradPlanes * sumPlane_;
  }

  void sumTiles(int outputPart, int tilePart, const std::byte* xData, const std::byte* dyData, int64_t begin, int64_t end,
                bool fromZero) {
    const auto [firstOutput, endOutput] = outputs(outputPart);
    const Planes x{scratch_[outputPart * tileParts_ + tilePart]->as<Word>(), xPlane_, xRow_};
    const Planes dy{x.data + kWinogradPlanes * xPlane_, dyPlane_, dyRow_};
    for (int64_t first = begin; first < end; first += tiles_) {
      const int64_t last = std::min(first + tiles_, end);
      Tiles gradients = tiles(spec_.y, dyData, first, last);
      gradients.firstChannel = firstOutput;
      gradients.endChannel = endOutput;
      kernels_.transformInputPairs({tiles(spec_.x, xData, first, last), x});
      kernels_.transformGradientPairs({gradients, dy});
      kernels_.multiply({spec_.x.type, spec_.x.channels, endOutput - firstOutput, roundUp(last - first, perRow_) / perRow_, x.data,
                         xPlane_, 1, xRow_, dy.data, dyPlane_, dyRow_, false, sums(outputPart, tilePart), sumPlane_,
                         outputsOfPart(), first > begin || !fromZero});
    }
  }

  void transformSums(int thread) {
    const auto [firstInput, endInput] = share(spec_.x.channels, spec_.context.threads, thread);
    for (int part = 0; part < outputParts_; ++part) {
      const auto [firstOutput, endOutput] = outputs(part);
      kernels_.weightGradient({sums(part, 0), tileParts_, kWinogradPlanes * sumPlane_, sumPlane_, outputsOfPart(),
                               spec_.weight.gradient, spec_.x.channels, firstOutput, endOutput, firstInput, endInput});
    }
  }

  const ConvSpec spec_;
  const WinogradKernels& kernels_;
  /// Tiles per row of a plane.
  const int64_t perRow_;
  const int outputParts_, tileParts_;
  const int64_t xRow_, dyRow_, tiles_, xPlane_, dyPlane_, sumPlane_;
  Buffer* sums_ = nullptr;
  std::vector<Buffer*> scratch_;
  std::optional<BiasGradient> bias_;
  const Buffer *x_ = nullptr, *dy_ = nullptr;
};

}  // namespace

bool winogradPays(const ConvSpec& spec) {
  if (spec.kernel != 3 || spec.stride != 1 || spec.padding != 1 || spec.groups != 1) return false;
  if (!winogradKernels(spec.x.type) || hasMatrixTiles()) return false;
  return spec.x.channels % 16 == 0 && spec.y.channels % 16 == 0;
}

std::unique_ptr<ConvPass> makeWinogradForward(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, false); }
std::unique_ptr<ConvPass> makeWinogradBackwardData(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, true); }
std::unique_ptr<ConvPass> makeWinogradBackwardWeights(const ConvSpec& spec) { return std::make_unique<WinogradWeights>(spec, tilesOf(spec.x)); }

bool winogradSumsInPieces(const ConvSpec& spec) { return outputPartsOf(spec) == 1; }
std::unique_ptr<ActivationInPieces> makeWinogradForwardInPieces(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, false); }
std::unique_ptr<ActivationInPieces> makeWinogradDataInPieces(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, true); }
std::unique_ptr<WeightsInPieces> makeWinogradWeightsInPieces(const ConvSpec& spec) {
  return std::make_unique<WinogradWeights>(spec, spec.x.batch);
}

}  // namespace residual
