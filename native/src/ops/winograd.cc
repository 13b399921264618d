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
extern const WinogradKernels winograd2, winograd4;
}
namespace kernels_avx512_bf16 {
extern const WinogradKernels winograd2, winograd4;
}
#endif

const WinogradKernels* winogradKernels(DataType type, int64_t outputs) {
#ifdef __x86_64__
  static const std::string isa = effectiveIsa();
  if (isa == "avx512_core_bf16") return outputs == 4 ? &kernels_avx512_bf16::winograd4 : &kernels_avx512_bf16::winograd2;
  if (isa.rfind("avx512", 0) == 0 && type == DataType::Float32)
    return outputs == 4 ? &kernels_avx512::winograd4 : &kernels_avx512::winograd2;
#endif
  (void)type;
  (void)outputs;
  return nullptr;
}

namespace {

constexpr int64_t kLineWords = 64 / sizeof(Word);
constexpr int64_t kBlockRows = 8;

int64_t roundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// A distance between planes at which they fall into different sets of a cache: an odd number of lines.
int64_t planeStride(int64_t words) { return (roundUp(words, kLineWords) / kLineWords | 1) * kLineWords; }

/// Likewise for rows that are read one beside the other.
int64_t rowStride(int64_t words) { return words % 128 == 0 ? words + kLineWords : words; }

int64_t tilesOf(const Value& value, int64_t outputs) {
  return value.batch * (roundUp(value.height, outputs) / outputs) * (roundUp(value.width, outputs) / outputs);
}

/// The larger tiles round three times as much, which float32 can bear and bfloat16 cannot. They pay where not so much of them lies
/// outside of the image that two thirds of the multiplications remain.
bool largeTilesPay(const ConvSpec& spec) {
  if (productType(spec) != DataType::Float32) return false;
  return 3 * 36 * tilesOf(spec.x, 4) <= 2 * 16 * tilesOf(spec.x, 2);
}

const WinogradKernels& kernelsOf(const ConvSpec& spec, bool largeTiles) { return *winogradKernels(spec.x.type, largeTiles ? 4 : 2); }

/// For the weights of a whole layer, or sums of them, that caches hold.
constexpr int64_t kFewWeights = 128 * 128;

bool hasFewWeights(const ConvSpec& spec) { return spec.x.channels * spec.y.channels <= kFewWeights; }

Tiles tiles(const Value& value, const std::byte* data, int64_t first, int64_t end) {
  return {value.type, const_cast<std::byte*>(data), value.channels, value.height, value.width, first, end, 0, value.channels};
}

/// Forward, and backward data, which is the same with other weights. The threads divide the tiles, or, where the weights are
/// more than what all tiles are transformed into, the columns of the product: then each transforms its weights a panel at a
/// time, right before it multiplies with them, and they never are in memory as a whole.
class WinogradConv final : public ActivationPass {
 public:
  WinogradConv(const ConvSpec& spec, bool backward, bool inPieces)
      : ActivationPass(spec, backward),
        kernels_(kernelsOf(spec, largeTilesPay(spec) && (!inPieces || hasFewWeights(spec)))), planes_(kernels_.planes()),
        type_(productType(spec)), depth_(source_.channels * sizeOf(type_) / sizeof(Word)),
        byColumns_(!inPieces && byColumnsPays()),
        columns_(byColumns_ ? kPanel : std::min(destination_.channels, kColumns)), sourceRow_(rowStride(depth_)),
        tiles_(blockTiles()), weightPlane_(planeStride(depth_ * (byColumns_ ? columns_ : destination_.channels))),
        sourcePlane_(planeStride(tiles_ * sourceRow_)), productPlane_(planeStride(tiles_ * columns_)) {}

  void plan(MemoryPlan& plan) override {
    for (int copy = 0; copy < (byColumns_ ? spec_.context.threads : 1); ++copy)
      weights_.push_back(plan.allocate(planes_ * weightPlane_ * sizeof(Word)));
    for (int thread = 0; thread < spec_.context.threads; ++thread)
      scratch_.push_back(plan.allocate(planes_ * (sourcePlane_ + productPlane_) * sizeof(Word)));
  }

  void prepare() override {
    parallelFor(spec_.context.threads, [&](int thread) {
      const auto [begin, end] = share(source_.channels / 2, spec_.context.threads, thread);
      transformWeights(weights_[0]->as<Word>(), 0, destination_.channels, 2 * begin, 2 * end);
    });
  }

  void execute() override {
    const int threads = spec_.context.threads;
    if (byColumns_) return parallelFor(threads, [&](int thread) { columnsOf(thread); });
    prepare();
    parallelFor(threads, [&](int thread) {
      const auto [begin, end] = share(tilesOf(source_, kernels_.outputs), threads, thread);
      blocks(thread, from_->data, to_->data, begin, end);
    });
  }

  void run(int thread, int64_t images, const std::byte* from, std::byte* to) override {
    blocks(thread, from, to, 0, tilesOf(source_, kernels_.outputs) / source_.batch * images);
  }

 private:
  /// Of the product at a time.
  static constexpr int64_t kColumns = 2 * kPanel;

  int64_t weightBytes() const { return planes_ * depth_ * destination_.channels * sizeof(Word); }

  /// Each thread transforms all tiles for itself, into what a cache of the third level should hold.
  bool byColumnsPays() const {
    constexpr int64_t kManyBytes = 8 << 20, kMostTiles = 128;
    const int64_t tiles = tilesOf(source_, kernels_.outputs);
    return weightBytes() > kManyBytes && tiles <= kMostTiles && tiles < destination_.channels &&
           destination_.channels % (kPanel * spec_.context.threads) == 0;
  }

  /// So many that source and product stay in the cache of the second level; more where the weights do not and would have
  /// to come from further away too often.
  int64_t blockTiles() const {
    if (byColumns_) return roundUp(tilesOf(source_, kernels_.outputs), kBlockRows);
    const int64_t bytesPerTile = planes_ * (sourceRow_ + columns_) * sizeof(Word);
    const int64_t least = weightBytes() > (1 << 20) ? 64 : 8;
    const int64_t most = roundUp(roundUp(tilesOf(source_, kernels_.outputs), spec_.context.threads) / spec_.context.threads, kBlockRows);
    return std::min(most, std::clamp<int64_t>((96 << 10) / bytesPerTile, least, 128) / kBlockRows * kBlockRows);
  }

  void transformWeights(Word* planes, int64_t firstColumn, int64_t endColumn, int64_t firstDepth, int64_t endDepth) const {
    kernels_.transformWeights({type_, spec_.weight.value, spec_.y.channels, spec_.x.channels, backward_, planes, weightPlane_,
                               firstColumn, endColumn, firstDepth, endDepth});
  }

  void columnsOf(int thread) {
    const int64_t tiles = tilesOf(source_, kernels_.outputs);
    const auto [begin, end] = share(destination_.channels / columns_, spec_.context.threads, thread);
    transformInput(thread, from_->data, 0, tiles);
    for (int64_t column = begin * columns_; column < end * columns_; column += columns_) {
      Word* const weights = weights_[thread]->as<Word>();
      transformWeights(weights, column, column + columns_, 0, source_.channels);
      product(thread, weights, to_->data, 0, tiles, column, column + columns_);
    }
  }

  void blocks(int thread, const std::byte* from, std::byte* to, int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += tiles_) {
      const int64_t last = std::min(first + tiles_, end);
      transformInput(thread, from, first, last);
      for (int64_t column = 0; column < destination_.channels; column += columns_)
        product(thread, weights_[0]->as<Word>() + column * depth_, to, first, last, column, std::min(column + columns_, destination_.channels));
    }
  }

  Planes source(int thread) const { return {type_, scratch_[thread]->as<Word>(), sourcePlane_, sourceRow_}; }

  void transformInput(int thread, const std::byte* from, int64_t first, int64_t end) {
    kernels_.transformInput({tiles(source_, from, first, end), source(thread)});
  }

  void product(int thread, const Word* weights, std::byte* to, int64_t first, int64_t end, int64_t column, int64_t endColumn) {
    const Planes from = source(thread), product{DataType::Float32, from.data + planes_ * sourcePlane_, productPlane_, columns_};
    kernels_.multiply({type_, planes_, end - first, endColumn - column, depth_, from.data, sourcePlane_, sourceRow_, 1, weights,
                       weightPlane_, 0, true, reinterpret_cast<float*>(product.data), productPlane_, columns_, false});
    Tiles made = tiles(destination_, to, first, end);
    made.firstChannel = column;
    made.endChannel = endColumn;
    kernels_.transformOutput({product, made, spec_.bias && !backward_ ? spec_.bias->value + column : nullptr});
  }

  const WinogradKernels& kernels_;
  const int64_t planes_;
  const DataType type_;
  const int64_t depth_;
  const bool byColumns_;
  const int64_t columns_, sourceRow_, tiles_, weightPlane_, sourcePlane_, productPlane_;
  std::vector<Buffer*> weights_, scratch_;
};

/// Sums beyond what caches hold are not kept once per thread: so many of the threads divide the outputs instead.
int outputPartsOf(const ConvSpec& spec) {
  const int64_t wanted = roundUp(spec.x.channels * spec.y.channels, kFewWeights) / kFewWeights;
  int parts = 1;
  for (int candidate = 1; candidate <= std::min(wanted, spec.y.channels / kPanel); ++candidate)
    if (spec.context.threads % candidate == 0) parts = candidate;
  return parts;
}

/// Sums over large tiles take more than twice the memory.
const WinogradKernels& weightKernels(const ConvSpec& spec) { return kernelsOf(spec, largeTilesPay(spec) && hasFewWeights(spec)); }

/// The threads divide the tiles, and the sums are added in the threads' order; where the sums are large, some of the
/// threads divide the output channels instead.
class WinogradWeights final : public ConvPass, public WeightsInPieces {
 public:
  /// `tileUnits`: what of the batch threads may divide among them, tiles or images.
  WinogradWeights(const ConvSpec& spec, int64_t tileUnits)
      : spec_(spec), kernels_(weightKernels(spec)), planes_(kernels_.planes()), type_(productType(spec)), perRow_(sizeof(Word) / sizeOf(type_)),
        outputParts_(outputPartsOf(spec)), tileParts_(std::max<int>(1, std::min<int64_t>(spec.context.threads / outputParts_, tileUnits))),
        xRow_(rowStride(spec.x.channels)), dyRow_(rowStride(outputsOfPart())), tiles_(blockTiles()),
        xPlane_(planeStride(tiles_ / perRow_ * xRow_)), dyPlane_(planeStride(tiles_ / perRow_ * dyRow_)),
        sumPlane_(planeStride(spec.x.channels * outputsOfPart())) {
    if (spec.bias) bias_.emplace(spec_);
  }

  void plan(MemoryPlan& plan) override {
    sums_ = plan.allocate(outputParts_ * tileParts_ * planes_ * sumPlane_ * sizeof(float));
    for (int part = 0; part < outputParts_ * tileParts_; ++part)
      scratch_.push_back(plan.allocate(planes_ * (xPlane_ + dyPlane_) * sizeof(Word)));
    if (bias_) bias_->plan(plan);
  }

  void bind(const Buffer* x, const Buffer* dy) override {
    x_ = x;
    dy_ = dy;
  }

  void execute() override {
    parallelFor(outputParts_ * tileParts_, [&](int part) {
      const auto [begin, end] = share(tilesOf(spec_.x, kernels_.outputs), tileParts_, part % tileParts_);
      sumTiles(part / tileParts_, part % tileParts_, x_->data, dy_->data, begin, end, true);
    });
    parallelFor(spec_.context.threads, [&](int thread) { transformSums(thread); });
    if (bias_) bias_->execute(*dy_);
  }

  void run(int thread, int64_t images, const std::byte* x, const std::byte* dy, bool first) override {
    sumTiles(0, thread, x, dy, 0, tilesOf(spec_.x, kernels_.outputs) / spec_.x.batch * images, first);
  }

  void finish() override {
    parallelFor(spec_.context.threads, [&](int thread) { transformSums(thread); });
  }

 private:
  /// So many that the sums, which each block reads and writes, are worth their way where no cache holds them. What large tiles
  /// are transformed into would itself leave the cache of the second level.
  int64_t blockTiles() const {
    const int64_t sumBytes = planes_ * spec_.x.channels * outputsOfPart() * sizeof(float);
    const int64_t most = roundUp(roundUp(tilesOf(spec_.x, kernels_.outputs), tileParts_) / tileParts_, kBlockRows);
    if (kernels_.outputs > 2) return std::min<int64_t>(most, 64);
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
    return sums_->as<float>() + (outputPart * tileParts_ + tilePart) * planes_ * sumPlane_;
  }

  void sumTiles(int outputPart, int tilePart, const std::byte* xData, const std::byte* dyData, int64_t begin, int64_t end,
                bool fromZero) {
    const auto [firstOutput, endOutput] = outputs(outputPart);
    const Planes x{type_, scratch_[outputPart * tileParts_ + tilePart]->as<Word>(), xPlane_, xRow_};
    const Planes dy{type_, x.data + planes_ * xPlane_, dyPlane_, dyRow_};
    for (int64_t first = begin; first < end; first += tiles_) {
      const int64_t last = std::min(first + tiles_, end);
      Tiles gradients = tiles(spec_.y, dyData, first, last);
      gradients.firstChannel = firstOutput;
      gradients.endChannel = endOutput;
      kernels_.transformInputPairs({tiles(spec_.x, xData, first, last), x});
      kernels_.transformGradientPairs({gradients, dy});
      kernels_.multiply({type_, planes_, spec_.x.channels, endOutput - firstOutput, roundUp(last - first, perRow_) / perRow_, x.data,
                         xPlane_, 1, xRow_, dy.data, dyPlane_, dyRow_, false, sums(outputPart, tilePart), sumPlane_,
                         outputsOfPart(), first > begin || !fromZero});
    }
  }

  void transformSums(int thread) {
    const auto [firstInput, endInput] = share(spec_.x.channels, spec_.context.threads, thread);
    for (int part = 0; part < outputParts_; ++part) {
      const auto [firstOutput, endOutput] = outputs(part);
      kernels_.weightGradient({sums(part, 0), tileParts_, planes_ * sumPlane_, sumPlane_, outputsOfPart(),
                               spec_.weight.gradient, spec_.x.channels, firstOutput, endOutput, firstInput, endInput});
    }
  }

  const ConvSpec spec_;
  const WinogradKernels& kernels_;
  const int64_t planes_;
  const DataType type_;
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

std::unique_ptr<ConvPass> makeWinogradForward(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, false, false); }
std::unique_ptr<ConvPass> makeWinogradBackwardData(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, true, false); }
std::unique_ptr<ConvPass> makeWinogradBackwardWeights(const ConvSpec& spec) {
  return std::make_unique<WinogradWeights>(spec, tilesOf(spec.x, weightKernels(spec).outputs));
}

bool winogradSumsInPieces(const ConvSpec& spec) { return outputPartsOf(spec) == 1; }
std::unique_ptr<ActivationInPieces> makeWinogradForwardInPieces(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, false, true); }
std::unique_ptr<ActivationInPieces> makeWinogradDataInPieces(const ConvSpec& spec) { return std::make_unique<WinogradConv>(spec, true, true); }
std::unique_ptr<WeightsInPieces> makeWinogradWeightsInPieces(const ConvSpec& spec) {
  return std::make_unique<WinogradWeights>(spec, spec.x.batch);
}

}  // namespace residual
