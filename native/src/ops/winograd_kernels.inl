// Included by winograd_avx512*.cc after they have set the instruction set and RESIDUAL_KERNELS, their namespace.

namespace residual::RESIDUAL_KERNELS {
namespace {

#include "vectors.inl"

constexpr int64_t kPlanes = kWinogradPlanes;
/// Of a register block of the multiplication.
constexpr int64_t kBlockRows = 8;

RESIDUAL_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// The value, which the compiler takes for a new one each time: multiples of it made before a loop would fill the registers.
RESIDUAL_INLINE int64_t notHoisted(int64_t value) {
  asm("" : "+r"(value));
  return value;
}

template <class Body>
RESIDUAL_INLINE void withElementType(DataType type, Body body) {
  if (type == DataType::Float32) return body(float{});
#ifdef RESIDUAL_NATIVE_BFLOAT16
  body(bfloat16{});
#endif
}

/// 16 values each, one after another at `first` and at `second`.
RESIDUAL_INLINE void storeBoth(float* first, float* second, Floats a, Floats b) {
  store(first, a);
  store(second, b);
}

#ifdef RESIDUAL_NATIVE_BFLOAT16
/// Both vectors rounded to bfloat16: `first` in the lower half.
RESIDUAL_INLINE __m512i roundBoth(Floats first, Floats second) {
  return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

RESIDUAL_INLINE void storeBoth(bfloat16* first, bfloat16* second, Floats a, Floats b) {
  const __m512i both = roundBoth(a, b);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(first), _mm512_castsi512_si256(both));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(second), _mm512_extracti64x4_epi64(both, 1));
}

/// Of two times two vectors, rounded, the words of a lane of the first and the same lane of the second: of the lower halves
/// or of the upper ones.
RESIDUAL_INLINE __m512i pairWords(__m512i first, __m512i second, bool upper) {
  const Words lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Words halves = (upper ? lanes + 16 : lanes) | ((upper ? lanes + 48 : lanes + 32) << 16);
  return _mm512_permutex2var_epi16(first, (__m512i)halves, second);
}
#endif

/// 16 words: of one value each, or of two, rounded.
RESIDUAL_INLINE void storeWords(Word* words, float, Floats values, Floats) { store(reinterpret_cast<float*>(words), values); }
#ifdef RESIDUAL_NATIVE_BFLOAT16
RESIDUAL_INLINE void storeWords(Word* words, bfloat16, Floats first, Floats second) {
  const __m512i both = roundBoth(first, second);
  _mm512_storeu_si512(words, pairWords(both, _mm512_shuffle_i64x2(both, both, 0xee), false));
}
#endif

/// Calls `segment(image, tileRow, firstColumn, endColumn, tile)` for each stretch of a tile row among the tiles; `tile`
/// counts from the first.
template <class Segment>
RESIDUAL_INLINE void forSegments(const Tiles& tiles, Segment segment) {
  const int64_t columns = (tiles.width + 1) / 2, rows = (tiles.height + 1) / 2;
  int64_t column = tiles.firstTile % columns, row = tiles.firstTile / columns;
  for (int64_t tile = tiles.firstTile; tile < tiles.endTile; column = 0, ++row) {
    const int64_t end = least(columns, column + tiles.endTile - tile);
    segment(row / rows, row % rows, column, end, tile - tiles.firstTile);
    tile += end - column;
  }
}

alignas(64) constexpr float kZeros[kLanes] = {};

/// Bytes that a row is fetched ahead: the CPU's own prefetchers stop at the end of a page.
constexpr int64_t kAhead = 4096;

/// 16 channels of some rows of an image; rows and columns outside of it are zeros.
template <class T, int64_t kCount>
struct ImageRows {
  const T* rows[kCount];
  int64_t steps[kCount];  // from a column to the next
  int64_t width;

  RESIDUAL_INLINE void find(ImageRows& found, const Tiles& tiles, int64_t image, int64_t first, int64_t channel) {
    found.width = tiles.width;
    for (int64_t i = 0; i < kCount; ++i) {
      const bool inside = first + i >= 0 && first + i < tiles.height;
      const T* const row = static_cast<const T*>(tiles.activation) + (image * tiles.height + first + i) * tiles.width * tiles.channels;
      found.rows[i] = inside ? row + channel : reinterpret_cast<const T*>(kZeros);
      found.steps[i] = inside ? tiles.channels : 0;
    }
  }
  RESIDUAL_INLINE void column(const ImageRows& from, int64_t x, Floats (&values)[kCount]) {
    const bool inside = x >= 0 && x < from.width;
#pragma GCC unroll 4
    for (int64_t i = 0; i < kCount; ++i) {
      const T* const place = from.rows[i] + x * from.steps[i];
      _mm_prefetch(reinterpret_cast<const char*>(place) + kAhead, _MM_HINT_T0);
      values[i] = inside ? load(place) : Floats{};
    }
  }
};

/// The next column of a tile row through the first half of B^T d B.
template <class T>
RESIDUAL_INLINE void inputColumn(const ImageRows<T, 4>& rows, int64_t x, Floats (&t)[4]) {
  Floats d[4];
  ImageRows<T, 4>::column(rows, x, d);
  t[0] = d[0] - d[2];
  t[1] = d[1] + d[2];
  t[2] = d[2] - d[1];
  t[3] = d[1] - d[3];
}

/// B^T d B of each tile d: `put(tile, plane, values of it, values of the next)`. A tile shares two of its columns with its neighbour.
struct InputTransform {
  template <class T, class Put>
  RESIDUAL_INLINE void each(const Tiles& tiles, int64_t channel, Put put) {
    forSegments(tiles, [&](int64_t image, int64_t row, int64_t x, int64_t end, int64_t tile) __attribute__((always_inline)) {
      ImageRows<T, 4> rows;
      ImageRows<T, 4>::find(rows, tiles, image, 2 * row - 1, channel);
      Floats a[4], b[4], c[4], d[4];
      inputColumn(rows, 2 * x - 1, a);
      inputColumn(rows, 2 * x, b);
      for (; x < end; ++x, ++tile) {
        inputColumn(rows, 2 * x + 1, c);
        inputColumn(rows, 2 * x + 2, d);
#pragma GCC unroll 4
        for (int64_t i = 0; i < 4; ++i) {
          put(tile, 4 * i, a[i] - c[i], b[i] + c[i]);
          put(tile, 4 * i + 2, c[i] - b[i], b[i] - d[i]);
          a[i] = c[i];
          b[i] = d[i];
        }
      }
    });
  }
};

/// A dy A^T of each 2x2 tile dy, but for the sign of A's last row, which weightGradient puts right.
struct GradientTransform {
  template <class T, class Put>
  RESIDUAL_INLINE void each(const Tiles& tiles, int64_t channel, Put put) {
    forSegments(tiles, [&](int64_t image, int64_t row, int64_t x, int64_t end, int64_t tile) __attribute__((always_inline)) {
      ImageRows<T, 2> rows;
      ImageRows<T, 2>::find(rows, tiles, image, 2 * row, channel);
      for (; x < end; ++x, ++tile) {
        Floats left[2], right[2];
        ImageRows<T, 2>::column(rows, 2 * x, left);
        ImageRows<T, 2>::column(rows, 2 * x + 1, right);
        const Floats l[4] = {left[0], left[0] + left[1], left[0] - left[1], left[1]};
        const Floats r[4] = {right[0], right[0] + right[1], right[0] - right[1], right[1]};
#pragma GCC unroll 4
        for (int64_t i = 0; i < 4; ++i) {
          put(tile, 4 * i, l[i], l[i] + r[i]);
          put(tile, 4 * i + 2, l[i] - r[i], r[i]);
        }
      }
    });
  }
};

void transformInput(const TransformArguments& a) {
  withElementType(a.tiles.type, [&](auto tag) __attribute__((always_inline)) {
    using T = decltype(tag);
    constexpr int64_t kPerWord = sizeof(Word) / sizeof(T);
    const int64_t planeStride = a.planes.planeStride * kPerWord, rowStride = a.planes.rowStride * kPerWord;
    for (int64_t channel = a.tiles.firstChannel; channel < a.tiles.endChannel; channel += kLanes) {
      T* const column = reinterpret_cast<T*>(a.planes.data) + channel - a.tiles.firstChannel;
      const auto put = [=](int64_t tile, int64_t plane, Floats values, Floats next) __attribute__((always_inline)) {
        const int64_t stride = notHoisted(planeStride);
        T* const place = column + plane * stride + tile * rowStride;
        storeBoth(place, place + stride, values, next);
      };
      InputTransform::each<T>(a.tiles, channel, put);
    }
  });
}

template <class Transform>
RESIDUAL_INLINE void transformPairs(const TransformArguments& a, float) {
  for (int64_t channel = a.tiles.firstChannel; channel < a.tiles.endChannel; channel += kLanes) {
    float* const column = reinterpret_cast<float*>(a.planes.data) + channel - a.tiles.firstChannel;
    const auto put = [=](int64_t tile, int64_t plane, Floats values, Floats next) __attribute__((always_inline)) {
      const int64_t stride = notHoisted(a.planes.planeStride);
      float* const place = column + plane * stride + tile * a.planes.rowStride;
      storeBoth(place, place + stride, values, next);
    };
    Transform::template each<float>(a.tiles, channel, put);
  }
}

#ifdef RESIDUAL_NATIVE_BFLOAT16
/// A first tile of two waits, rounded, for its second. Beside the last of an odd number stand zeros.
template <class Transform>
RESIDUAL_INLINE void transformPairs(const TransformArguments& a, bfloat16) {
  const int64_t count = a.tiles.endTile - a.tiles.firstTile, planeStride = a.planes.planeStride, rowStride = a.planes.rowStride;
  for (int64_t channel = a.tiles.firstChannel; channel < a.tiles.endChannel; channel += kLanes) {
    Word* const column = a.planes.data + channel - a.tiles.firstChannel;
    __m512i waiting[kPlanes / 2] = {};
    const auto storePair = [=](int64_t tile, int64_t plane, __m512i first, __m512i second) __attribute__((always_inline)) {
      const int64_t stride = notHoisted(planeStride);
      Word* const place = column + plane * stride + tile / 2 * rowStride;
      _mm512_storeu_si512(place, pairWords(first, second, false));
      _mm512_storeu_si512(place + stride, pairWords(first, second, true));
    };
    const auto put = [&](int64_t tile, int64_t plane, Floats values, Floats next) __attribute__((always_inline)) {
      const __m512i both = roundBoth(values, next);
      if (tile % 2)
        storePair(tile, plane, waiting[plane / 2], both);
      else
        waiting[plane / 2] = both;
    };
    Transform::template each<bfloat16>(a.tiles, channel, put);
    if (count % 2)
      for (int64_t plane = 0; plane < kPlanes; plane += 2) storePair(count, plane, waiting[plane / 2], __m512i{});
  }
}
#endif

void transformInputPairs(const TransformArguments& a) {
  withElementType(a.tiles.type, [&](auto tag) { transformPairs<InputTransform>(a, tag); });
}

void transformGradientPairs(const TransformArguments& a) {
  withElementType(a.tiles.type, [&](auto tag) { transformPairs<GradientTransform>(a, tag); });
}

/// A^T m A
void transformOutput(const OutputArguments& a) {
  withElementType(a.tiles.type, [&](auto tag) __attribute__((always_inline)) {
    using T = decltype(tag);
    const Tiles& tiles = a.tiles;
    for (int64_t channel = tiles.firstChannel; channel < tiles.endChannel; channel += kLanes) {
      const int64_t place = channel - tiles.firstChannel;
      const float* const column = reinterpret_cast<const float*>(a.planes.data) + place;
      const Floats bias = a.bias ? load(a.bias + place) : Floats{};
      forSegments(tiles, [&](int64_t image, int64_t row, int64_t x, int64_t end, int64_t tile) __attribute__((always_inline)) {
        T* const y = static_cast<T*>(tiles.activation) + (image * tiles.height + 2 * row) * tiles.width * tiles.channels + channel;
        const bool lower = 2 * row + 1 < tiles.height;
        for (; x < end; ++x, ++tile) {
          const float* const m = column + tile * a.planes.rowStride;
          const int64_t stride = notHoisted(a.planes.planeStride);
          Floats top[4], bottom[4];
#pragma GCC unroll 4
          for (int64_t j = 0; j < 4; ++j) {
            const Floats m0 = load(m + j * stride), m1 = load(m + (4 + j) * stride);
            const Floats m2 = load(m + (8 + j) * stride), m3 = load(m + (12 + j) * stride);
            top[j] = m0 + (m1 + m2);
            bottom[j] = (m1 - m2) - m3;
          }
          T* const pixel = y + 2 * x * tiles.channels;
          T* const below = pixel + tiles.width * tiles.channels;
          const bool right = 2 * x + 1 < tiles.width;
          store(pixel, top[0] + (top[1] + top[2]) + bias);
          if (right) store(pixel + tiles.channels, (top[1] - top[2]) - top[3] + bias);
          if (lower) store(below, bottom[0] + (bottom[1] + bottom[2]) + bias);
          if (lower && right) store(below + tiles.channels, (bottom[1] - bottom[2]) - bottom[3] + bias);
        }
      });
    }
  });
}

RESIDUAL_INLINE Floats multiplyAdd(float, Words a, Words b, Floats sum) {
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
}
#ifdef RESIDUAL_NATIVE_BFLOAT16
RESIDUAL_INLINE Floats multiplyAdd(bfloat16, Words a, Words b, Floats sum) {
  return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#endif

RESIDUAL_INLINE Words everywhere(Word word) { return (Words)_mm512_set1_epi32(static_cast<int>(word)); }

/// `kRows` rows and `kVectors` times 16 columns of one plane's product, in registers.
template <class T, int64_t kRows, int64_t kVectors>
RESIDUAL_INLINE void multiplyBlock(const MultiplyArguments& m, const Word* a, const Word* b, int64_t bRowStride, float* product) {
  Floats sums[kRows][kVectors] = {};
  const int64_t rowStride = m.aRowStride, depthStride = m.aDepthStride;
  if (m.accumulate)
#pragma GCC unroll 16
    for (int64_t r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = load(product + r * m.productRowStride + v * kLanes);
  for (int64_t d = 0; d < m.depth; ++d, a += depthStride, b += bRowStride) {
    Words columns[kVectors];
    __builtin_memcpy(columns, b, sizeof columns);
#pragma GCC unroll 16
    for (int64_t r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = multiplyAdd(T{}, everywhere(a[r * rowStride]), columns[v], sums[r][v]);
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) store(product + r * m.productRowStride + v * kLanes, sums[r][v]);
}

/// As above for one vector of columns and so small a depth that all of `b` stays in registers: each row is a chain of
/// products, and many rows are under way at once. There is a word of `a` to be spread for each product, more than a CPU can
/// load: half of them come out of a register.
template <class T, int64_t kDepth>
RESIDUAL_INLINE void multiplyRows(const MultiplyArguments& m, const Word* a, const Word* b, float* product) {
  Words columns[kDepth];
  __builtin_memcpy(columns, b, sizeof columns);
  for (int64_t row = 0; row < m.rows; ++row, a += m.aRowStride, product += m.productRowStride) {
    const auto* const whole = reinterpret_cast<const __m256i*>(a);
    const __m512i words = kDepth > 8 ? _mm512_loadu_si512(whole) : _mm512_castsi256_si512(_mm256_loadu_si256(whole));
    Floats even = {}, odd = {};
#pragma GCC unroll 16
    for (int64_t d = 0; d < kDepth; ++d) {
      const Words word = d < kDepth / 2 ? everywhere(a[d])
                                        : (Words)_mm512_permutexvar_epi32((__m512i)everywhere(static_cast<Word>(d)), words);
      Floats& sum = d % 2 ? odd : even;
      sum = multiplyAdd(T{}, word, columns[d], sum);
    }
    store(product, even + odd);
  }
}

void multiply(const MultiplyArguments& m) {
  withElementType(m.type, [&](auto tag) __attribute__((always_inline)) {
    using T = decltype(tag);
    for (int64_t plane = 0; plane < kPlanes; ++plane)
      for (int64_t column = 0; column < m.columns; column += kPanel) {
        const int64_t wide = least(kPanel, m.columns - column);
        const Word* const b = m.b + plane * m.bPlaneStride + column * (m.panels ? m.depth : 1);
        constexpr int64_t kShallow = 16 * sizeof(T) / sizeof(Word);
        if (m.panels && wide == kLanes && m.depth == kShallow && m.aDepthStride == 1 && !m.accumulate) {
          multiplyRows<T, kShallow>(m, m.a + plane * m.aPlaneStride, b, m.product + plane * m.productPlaneStride + column);
          continue;
        }
        const int64_t bRowStride = m.panels ? wide : m.bRowStride;
        // Of a narrow panel twice as many rows: so many sums hide the latency of their additions.
        for (int64_t row = 0, taken; row < m.rows; row += taken) {
          const Word* const a = m.a + plane * m.aPlaneStride + row * m.aRowStride;
          float* const product = m.product + plane * m.productPlaneStride + row * m.productRowStride + column;
          const bool tall = wide < kPanel && row + kBlockRows < m.rows;
          taken = tall ? 2 * kBlockRows : kBlockRows;
          if (wide == kPanel)
            multiplyBlock<T, kBlockRows, 2>(m, a, b, bRowStride, product);
          else if (tall)
            multiplyBlock<T, 2 * kBlockRows, 1>(m, a, b, bRowStride, product);
          else
            multiplyBlock<T, kBlockRows, 1>(m, a, b, bRowStride, product);
        }
      }
  });
}

/// One row or column g of a filter: G g.
RESIDUAL_INLINE void filterColumn(Floats g0, Floats g1, Floats g2, Floats (&t)[4]) {
  const Floats outer = (g0 + g2) * 0.5f, inner = g1 * 0.5f;
  t[0] = g0;
  t[1] = outer + inner;
  t[2] = outer - inner;
  t[3] = g2;
}

/// G g G^T of 16 filters g that lie `stride` floats apart.
RESIDUAL_INLINE void filterPlanes(const float* filters, int64_t stride, bool turned, Floats (&u)[kPlanes]) {
  float gathered[9][kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane)
    for (int64_t i = 0; i < 9; ++i) gathered[turned ? 8 - i : i][lane] = filters[lane * stride + i];
  Floats columns[3][4];
  for (int64_t x = 0; x < 3; ++x) filterColumn(load(gathered[x]), load(gathered[3 + x]), load(gathered[6 + x]), columns[x]);
  for (int64_t i = 0; i < 4; ++i) {
    Floats row[4];
    filterColumn(columns[0][i], columns[1][i], columns[2][i], row);
    for (int64_t j = 0; j < 4; ++j) u[4 * i + j] = row[j];
  }
}

void transformWeights(const WeightArguments& a) {
  withElementType(a.type, [&](auto tag) __attribute__((always_inline)) {
    using T = decltype(tag);
    constexpr int64_t kPerWord = sizeof(Word) / sizeof(T);
    const int64_t columns = a.backward ? a.inputs : a.outputs, depth = (a.backward ? a.outputs : a.inputs) / kPerWord;
    const int64_t columnStride = 9 * (a.backward ? 1 : a.inputs), depthStride = 9 * (a.backward ? a.inputs : 1);
    for (int64_t column = 0; column < columns; column += kLanes) {
      const int64_t panel = column / kPanel * kPanel, wide = least(kPanel, columns - panel);
      for (int64_t d = a.first / kPerWord; d < a.end / kPerWord; ++d) {
        const float* const filters = a.weights + column * columnStride + d * kPerWord * depthStride;
        Floats first[kPlanes], second[kPlanes];
        filterPlanes(filters, columnStride, a.backward, first);
        if (kPerWord == 2) filterPlanes(filters + depthStride, columnStride, a.backward, second);
        Word* const words = a.planes + panel * depth + d * wide + column - panel;
        for (int64_t plane = 0; plane < kPlanes; ++plane)
          storeWords(words + plane * a.planeStride, T{}, first[plane], kPerWord == 2 ? second[plane] : first[plane]);
      }
    }
  });
}

/// One row or column s: G^T s, with the sign that GradientTransform left out.
RESIDUAL_INLINE void gradientColumn(Floats s0, Floats s1, Floats s2, Floats s3, Floats (&t)[3]) {
  const Floats sum = (s1 + s2) * 0.5f;
  t[0] = s0 + sum;
  t[1] = (s1 - s2) * 0.5f;
  t[2] = sum - s3;
}

void weightGradient(const WeightGradientArguments& a) {
  for (int64_t output = a.firstOutput; output < a.endOutput; output += kLanes)
    for (int64_t input = a.firstInput; input < a.endInput; ++input) {
      const float* const sums = a.planes + input * a.rowStride + output - a.firstOutput;
      Floats s[kPlanes] = {};
      for (int64_t part = 0; part < a.parts; ++part)
        for (int64_t plane = 0; plane < kPlanes; ++plane) s[plane] += load(sums + part * a.partStride + plane * a.planeStride);
      Floats columns[4][3];
      for (int64_t j = 0; j < 4; ++j) gradientColumn(s[j], s[4 + j], s[8 + j], s[12 + j], columns[j]);
      for (int64_t y = 0; y < 3; ++y) {
        Floats row[3];
        gradientColumn(columns[0][y], columns[1][y], columns[2][y], columns[3][y], row);
        for (int64_t x = 0; x < 3; ++x)
          for (int64_t lane = 0; lane < kLanes; ++lane)
            a.gradient[((output + lane) * a.inputs + input) * 9 + 3 * y + x] = row[x][lane];
      }
    }
}

}  // namespace

extern const WinogradKernels winograd;
const WinogradKernels winograd{transformInput, transformInputPairs, transformGradientPairs, transformOutput,
                               multiply,       transformWeights,    weightGradient};

}  // namespace residual::RESIDUAL_KERNELS
