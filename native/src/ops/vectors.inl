// Vectors of 16 floats in GCC's vector extension, which compiles to whatever the including file's instruction set has; only
// the rounding to bfloat16 has an instruction of its own. Included inside that set's namespace.

constexpr int64_t kLanes = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint64_t Longs __attribute__((vector_size(128)));
typedef uint16_t Halves __attribute__((vector_size(32)));

#define RESIDUAL_INLINE static inline __attribute__((always_inline))

/// What will be needed soon: the CPU's own prefetchers stop at the end of each page.
template <class T>
RESIDUAL_INLINE void fetchAhead(const T* place) {
  __builtin_prefetch(reinterpret_cast<const char*>(place) + 4096, 0, 3);
}

/// The value, which the compiler takes for a new one each time: multiples of it made ahead would fill the registers.
template <class T>
RESIDUAL_INLINE T notHoisted(T value) {
  asm("" : "+r"(value));
  return value;
}

RESIDUAL_INLINE Floats load(const float* source) {
  Floats values;
  __builtin_memcpy(&values, source, sizeof values);
  return values;
}

RESIDUAL_INLINE Floats load(const bfloat16* source) {
  Halves halves;
  __builtin_memcpy(&halves, source, sizeof halves);
#ifdef RESIDUAL_AVX512  // GCC 12 makes two vectors of it and joins them
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)halves), 16);
#else
  return (Floats)(__builtin_convertvector(halves, Words) << 16);
#endif
}

RESIDUAL_INLINE void store(float* destination, Floats values) { __builtin_memcpy(destination, &values, sizeof values); }

RESIDUAL_INLINE void store(bfloat16* destination, Floats values) {
#ifdef RESIDUAL_NATIVE_BFLOAT16
  const __m256bh halves = _mm512_cvtneps_pbh((__m512)values);
#else
  const Words bits = (Words)values;
  const Words rounded = bits + 0x7fff + ((bits >> 16) & 1);
  // Rounding could carry a NaN's mantissa into an infinity.
  const Words result = values == values ? rounded : (bits | 0x400000);
  const Halves halves = __builtin_convertvector(result >> 16, Halves);
#endif
  __builtin_memcpy(destination, &halves, sizeof halves);
}
