// Included by each kernels_*.cc after it has set the instruction set and RESIDUAL_KERNELS, its namespace.

namespace residual::RESIDUAL_KERNELS {
namespace {

/// Rows whose sums are gathered in float32 before they enter the float64 totals.
constexpr int64_t kRowsPerChunk = 32;

#include "vectors.inl"

// Backward passes fetch activations ahead, which went out of the caches since forward; forward passes are no faster for it.

/// The last elements of a tensor, fewer than a vector.
template <class T>
RESIDUAL_INLINE Floats loadPart(const T* source, int64_t count) {
  T part[kLanes] = {};
  __builtin_memcpy(part, source, count * sizeof(T));
  return load(part);
}

template <class T>
RESIDUAL_INLINE void storePart(T* destination, Floats values, int64_t count) {
  T part[kLanes];
  store(part, values);
  __builtin_memcpy(destination, part, count * sizeof(T));
}

// Written so that a NaN passes: a network that diverges must show it.
RESIDUAL_INLINE Floats relu(Floats values) { return values < 0 ? Floats{} : values; }
RESIDUAL_INLINE Floats passWhere(Floats output, Floats gradient) { return output <= 0 ? Floats{} : gradient; }

/// Whole vectors through `body(load, store, index)`, then the tail through the same body on a part.
template <class Body>
RESIDUAL_INLINE void forEachVector(Range range, Body body) {
  int64_t i = range.begin;
  for (; i + kLanes <= range.end; i += kLanes)
    body(i, [](auto* p) __attribute__((always_inline)) { return load(p); },
         [](auto* p, Floats v) __attribute__((always_inline)) { store(p, v); });
  if (const int64_t rest = range.end - i; rest > 0)
    body(i, [rest](auto* p) { return loadPart(p, rest); }, [rest](auto* p, Floats v) { storePart(p, v, rest); });
}

/// As above, with the element's place in its row as a further argument.
template <class Body>
RESIDUAL_INLINE void forEachVectorOfRows(Range range, int64_t width, Body body) {
  auto whole = [](auto* p) __attribute__((always_inline)) { return load(p); };
  auto put = [](auto* p, Floats v) __attribute__((always_inline)) { store(p, v); };
  int64_t row = range.begin;
  for (; row + width <= range.end; row += width)
    for (int64_t c = 0; c < width; c += kLanes) body(row + c, c, whole, put);
  int64_t c = 0;
  for (; row + c + kLanes <= range.end; c += kLanes) body(row + c, c, whole, put);
  if (const int64_t rest = range.end - row - c; rest > 0)
    body(row + c, c, [rest](auto* p) { return loadPart(p, rest); }, [rest](auto* p, Floats v) { storePart(p, v, rest); });
}

RESIDUAL_INLINE void accumulate(double* total, Floats values) {
  for (int64_t lane = 0; lane < kLanes; ++lane) total[lane] += values[lane];
}

/// Two sums per element of a row. `terms(index, place, load, store, a, b)` adds one vector's summands to a and b.
template <class Terms>
RESIDUAL_INLINE void sumRows(Range range, int64_t width, double* first, double* second, Terms terms) {
  constexpr int64_t kBlock = 4;  // independent sums hide the additions' latency
  auto whole = [](auto* p) __attribute__((always_inline)) { return load(p); };
  auto put = [](auto* p, Floats v) __attribute__((always_inline)) { store(p, v); };
  int64_t row = range.begin;
  const int64_t wholeRows = (range.end - range.begin) / width;
  const int64_t endOfRows = range.begin + wholeRows * width;
  while (row < endOfRows) {
    const int64_t chunkEnd = row + kRowsPerChunk * width < endOfRows ? row + kRowsPerChunk * width : endOfRows;
    int64_t c = 0;
    for (; c + kBlock * kLanes <= width; c += kBlock * kLanes) {
      Floats a[kBlock] = {}, b[kBlock] = {};
      for (int64_t r = row; r < chunkEnd; r += width)
#pragma GCC unroll 4
        for (int64_t k = 0; k < kBlock; ++k) terms(r + c + k * kLanes, c + k * kLanes, whole, put, a[k], b[k]);
      for (int64_t k = 0; k < kBlock; ++k) {
        accumulate(first + c + k * kLanes, a[k]);
        accumulate(second + c + k * kLanes, b[k]);
      }
    }
    for (; c < width; c += kLanes) {
      Floats a = {}, b = {};
      for (int64_t r = row; r < chunkEnd; r += width) terms(r + c, c, whole, put, a, b);
      accumulate(first + c, a);
      accumulate(second + c, b);
    }
    row = chunkEnd;
  }
  for (int64_t c = 0; row + c < range.end; c += kLanes) {
    const int64_t rest = range.end - row - c < kLanes ? range.end - row - c : kLanes;
    Floats a = {}, b = {};
    terms(row + c, c, [rest](auto* p) { return loadPart(p, rest); },
          [rest](auto* p, Floats v) { storePart(p, v, rest); }, a, b);
    for (int64_t lane = 0; lane < rest; ++lane) {
      first[c + lane] += a[lane];
      second[c + lane] += b[lane];
    }
  }
}

/// Turns the element type and conditions of a call into template arguments, so that inner loops have no branches.
template <class Body>
void withType(DataType type, Body body) {
  type == DataType::Float32 ? body(float{}) : body(bfloat16{});
}

template <bool value>
struct Constant {
  constexpr operator bool() const { return value; }
};

template <class Body>
void withCondition(bool condition, Body body) {
  condition ? body(Constant<true>{}) : body(Constant<false>{});
}

void moments(const MomentsArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    const auto* x = static_cast<const decltype(tag)*>(a.x);
    sumRows(range, a.width, a.sum, a.sumOfSquares, [=](int64_t i, int64_t c, auto get, auto, Floats& sum, Floats& squares) __attribute__((always_inline)) {
      const Floats centred = get(x + i) - load(a.pivot + c);
      sum += centred;
      squares += centred * centred;
    });
  });
}

void normalise(const NormaliseArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    using T = decltype(tag);
    const auto* x = static_cast<const T*>(a.x);
    const auto* residual = static_cast<const T*>(a.residual);
    auto* y = static_cast<T*>(a.y);
    withCondition(residual != nullptr, [&](auto hasResidual) {
      withCondition(a.relu, [&](auto hasRelu) {
        forEachVectorOfRows(range, a.width, [=](int64_t i, int64_t c, auto get, auto put) __attribute__((always_inline)) {
          Floats value = get(x + i) * load(a.factor + c) + load(a.offset + c);
          if (hasResidual) value += get(residual + i);
          put(y + i, hasRelu ? relu(value) : value);
        });
      });
    });
  });
}

void normSums(const NormSumsArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    using T = decltype(tag);
    const auto* x = static_cast<const T*>(a.x);
    const auto* y = static_cast<const T*>(a.y);
    const auto* dy = static_cast<const T*>(a.dy);
    const auto* dy2 = static_cast<const T*>(a.dy2);
    auto* g = static_cast<T*>(a.g);
    withCondition(dy2 != nullptr, [&](auto two) {
      auto sums = [&](auto mask) {
        withCondition(g != nullptr, [&](auto keep) {
          sumRows(range, a.width, a.sumG, a.sumGX, [=](int64_t i, int64_t c, auto get, auto put, Floats& sumG, Floats& sumGX) __attribute__((always_inline)) {
            fetchAhead(x + i);
            fetchAhead(dy + i);
            if (two) fetchAhead(dy2 + i);
            const Floats input = get(x + i);
            Floats gradient = get(dy + i);
            if (two) gradient += get(dy2 + i);
            gradient = mask(i, c, get, input, gradient);
            if (keep) put(g + i, gradient);
            sumG += gradient;
            sumGX += gradient * (input - load(a.mean + c));
          });
        });
      };
      switch (a.mask) {
        case Mask::None:
          return sums([](int64_t, int64_t, auto, Floats, Floats gradient) __attribute__((always_inline)) { return gradient; });
        case Mask::FromInput:
          return sums([=](int64_t, int64_t c, auto, Floats input, Floats gradient) __attribute__((always_inline)) {
            return passWhere(input * load(a.factor + c) + load(a.offset + c), gradient);
          });
        case Mask::FromOutput:
          return sums([=](int64_t i, int64_t, auto get, Floats, Floats gradient) __attribute__((always_inline)) {
            fetchAhead(y + i);
            return passWhere(get(y + i), gradient);
          });
      }
    });
  });
}

void normGradient(const NormGradientArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    using T = decltype(tag);
    const auto* x = static_cast<const T*>(a.x);
    const auto* dy = static_cast<const T*>(a.dy);
    const auto* dy2 = static_cast<const T*>(a.dy2);
    auto* dx = static_cast<T*>(a.dx);
    withCondition(dy2 != nullptr, [&](auto two) {
      withCondition(a.mask == Mask::FromInput, [&](auto masked) {
        forEachVectorOfRows(range, a.width, [=](int64_t i, int64_t c, auto get, auto put) __attribute__((always_inline)) {
          fetchAhead(x + i);
          fetchAhead(dy + i);
          if (two) fetchAhead(dy2 + i);
          const Floats input = get(x + i);
          Floats gradient = get(dy + i);
          if (two) gradient += get(dy2 + i);
          if (masked) gradient = passWhere(input * load(a.factor + c) + load(a.offset + c), gradient);
          put(dx + i, gradient * load(a.gradientFactor + c) + (input * load(a.inputFactor + c) + load(a.constant + c)));
        });
      });
    });
  });
}

void add(const AddArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    using T = decltype(tag);
    const auto* first = static_cast<const T*>(a.a);
    const auto* second = static_cast<const T*>(a.b);
    auto* y = static_cast<T*>(a.y);
    withCondition(second != nullptr, [&](auto two) {
      withCondition(a.relu, [&](auto hasRelu) {
        forEachVector(range, [=](int64_t i, auto get, auto put) __attribute__((always_inline)) {
          Floats value = get(first + i);
          if (two) value += get(second + i);
          put(y + i, hasRelu ? relu(value) : value);
        });
      });
    });
  });
}

void reluGradient(const ReluGradientArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    using T = decltype(tag);
    const auto* y = static_cast<const T*>(a.y);
    const auto* dy = static_cast<const T*>(a.dy);
    const auto* dy2 = static_cast<const T*>(a.dy2);
    auto* g = static_cast<T*>(a.g);
    withCondition(dy2 != nullptr, [&](auto two) {
      withCondition(y != nullptr, [&](auto masked) {
        forEachVector(range, [=](int64_t i, auto get, auto put) __attribute__((always_inline)) {
          Floats gradient = get(dy + i);
          if (two) gradient += get(dy2 + i);
          put(g + i, masked ? passWhere(get(y + i), gradient) : gradient);
        });
      });
    });
  });
}

/// Upper 32 bits of the 64-bit products.
RESIDUAL_INLINE Words multiplyHigh(Words a, uint32_t b) {
  return __builtin_convertvector(__builtin_convertvector(a, Longs) * b >> 32, Words);
}

/// Random bits of the elements [first, first + 64), `first` a multiple of 4: sixteen blocks of Philox4x32-10 at once, each
/// the four words of `CounterRandom` (src/domain/seed.ts) with the step as its index and the node as its subindex.
RESIDUAL_INLINE void drawDropBits(const DropKey& key, int64_t first, uint32_t* bits) {
  constexpr uint32_t kDropStream = 4;  // STREAM.drop
  const Words lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Words c0 = lanes + static_cast<uint32_t>(first / 4), c1 = Words{} + key.step, c2 = Words{} + key.node, c3{};
  uint32_t k0 = key.seed, k1 = kDropStream;
  for (int round = 0; round < 10; ++round) {
    const Words high0 = multiplyHigh(c0, 0xd2511f53), low0 = c0 * 0xd2511f53;
    const Words high1 = multiplyHigh(c2, 0xcd9e8d57), low1 = c2 * 0xcd9e8d57;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    bits[4 * lane] = c0[lane];
    bits[4 * lane + 1] = c1[lane];
    bits[4 * lane + 2] = c2[lane];
    bits[4 * lane + 3] = c3[lane];
  }
}

void drop(const DropArguments& a, Range range) {
  withType(a.type, [&](auto tag) {
    const auto* x = static_cast<const decltype(tag)*>(a.x);
    auto* y = static_cast<decltype(tag)*>(a.y);
    const Floats kept = Floats{} + a.factor;
    constexpr int64_t kDrawn = 4 * kLanes;
    for (int64_t first = range.begin; first < range.end; first += kDrawn) {
      uint32_t drawn[kDrawn];
      drawDropBits(a.key, first, drawn);
      const uint32_t* const bits = drawn;
      forEachVector({first, first + kDrawn < range.end ? first + kDrawn : range.end}, [=](int64_t i, auto get, auto put) __attribute__((always_inline)) {
        Words words;
        __builtin_memcpy(&words, bits + (i - first), sizeof words);
        // A product, not a choice of zero: what is no number shows.
        put(y + i, get(x + i) * (words <= a.lastDropped ? Floats{} : kept));
      });
    }
  });
}

void convert(const ConvertArguments& a, Range range) {
  withType(a.from, [&](auto from) {
    withType(a.to, [&](auto to) {
      const auto* source = static_cast<const decltype(from)*>(a.source);
      auto* destination = static_cast<decltype(to)*>(a.destination);
      forEachVector(range, [=](int64_t i, auto get, auto put) __attribute__((always_inline)) { put(destination + i, get(source + i)); });
    });
  });
}

}  // namespace

extern const Kernels table;
const Kernels table{moments, normalise, normSums, normGradient, add, reluGradient, drop, convert};

}  // namespace residual::RESIDUAL_KERNELS
