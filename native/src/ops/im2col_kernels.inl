// Included by im2col_avx512*.cc after it has set the instruction set and RESIDUAL_KERNELS, its namespace.

namespace residual::RESIDUAL_KERNELS {
namespace {

#include "vectors.inl"

/// What a word holds: one float32, or two bfloat16 that are multiplied one by one and added.
struct Float32Words {
  using Element = float;
  static constexpr int64_t kPixels = 1;
};

RESIDUAL_INLINE __m512 multiplyAdd(Float32Words, __m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }

/// The words of 16 columns; those that are not in the mask are zeros.
RESIDUAL_INLINE __m512i words(Float32Words, const float* even, __mmask16 mask, const float*, __mmask16) {
  return _mm512_castps_si512(_mm512_maskz_loadu_ps(mask, even));
}

/// The words of 32 outputs, in their order.
RESIDUAL_INLINE void packRow(Float32Words, const float* pixel, const float*, uint32_t* row) {
  _mm512_storeu_ps(row, _mm512_loadu_ps(pixel));
  _mm512_storeu_ps(row + 16, _mm512_loadu_ps(pixel + 16));
}

#ifdef RESIDUAL_NATIVE_BFLOAT16
/// Made of bfloat16.
struct WidenedWords : Float32Words {
  using Element = bfloat16;
};

RESIDUAL_INLINE __m512i widened(__m256i halves) { return _mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16); }

RESIDUAL_INLINE __m512i words(WidenedWords, const bfloat16* even, __mmask16 mask, const bfloat16*, __mmask16) {
  return widened(_mm256_maskz_loadu_epi16(mask, even));
}

RESIDUAL_INLINE void packRow(WidenedWords, const bfloat16* pixel, const bfloat16*, uint32_t* row) {
  const auto* const halves = reinterpret_cast<const __m256i*>(pixel);
  _mm512_storeu_si512(row, widened(_mm256_loadu_si256(halves)));
  _mm512_storeu_si512(row + 16, widened(_mm256_loadu_si256(halves + 1)));
}

struct BFloat16Words {
  using Element = bfloat16;
  static constexpr int64_t kPixels = 2;
};

RESIDUAL_INLINE __m512 multiplyAdd(BFloat16Words, __m512 sum, __m512 a, __m512 b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/// Lane by lane, 16 values of the first and the same of the second: those from `start` on.
RESIDUAL_INLINE __m512i interleaved(__m512i first, __m512i second, uint32_t start) {
  const __v16su lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return _mm512_permutex2var_epi16(first, (__m512i)((lanes + start) | (lanes + start + 32) << 16), second);
}

RESIDUAL_INLINE __m512i words(BFloat16Words, const bfloat16* even, __mmask16 evenMask, const bfloat16* odd, __mmask16 oddMask) {
  return interleaved(_mm512_castsi256_si512(_mm256_maskz_loadu_epi16(evenMask, even)),
                     _mm512_castsi256_si512(_mm256_maskz_loadu_epi16(oddMask, odd)), 0);
}

/// `odd` is the second pixel, or null behind the last.
RESIDUAL_INLINE void packRow(BFloat16Words, const bfloat16* even, const bfloat16* odd, uint32_t* row) {
  const __m512i first = _mm512_loadu_si512(even), second = odd ? _mm512_loadu_si512(odd) : __m512i{};
  _mm512_storeu_si512(row, interleaved(first, second, 0));
  _mm512_storeu_si512(row + 16, interleaved(first, second, 16));
}
#endif

/// sums (kOutputs, 32) = or += tile (depth, kOutputs)^T * panel (depth, 32); the tile's rows lie `tileStride` words apart.
template <int kOutputs, class Words>
__attribute__((noinline)) void multiplyTile(Words tag, const uint32_t* tile, int64_t tileStride, const uint32_t* panel,
                                            int64_t depth, float* result, int64_t rowStride, bool first) {
  __m512 sums[kOutputs][2];
#pragma GCC unroll 14
  for (int o = 0; o < kOutputs; ++o) {
    sums[o][0] = sums[o][1] = _mm512_setzero_ps();
    _mm_prefetch(reinterpret_cast<const char*>(result + o * rowStride), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(result + o * rowStride + 16), _MM_HINT_T0);
  }
  for (int64_t d = 0; d < depth; ++d, tile += tileStride, panel += 32) {
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
    float* const row = result + o * rowStride;
    if (!first) {
      sums[o][0] = _mm512_add_ps(sums[o][0], _mm512_loadu_ps(row));
      sums[o][1] = _mm512_add_ps(sums[o][1], _mm512_loadu_ps(row + 16));
    }
    _mm512_storeu_ps(row, sums[o][0]);
    _mm512_storeu_ps(row + 16, sums[o][1]);
  }
}

template <class Words>
using Multiply = void (*)(Words, const uint32_t*, int64_t, const uint32_t*, int64_t, float*, int64_t, bool);

/// By the number of outputs.
template <class Words>
constexpr Multiply<Words> kMultiply[kIm2colTile + 1] = {
    nullptr,                 multiplyTile<1, Words>,  multiplyTile<2, Words>,  multiplyTile<3, Words>,  multiplyTile<4, Words>,
    multiplyTile<5, Words>,  multiplyTile<6, Words>,  multiplyTile<7, Words>,  multiplyTile<8, Words>,  multiplyTile<9, Words>,
    multiplyTile<10, Words>, multiplyTile<11, Words>, multiplyTile<12, Words>, multiplyTile<13, Words>, multiplyTile<14, Words>};

/// A patch of x: what of it lies inside of the image.
template <class Element>
struct Patch {
  const Element* start;      // of its first row, inside or not
  int64_t firstRow, endRow;  // of it that are inside
  int64_t first, end;        // elements of a row that are inside
  bool inside;               // all of it
};

/// 16 columns: where they are in a patch, which of them there are, and where they go in a block of panels.
struct Columns {
  int64_t row, first;  // of the patch; element of the row
  int64_t offset;      // from the patch's start
  __mmask16 mask;
  uint32_t* words;
};

/// The lanes below `count`.
RESIDUAL_INLINE __mmask16 lanesBelow(int64_t count) {
  return static_cast<__mmask16>(count <= 0 ? 0 : count >= 16 ? 0xffff : (1 << count) - 1);
}

template <class Words>
class WeightGradient {
  using Element = typename Words::Element;
  static constexpr int64_t kBlock = kIm2colDepth * Words::kPixels;

 public:
  explicit WeightGradient(const Im2colArguments& a)
      : a_(a), g_(a.geometry), outputs_(a.endOutput - a.firstOutput), tiles_((outputs_ + kIm2colTile - 1) / kIm2colTile),
        rowWords_(im2colRowWords(outputs_)), columns_(g_.columns()), dyWords_(a.scratch), panelWords_(a.scratch + kIm2colDepth * rowWords_) {}

  void run() {
    for (int64_t pixel = 0; pixel < a_.pixels; pixel += kBlock) {
      const int64_t end = least(pixel + kBlock, a_.pixels), depth = (end - pixel + Words::kPixels - 1) / Words::kPixels;
      packRows(pixel, end, depth);
      listPatches(end - pixel);
      for (int64_t column = a_.firstColumn; column < a_.endColumn; column += kIm2colColumns) {
        const int64_t endColumn = least(column + kIm2colColumns, a_.endColumn);
        listColumns(column, endColumn);
        packPatches(depth, (endColumn - column) / 16);
        multiply(depth, column, endColumn, pixel == 0 && !a_.accumulate);
      }
    }
  }

 private:
  static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
  static int64_t panelOf(int64_t column) { return column / kIm2colPanel * kIm2colPanelWords; }
  int64_t firstOf(int64_t tile) const { return outputs_ * tile / tiles_; }

  void packRows(int64_t pixel, int64_t end, int64_t depth) {
    const Element* even = static_cast<const Element*>(a_.dy) + pixel * a_.outputs + a_.firstOutput;
    for (int64_t d = 0; d < depth; ++d, pixel += Words::kPixels, even += Words::kPixels * a_.outputs) {
      const Element* const odd = pixel + 1 < end ? even + a_.outputs : nullptr;
      uint32_t* const row = dyWords_ + rowWords_ * d;
      for (int64_t o = 0; o < outputs_; o += kIm2colPanel) {
        fetchAhead(even + o);
        if (odd) fetchAhead(odd + o);
        packRow(Words{}, even + o, odd ? odd + o : nullptr, row + o);
      }
    }
  }

  /// Of the next so many pixels; beside the last of an odd number one of which nothing is inside.
  void listPatches(int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t top = row_ * g_.stride - g_.padding, left = column_ * g_.stride - g_.padding;
      const int64_t endRow = least(g_.kernel, g_.height - top), end = least(g_.kernel, g_.width - left) * g_.channels;
      patches_[i] = {static_cast<const Element*>(a_.x) + ((image_ * g_.height + top) * g_.width + left) * g_.channels,
                     top < 0 ? -top : 0, endRow, left < 0 ? -left * g_.channels : 0, end,
                     top >= 0 && left >= 0 && endRow == g_.kernel && end == g_.rowElements()};
      if (++column_ < g_.yWidth) continue;
      column_ = 0;
      if (++row_ < g_.yHeight) continue;
      row_ = 0;
      ++image_;
    }
    if (count % Words::kPixels) patches_[count] = {patches_[0].start, 0, 0, 0, 0, false};
  }

  void listColumns(int64_t column, int64_t endColumn) {
    const int64_t rowVectors = g_.rowVectors();
    for (int64_t c = column; c < endColumn; c += 16) {
      const int64_t row = c / 16 / rowVectors, first = c / 16 % rowVectors * 16;
      const __mmask16 mask = row < g_.kernel ? lanesBelow(g_.rowElements() - first) : 0;
      list_[(c - column) / 16] = {row, first, row * g_.width * g_.channels + first, mask, panelWords_ + panelOf(c - column) + c % kIm2colPanel};
    }
  }

  RESIDUAL_INLINE __mmask16 insideOf(const Patch<Element>& patch, const Columns& columns) {
    if (columns.row < patch.firstRow || columns.row >= patch.endRow) return 0;
    return columns.mask & lanesBelow(patch.end - columns.first) & ~lanesBelow(patch.first - columns.first);
  }

  void packPatches(int64_t depth, int64_t vectors) {
    const Patch<Element>* patch = patches_;
    for (int64_t d = 0; d < depth; ++d, patch += Words::kPixels) {
      const Patch<Element>&even = patch[0], &odd = patch[Words::kPixels - 1];
      if (even.inside && odd.inside)
        for (int64_t v = 0; v < vectors; ++v) {
          const Columns& c = list_[v];
          fetchAhead(even.start + c.offset);
          if (Words::kPixels > 1) fetchAhead(odd.start + c.offset);
          _mm512_store_si512(c.words + kIm2colPanel * d, words(Words{}, even.start + c.offset, c.mask, odd.start + c.offset, c.mask));
        }
      else
        for (int64_t v = 0; v < vectors; ++v) {
          const Columns& c = list_[v];
          _mm512_store_si512(c.words + kIm2colPanel * d,
                             words(Words{}, even.start + c.offset, insideOf(even, c), odd.start + c.offset, insideOf(odd, c)));
        }
    }
  }

  void multiply(int64_t depth, int64_t column, int64_t endColumn, bool first) {
    for (int64_t tile = 0; tile < tiles_; ++tile) {
      const int64_t output = firstOf(tile), count = firstOf(tile + 1) - output;
      float* const row = a_.sums + (a_.firstOutput + output) * columns_;
      for (int64_t c = column; c < endColumn; c += kIm2colPanel)
        kMultiply<Words>[count](Words{}, dyWords_ + output, rowWords_, panelWords_ + panelOf(c - column), depth, row + c, columns_, first);
    }
  }

  const Im2colArguments& a_;
  const PatchGeometry& g_;
  const int64_t outputs_, tiles_, rowWords_, columns_;
  uint32_t *const dyWords_, *const panelWords_;
  int64_t image_ = 0, row_ = 0, column_ = 0;  // of the next pixel to list
  Patch<Element> patches_[kBlock];
  Columns list_[kIm2colColumns / 16];
};

void weightGradient(const Im2colArguments& arguments) {
#ifdef RESIDUAL_NATIVE_BFLOAT16
  if (arguments.productType == DataType::BFloat16) return WeightGradient<BFloat16Words>(arguments).run();
  if (arguments.type == DataType::BFloat16) return WeightGradient<WidenedWords>(arguments).run();
#endif
  WeightGradient<Float32Words>(arguments).run();
}

}  // namespace

extern const Im2colKernels im2colTable;
const Im2colKernels im2colTable{weightGradient};

}  // namespace residual::RESIDUAL_KERNELS
