// Included by winograd_avx512*.cc after they have set the instruction set and RESIDUAL_KERNELS, their namespace.

namespace residual::RESIDUAL_KERNELS {
namespace {

#include "vectors.inl"

/// Of a register block of the multiplication.
constexpr int64_t kBlockRows = 8;

RESIDUAL_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <class Body>
RESIDUAL_INLINE void withElementType(DataType type, Body body) {
  if (type == DataType::Float32) return body(float{});
#ifdef RESIDUAL_NATIVE_BFLOAT16
  body(bfloat16{});
#endif
}

/// Of an activation and of the planes that it is transformed into.
template <class Body>
RESIDUAL_INLINE void withElementTypes(const TransformArguments& a, Body body) {
  withElementType(a.tiles.type, [&](auto activation) __attribute__((always_inline)) {
    if (a.planes.type == DataType::Float32) return body(activation, float{});
    if constexpr (!std::is_same_v<decltype(activation), float>) body(activation, activation);
  });
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
template <int64_t kOutputs, class Segment>
RESIDUAL_INLINE void forSegments(const Tiles& tiles, Segment segment) {
  const int64_t columns = (tiles.width + kOutputs - 1) / kOutputs, rows = (tiles.height + kOutputs - 1) / kOutputs;
  int64_t column = tiles.firstTile % columns, row = tiles.firstTile / columns;
  for (int64_t tile = tiles.firstTile; tile < tiles.endTile; column = 0, ++row) {
    const int64_t end = least(columns, column + tiles.endTile - tile);
    segment(row / rows, row % rows, column, end, tile - tiles.firstTile);
    tile += end - column;
  }
}

/// One dimension of F(2x2, 3x3), by the points 0, 1, -1 and infinity.
struct Tile2 {
  static constexpr int64_t kOutputs = 2, kInputs = 4;

  /// B^T d
  RESIDUAL_INLINE void input(const Floats (&d)[4], Floats (&t)[4]) {
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
  }
  /// A^T m
  RESIDUAL_INLINE void output(const Floats (&m)[4], Floats (&y)[2]) {
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) - m[3];
  }
  /// A dy, but for the sign of A's last row, which filterGradient puts right.
  RESIDUAL_INLINE void gradient(const Floats (&dy)[2], Floats (&t)[4]) {
    t[0] = dy[0];
    t[1] = dy[0] + dy[1];
    t[2] = dy[0] - dy[1];
    t[3] = dy[1];
  }
  /// G g
  RESIDUAL_INLINE void filter(Floats g0, Floats g1, Floats g2, Floats (&t)[4]) {
    const Floats outer = (g0 + g2) * 0.5f, inner = g1 * 0.5f;
    t[0] = g0;
    t[1] = outer + inner;
    t[2] = outer - inner;
    t[3] = g2;
  }
  /// G^T s, with the sign that `gradient` left out.
  RESIDUAL_INLINE void filterGradient(const Floats (&s)[4], Floats (&g)[3]) {
    const Floats sum = (s[1] + s[2]) * 0.5f;
    g[0] = s[0] + sum;
    g[1] = (s[1] - s[2]) * 0.5f;
    g[2] = sum - s[3];
  }
};

/// a * b + c, rounded once: left to the compiler, the same sum could be rounded differently in two places.
RESIDUAL_INLINE Floats fused(Floats a, float b, Floats c) {
  return (Floats)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(b), (__m512)c);
}

/// One dimension of F(4x4, 3x3), by the points 0, a, -a, b, -b and infinity. These a and b, which a float32 holds exactly, round
/// half as much as the usual 1 and 2.
struct Tile4 {
  static constexpr int64_t kOutputs = 4, kInputs = 6;
  static constexpr float kA = 0.625f, kA2 = kA * kA, kB = 1.5f, kB2 = kB * kB;
  /// Of G's rows for a and for b: one by what the differences from the other points multiply to.
  static constexpr float kAScale = 1 / (2 * kA2 * (kA2 - kB2)), kBScale = 1 / (2 * kB2 * (kB2 - kA2));

  /// B^T d
  RESIDUAL_INLINE void input(const Floats (&d)[6], Floats (&t)[6]) {
    const Floats evenA = fused(d[2], -kB2, d[4]), oddA = fused(d[1], -kB2, d[3]);
    const Floats evenB = fused(d[2], -kA2, d[4]), oddB = fused(d[1], -kA2, d[3]);
    t[0] = fused(d[0], kA2 * kB2, fused(d[2], -kA2 - kB2, d[4]));
    t[1] = fused(oddA, kA, evenA);
    t[2] = fused(oddA, -kA, evenA);
    t[3] = fused(oddB, kB, evenB);
    t[4] = fused(oddB, -kB, evenB);
    t[5] = fused(d[1], kA2 * kB2, fused(d[3], -kA2 - kB2, d[5]));
  }
  /// A^T m
  RESIDUAL_INLINE void output(const Floats (&m)[6], Floats (&y)[4]) {
    const Floats sumA = m[1] + m[2], differenceA = m[1] - m[2], sumB = m[3] + m[4], differenceB = m[3] - m[4];
    y[0] = m[0] + sumA + sumB;
    y[1] = fused(differenceB, kB, differenceA * kA);
    y[2] = fused(sumB, kB2, sumA * kA2);
    y[3] = fused(differenceB, kB * kB2, fused(differenceA, kA * kA2, m[5]));
  }
  /// A dy
  RESIDUAL_INLINE void gradient(const Floats (&dy)[4], Floats (&t)[6]) {
    const Floats evenA = fused(dy[2], kA2, dy[0]), oddA = fused(dy[3], kA2, dy[1]);
    const Floats evenB = fused(dy[2], kB2, dy[0]), oddB = fused(dy[3], kB2, dy[1]);
    t[0] = dy[0];
    t[1] = fused(oddA, kA, evenA);
    t[2] = fused(oddA, -kA, evenA);
    t[3] = fused(oddB, kB, evenB);
    t[4] = fused(oddB, -kB, evenB);
    t[5] = dy[3];
  }
  /// G g
  RESIDUAL_INLINE void filter(Floats g0, Floats g1, Floats g2, Floats (&t)[6]) {
    const Floats evenA = fused(g2, kA2, g0) * kAScale, evenB = fused(g2, kB2, g0) * kBScale;
    t[0] = g0 * (1 / (kA2 * kB2));
    t[1] = fused(g1, kA * kAScale, evenA);
    t[2] = fused(g1, -kA * kAScale, evenA);
    t[3] = fused(g1, kB * kBScale, evenB);
    t[4] = fused(g1, -kB * kBScale, evenB);
    t[5] = g2;
  }
  /// G^T s
  RESIDUAL_INLINE void filterGradient(const Floats (&s)[6], Floats (&g)[3]) {
    const Floats sumA = (s[1] + s[2]) * kAScale, sumB = (s[3] + s[4]) * kBScale;
    g[0] = fused(s[0], 1 / (kA2 * kB2), sumA + sumB);
    g[1] = fused(s[1] - s[2], kA * kAScale, (s[3] - s[4]) * (kB * kBScale));
    g[2] = fused(sumA, kA2, fused(sumB, kB2, s[5]));
  }
};

alignas(64) constexpr float kZeros[kLanes] = {};

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
#pragma GCC unroll 8
    for (int64_t i = 0; i < kCount; ++i) {
      const T* const place = from.rows[i] + x * from.steps[i];
      fetchAhead(place);
      values[i] = inside ? load(place) : Floats{};
    }
  }
};

/// The next column of a tile row through the first half of B^T d B.
template <class Tile, class T>
RESIDUAL_INLINE void inputColumn(const ImageRows<T, Tile::kInputs>& rows, int64_t x, Floats (&t)[Tile::kInputs]) {
  Floats d[Tile::kInputs];
  ImageRows<T, Tile::kInputs>::column(rows, x, d);
  Tile::input(d, t);
}

/// B^T d B of each tile d: `put(tile, plane, values of it, values of the next)`. A tile shares two of its columns with its neighbour.
template <class Tile>
struct InputTransform {
  static constexpr int64_t kInputs = Tile::kInputs, kOutputs = Tile::kOutputs, kPlanes = kInputs * kInputs;

  template <class T, class Put>
  RESIDUAL_INLINE void each(const Tiles& tiles, int64_t channel, Put put) {
    forSegments<kOutputs>(tiles, [&](int64_t image, int64_t row, int64_t x, int64_t end, int64_t tile) __attribute__((always_inline)) {
      ImageRows<T, kInputs> rows;
      ImageRows<T, kInputs>::find(rows, tiles, image, kOutputs * row - 1, channel);
      Floats columns[kInputs][kInputs];
      inputColumn<Tile>(rows, kOutputs * x - 1, columns[0]);
      inputColumn<Tile>(rows, kOutputs * x, columns[1]);
      for (; x < end; ++x, ++tile) {
#pragma GCC unroll 8
        for (int64_t j = 2; j < kInputs; ++j) inputColumn<Tile>(rows, kOutputs * x + j - 1, columns[j]);
#pragma GCC unroll 8
        for (int64_t i = 0; i < kInputs; ++i) {
          Floats d[kInputs], t[kInputs];
#pragma GCC unroll 8
          for (int64_t j = 0; j < kInputs; ++j) d[j] = columns[j][i];
          Tile::input(d, t);
#pragma GCC unroll 8
          for (int64_t j = 0; j < kInputs; j += 2) put(tile, kInputs * i + j, t[j], t[j + 1]);
          columns[0][i] = d[kOutputs];
          columns[1][i] = d[kOutputs + 1];
        }
      }
    });
  }
};

/// A dy A^T of each tile dy, but for the signs that `Tile` leaves to weightGradient.
template <class Tile>
struct GradientTransform {
  static constexpr int64_t kInputs = Tile::kInputs, kOutputs = Tile::kOutputs, kPlanes = kInputs * kInputs;

  template <class T, class Put>
  RESIDUAL_INLINE void each(const Tiles& tiles, int64_t channel, Put put) {
    forSegments<kOutputs>(tiles, [&](int64_t image, int64_t row, int64_t x, int64_t end, int64_t tile) __attribute__((always_inline)) {
      ImageRows<T, kOutputs> rows;
      ImageRows<T, kOutputs>::find(rows, tiles, image, kOutputs * row, channel);
      for (; x < end; ++x, ++tile) {
        Floats columns[kOutputs][kInputs];
#pragma GCC unroll 8
        for (int64_t j = 0; j < kOutputs; ++j) {
          Floats dy[kOutputs];
          ImageRows<T, kOutputs>::column(rows, kOutputs * x + j, dy);
          Tile::gradient(dy, columns[j]);
        }
#pragma GCC unroll 8
        for (int64_t i = 0; i < kInputs; ++i) {
          Floats dy[kOutputs], t[kInputs];
#pragma GCC unroll 8
          for (int64_t j = 0; j < kOutputs; ++j) dy[j] = columns[j][i];
          Tile::gradient(dy, t);
#pragma GCC unroll 8
          for (int64_t j = 0; j < kInputs; j += 2) put(tile, kInputs * i + j, t[j], t[j + 1]);
        }
      }
    });
  }
};

template <class Tile>
void transformInput(const TransformArguments& a) {
  withElementTypes(a, [&](auto activation, auto element) __attribute__((always_inline)) {
    using T = decltype(element);
    constexpr int64_t kPerWord = sizeof(Word) / sizeof(T);
    const int64_t planeStride = a.planes.planeStride * kPerWord, rowStride = a.planes.rowStride * kPerWord;
    for (int64_t channel = a.tiles.firstChannel; channel < a.tiles.endChannel; channel += kLanes) {
      T* const column = reinterpret_cast<T*>(a.planes.data) + channel - a.tiles.firstChannel;
      const auto put = [=](int64_t tile, int64_t plane, Floats values, Floats next) __attribute__((always_inline)) {
        const int64_t stride = notHoisted(planeStride);
        T* const place = column + plane * stride + tile * rowStride;
        storeBoth(place, place + stride, values, next);
      };
      InputTransform<Tile>::template each<decltype(activation)>(a.tiles, channel, put);
    }
  });
}

template <class Transform, class T>
RESIDUAL_INLINE void transformPairs(const TransformArguments& a, T, float) {
  for (int64_t channel = a.tiles.firstChannel; channel < a.tiles.endChannel; channel += kLanes) {
    float* const column = reinterpret_cast<float*>(a.planes.data) + channel - a.tiles.firstChannel;
    const auto put = [=](int64_t tile, int64_t plane, Floats values, Floats next) __attribute__((always_inline)) {
      const int64_t stride = notHoisted(a.planes.planeStride);
      float* const place = column + plane * stride + tile * a.planes.rowStride;
      storeBoth(place, place + stride, values, next);
    };
    Transform::template each<T>(a.tiles, channel, put);
  }
}

#ifdef RESIDUAL_NATIVE_BFLOAT16
/// A first tile of two waits, rounded, for its second. Beside the last of an odd number stand zeros.
template <class Transform>
RESIDUAL_INLINE void transformPairs(const TransformArguments& a, bfloat16, bfloat16) {
  const int64_t count = a.tiles.endTile - a.tiles.firstTile, planeStride = a.planes.planeStride, rowStride = a.planes.rowStride;
  for (int64_t channel = a.tiles.firstChannel; channel < a.tiles.endChannel; channel += kLanes) {
    Word* const column = a.planes.data + channel - a.tiles.firstChannel;
    __m512i waiting[Transform::kPlanes / 2] = {};
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
      for (int64_t plane = 0; plane < Transform::kPlanes; plane += 2) storePair(count, plane, waiting[plane / 2], __m512i{});
  }
}
#endif

template <class Tile>
void transformInputPairs(const TransformArguments& a) {
  withElementTypes(a, [&](auto activation, auto element) { transformPairs<InputTransform<Tile>>(a, activation, element); });
}

template <class Tile>
void transformGradientPairs(const TransformArguments& a) {
  withElementTypes(a, [&](auto activation, auto element) { transformPairs<GradientTransform<Tile>>(a, activation, element); });
}

/// A^T m A
template <class Tile>
void transformOutput(const OutputArguments& a) {
  constexpr int64_t kInputs = Tile::kInputs, kOutputs = Tile::kOutputs;
  withElementType(a.tiles.type, [&](auto tag) __attribute__((always_inline)) {
    using T = decltype(tag);
    const Tiles& tiles = a.tiles;
    for (int64_t channel = tiles.firstChannel; channel < tiles.endChannel; channel += kLanes) {
      const int64_t place = channel - tiles.firstChannel;
      const float* const column = reinterpret_cast<const float*>(a.planes.data) + place;
      const Floats bias = a.bias ? load(a.bias + place) : Floats{};
      forSegments<kOutputs>(tiles, [&](int64_t image, int64_t row, int64_t x, int64_t end, int64_t tile) __attribute__((always_inline)) {
        const int64_t pixelRow = tiles.width * tiles.channels;
        T* const y = static_cast<T*>(tiles.activation) + (image * tiles.height + kOutputs * row) * pixelRow + channel;
        const int64_t height = tiles.height - kOutputs * row;
        for (; x < end; ++x, ++tile) {
          const float* const m = column + tile * a.planes.rowStride;
          const int64_t stride = notHoisted(a.planes.planeStride);
          Floats columns[kInputs][kOutputs];
#pragma GCC unroll 8
          for (int64_t j = 0; j < kInputs; ++j) {
            Floats values[kInputs];
#pragma GCC unroll 8
            for (int64_t i = 0; i < kInputs; ++i) values[i] = load(m + (kInputs * i + j) * stride);
            Tile::output(values, columns[j]);
          }
          T* const pixels = y + kOutputs * x * tiles.channels;
          const int64_t width = tiles.width - kOutputs * x;
#pragma GCC unroll 8
          for (int64_t i = 0; i < kOutputs; ++i) {
            Floats values[kInputs], outputs[kOutputs];
#pragma GCC unroll 8
            for (int64_t j = 0; j < kInputs; ++j) values[j] = columns[j][i];
            Tile::output(values, outputs);
#pragma GCC unroll 8
            for (int64_t j = 0; j < kOutputs; ++j)
              if (i < height && j < width) store(pixels + i * pixelRow + j * tiles.channels, outputs[j] + bias);
          }
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

/// One by one: GCC 12 takes a copy of them together through the stack.
template <int64_t kCount>
RESIDUAL_INLINE void loadVectors(const Word* source, Words (&vectors)[kCount]) {
#pragma GCC unroll 16
  for (int64_t i = 0; i < kCount; ++i) __builtin_memcpy(&vectors[i], source + i * kLanes, sizeof vectors[i]);
}

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
    loadVectors(b, columns);
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
  loadVectors(b, columns);
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
    for (int64_t plane = 0; plane < m.planes; ++plane)
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

/// G g G^T of 16 filters g that lie `stride` floats apart.
template <class Tile>
RESIDUAL_INLINE void filterPlanes(const float* filters, int64_t stride, bool turned, Floats (&u)[Tile::kInputs * Tile::kInputs]) {
  constexpr int64_t kInputs = Tile::kInputs;
  float gathered[9][kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane)
    for (int64_t i = 0; i < 9; ++i) gathered[turned ? 8 - i : i][lane] = filters[lane * stride + i];
  Floats columns[3][kInputs];
  for (int64_t x = 0; x < 3; ++x) Tile::filter(load(gathered[x]), load(gathered[3 + x]), load(gathered[6 + x]), columns[x]);
  for (int64_t i = 0; i < kInputs; ++i) {
    Floats row[kInputs];
    Tile::filter(columns[0][i], columns[1][i], columns[2][i], row);
    for (int64_t j = 0; j < kInputs; ++j) u[kInputs * i + j] = row[j];
  }
}

template <class Tile>
void transformWeights(const WeightArguments& a) {
  withElementType(a.type, [&](auto tag) __attribute__((always_inline)) {
    using T = decltype(tag);
    constexpr int64_t kPerWord = sizeof(Word) / sizeof(T), kPlanes = Tile::kInputs * Tile::kInputs;
    const int64_t depth = (a.backward ? a.outputs : a.inputs) / kPerWord;
    const int64_t columnStride = 9 * (a.backward ? 1 : a.inputs), depthStride = 9 * (a.backward ? a.inputs : 1);
    for (int64_t column = a.firstColumn; column < a.endColumn; column += kLanes) {
      const int64_t place = column - a.firstColumn, panel = place / kPanel * kPanel;
      const int64_t wide = least(kPanel, a.endColumn - a.firstColumn - panel);
      for (int64_t d = a.firstDepth / kPerWord; d < a.endDepth / kPerWord; ++d) {
        const float* const filters = a.weights + column * columnStride + d * kPerWord * depthStride;
        Floats first[kPlanes], second[kPlanes];
        filterPlanes<Tile>(filters, columnStride, a.backward, first);
        if (kPerWord == 2) filterPlanes<Tile>(filters + depthStride, columnStride, a.backward, second);
        Word* const words = a.planes + panel * depth + d * wide + place - panel;
        for (int64_t plane = 0; plane < kPlanes; ++plane)
          storeWords(words + plane * a.planeStride, T{}, first[plane], kPerWord == 2 ? second[plane] : first[plane]);
      }
    }
  });
}

template <class Tile>
void weightGradient(const WeightGradientArguments& a) {
  constexpr int64_t kInputs = Tile::kInputs, kPlanes = kInputs * kInputs;
  for (int64_t output = a.firstOutput; output < a.endOutput; output += kLanes)
    for (int64_t input = a.firstInput; input < a.endInput; ++input) {
      const float* const sums = a.planes + input * a.rowStride + output - a.firstOutput;
      Floats s[kPlanes] = {};
      for (int64_t part = 0; part < a.parts; ++part)
        for (int64_t plane = 0; plane < kPlanes; ++plane) s[plane] += load(sums + part * a.partStride + plane * a.planeStride);
      Floats columns[kInputs][3];
      for (int64_t j = 0; j < kInputs; ++j) {
        Floats column[kInputs];
        for (int64_t i = 0; i < kInputs; ++i) column[i] = s[kInputs * i + j];
        Tile::filterGradient(column, columns[j]);
      }
      for (int64_t y = 0; y < 3; ++y) {
        Floats values[kInputs], row[3];
        for (int64_t j = 0; j < kInputs; ++j) values[j] = columns[j][y];
        Tile::filterGradient(values, row);
        for (int64_t x = 0; x < 3; ++x)
          for (int64_t lane = 0; lane < kLanes; ++lane)
            a.gradient[((output + lane) * a.inputs + input) * 9 + 3 * y + x] = row[x][lane];
      }
    }
}

}  // namespace

template <class Tile>
constexpr WinogradKernels kernelsOf{Tile::kOutputs,           transformInput<Tile>,   transformInputPairs<Tile>, transformGradientPairs<Tile>,
                                    transformOutput<Tile>,    multiply,               transformWeights<Tile>,    weightGradient<Tile>};

extern const WinogradKernels winograd2, winograd4;
const WinogradKernels winograd2 = kernelsOf<Tile2>;
const WinogradKernels winograd4 = kernelsOf<Tile4>;

}  // namespace residual::RESIDUAL_KERNELS
