// Included by pointwise_avx512*.cc after it has set the instruction set and RESIDUAL_KERNELS, its namespace.

namespace residual::RESIDUAL_KERNELS {
namespace {

#define RESIDUAL_INLINE static inline __attribute__((always_inline))

/// What a word holds: one float32, or two bfloat16 that are multiplied one by one and added.
struct Float32Words {
  using Element = float;
  static constexpr int64_t kPixels = 1;
};

RESIDUAL_INLINE __m512 multiplyAdd(Float32Words, __m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }

/// The words of 32 channels, in their order.
RESIDUAL_INLINE void packRow(const float* pixel, const float*, uint32_t* row) {
  _mm512_storeu_ps(row, _mm512_loadu_ps(pixel));
  _mm512_storeu_ps(row + 16, _mm512_loadu_ps(pixel + 16));
}

#ifdef RESIDUAL_NATIVE_BFLOAT16
struct BFloat16Words {
  using Element = bfloat16;
  static constexpr int64_t kPixels = 2;
};

RESIDUAL_INLINE __m512 multiplyAdd(BFloat16Words, __m512 sum, __m512 a, __m512 b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/// `odd` is the second pixel, or null behind the last.
RESIDUAL_INLINE void packRow(const bfloat16* even, const bfloat16* odd, uint32_t* row) {
  const __v16su lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const __m512i lower = (__m512i)(lanes | (lanes + 32) << 16), upper = (__m512i)((lanes + 16) | (lanes + 48) << 16);
  const __m512i first = _mm512_loadu_si512(even), second = odd ? _mm512_loadu_si512(odd) : __m512i{};
  _mm512_storeu_si512(row, _mm512_permutex2var_epi16(first, lower, second));
  _mm512_storeu_si512(row + 16, _mm512_permutex2var_epi16(first, upper, second));
}
#endif

/// The cache lines that the next block will read: fetched while this one is computed, a few with each register block.
class Prefetch {
 public:
  void begin(const char* x, int64_t xBytes, const int64_t* xPixels, int64_t xRowBytes, const char* dy, int64_t dyBytes,
             int64_t dyRowBytes, int64_t pixels, int64_t calls) {
    x_ = x, xPixels_ = xPixels, xRowBytes_ = xRowBytes, dy_ = dy, dyRowBytes_ = dyRowBytes;
    xLines_ = (xBytes + 63) / 64, lines_ = xLines_ + (dyBytes + 63) / 64;
    pixels_ = pixels, pixel_ = line_ = 0;
    perCall_ = (pixels * lines_ + calls - 1) / calls;
  }

  /// One address for each of kPointwiseDepth multiplications; those without a line of their own repeat `idle`.
  const char* const* next(const void* idle) {
    int64_t count = 0;
    for (const int64_t most = perCall_ < kPointwiseDepth ? perCall_ : kPointwiseDepth; count < most && pixel_ < pixels_; ++count) {
      addresses_[count] = line_ < xLines_ ? x_ + (xPixels_ ? xPixels_[pixel_] : pixel_) * xRowBytes_ + 64 * line_
                                          : dy_ + pixel_ * dyRowBytes_ + 64 * (line_ - xLines_);
      if (++line_ == lines_) line_ = 0, ++pixel_;
    }
    for (int64_t rest = count; rest < filled_; ++rest) addresses_[rest] = static_cast<const char*>(idle);
    filled_ = count;
    return addresses_;
  }

 private:
  const char *x_, *dy_;
  const int64_t* xPixels_;
  int64_t xRowBytes_, dyRowBytes_, xLines_, lines_, pixels_, pixel_, line_, perCall_;
  int64_t filled_ = kPointwiseDepth;
  const char* addresses_[kPointwiseDepth];
};

/// gradient (kOutputs, 32) = or += tile (depth, kOutputs)^T * panel (depth, 32); the tile's rows lie `tileStride` words apart.
template <int kOutputs, class Words>
__attribute__((noinline)) void multiplyTile(Words tag, const uint32_t* tile, int64_t tileStride, const uint32_t* panel, int64_t depth,
                                            float* gradient, int64_t rowStride, bool first, const char* const* prefetch) {
  __m512 sums[kOutputs][2];
#pragma GCC unroll 14
  for (int o = 0; o < kOutputs; ++o) {
    sums[o][0] = sums[o][1] = _mm512_setzero_ps();
    _mm_prefetch(reinterpret_cast<const char*>(gradient + o * rowStride), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(gradient + o * rowStride + 16), _MM_HINT_T0);
  }
  for (int64_t d = 0; d < depth; ++d, tile += tileStride, panel += 32) {
    _mm_prefetch(prefetch[d], _MM_HINT_T1);
    const __m512 left = _mm512_load_ps(panel), right = _mm512_load_ps(panel + 16);
#pragma GCC unroll 14
    for (int o = 0; o < kOutputs; ++o) {
      const __m512 word = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(tile[o])));
      sums[o][0] = multiplyAdd(tag, sums[o][0], word, left);
      sums[o][1] = multiplyAdd(tag, sums[o][1], word, right);
    }
  }
#pragma GCC unroll 14
  for (int o = 0; o < kOutputs; ++o) {
    float* const row = gradient + o * rowStride;
    if (!first) {
      sums[o][0] = _mm512_add_ps(sums[o][0], _mm512_loadu_ps(row));
      sums[o][1] = _mm512_add_ps(sums[o][1], _mm512_loadu_ps(row + 16));
    }
    _mm512_storeu_ps(row, sums[o][0]);
    _mm512_storeu_ps(row + 16, sums[o][1]);
  }
}

template <class Words>
using Multiply = void (*)(Words, const uint32_t*, int64_t, const uint32_t*, int64_t, float*, int64_t, bool, const char* const*);

/// By the number of outputs.
template <class Words>
constexpr Multiply<Words> kMultiply[kPointwiseTile + 1] = {
    nullptr,                 multiplyTile<1, Words>,  multiplyTile<2, Words>,  multiplyTile<3, Words>,  multiplyTile<4, Words>,
    multiplyTile<5, Words>,  multiplyTile<6, Words>,  multiplyTile<7, Words>,  multiplyTile<8, Words>,  multiplyTile<9, Words>,
    multiplyTile<10, Words>, multiplyTile<11, Words>, multiplyTile<12, Words>, multiplyTile<13, Words>, multiplyTile<14, Words>};

template <class Words>
class WeightGradient {
  using Element = typename Words::Element;

 public:
  explicit WeightGradient(const PointwiseGradientArguments& a)
      : a_(a), outputs_(a.endOutput - a.firstOutput), tiles_(pointwiseTiles(outputs_)), rowWords_(pointwiseRowWords(outputs_)), dyWords_(a.scratch),
        panelWords_(a.scratch + kPointwiseDepth * rowWords_) {}

  void run() {
    constexpr int64_t kBlock = kPointwiseDepth * Words::kPixels;
    for (int64_t pixel = 0; pixel < a_.pixels; pixel += kBlock) {
      const int64_t end = least(pixel + kBlock, a_.pixels), depth = (end - pixel + Words::kPixels - 1) / Words::kPixels;
      prefetchBlock(end, least(end + kBlock, a_.pixels));
      packRows(pixel, end, depth);
      for (int64_t input = a_.firstInput; input < a_.endInput; input += kPointwiseInputs) {
        const int64_t endInput = least(input + kPointwiseInputs, a_.endInput);
        packPanels(pixel, end, depth, input, endInput);
        multiply(depth, input, endInput, pixel == 0 && !a_.accumulate);
      }
    }
  }

 private:
  static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
  int64_t firstOf(int64_t tile) const { return outputs_ * tile / tiles_; }
  const Element* xRow(int64_t pixel) const {
    return static_cast<const Element*>(a_.x) + (a_.xPixels ? a_.xPixels[pixel] : pixel) * a_.inputs;
  }
  const Element* dyRow(int64_t pixel) const { return static_cast<const Element*>(a_.dy) + pixel * a_.outputs + a_.firstOutput; }

  void prefetchBlock(int64_t pixel, int64_t end) {
    const int64_t inputs = a_.endInput - a_.firstInput;
    constexpr int64_t kBytes = sizeof(Element);
    const Element* const x = static_cast<const Element*>(a_.x) + a_.firstInput + (a_.xPixels ? 0 : pixel * a_.inputs);
    prefetch_.begin(reinterpret_cast<const char*>(x), inputs * kBytes, a_.xPixels ? a_.xPixels + pixel : nullptr,
                    a_.inputs * kBytes, reinterpret_cast<const char*>(dyRow(pixel)), outputs_ * kBytes,
                    a_.outputs * kBytes, end - pixel, tiles_ * (inputs / kPointwisePanel));
  }

  void packRows(int64_t pixel, int64_t end, int64_t depth) {
    for (int64_t d = 0; d < depth; ++d, pixel += Words::kPixels) {
      const Element* const even = dyRow(pixel);
      const Element* const odd = pixel + 1 < end ? even + a_.outputs : nullptr;
      uint32_t* const row = dyWords_ + rowWords_ * d;
      for (int64_t o = 0; o < outputs_; o += kPointwisePanel) packRow(even + o, odd ? odd + o : nullptr, row + o);
    }
  }

  void packPanels(int64_t pixel, int64_t end, int64_t depth, int64_t input, int64_t endInput) {
    for (int64_t d = 0; d < depth; ++d, pixel += Words::kPixels) {
      const Element* const even = xRow(pixel);
      const Element* const odd = pixel + 1 < end ? xRow(pixel + 1) : nullptr;
      uint32_t* row = panelWords_ + 32 * d;
      for (int64_t i = input; i < endInput; i += kPointwisePanel, row += kPointwisePanelWords)
        packRow(even + i, odd ? odd + i : nullptr, row);
    }
  }

  void multiply(int64_t depth, int64_t input, int64_t endInput, bool first) {
    for (int64_t tile = 0; tile < tiles_; ++tile) {
      const int64_t output = firstOf(tile), count = firstOf(tile + 1) - output;
      float* const row = a_.gradient + (a_.firstOutput + output) * a_.inputs;
      const uint32_t* panel = panelWords_;
      for (int64_t i = input; i < endInput; i += kPointwisePanel, panel += kPointwisePanelWords)
        kMultiply<Words>[count](Words{}, dyWords_ + output, rowWords_, panel, depth, row + i, a_.inputs, first,
                                prefetch_.next(dyWords_));
    }
  }

  const PointwiseGradientArguments& a_;
  const int64_t outputs_, tiles_, rowWords_;
  uint32_t *const dyWords_, *const panelWords_;
  Prefetch prefetch_;
};

void weightGradient(const PointwiseGradientArguments& arguments) {
#ifdef RESIDUAL_NATIVE_BFLOAT16
  if (arguments.type == DataType::BFloat16) return WeightGradient<BFloat16Words>(arguments).run();
#endif
  WeightGradient<Float32Words>(arguments).run();
}

}  // namespace

extern const PointwiseKernels pointwiseTable;
const PointwiseKernels pointwiseTable{weightGradient};

}  // namespace residual::RESIDUAL_KERNELS
