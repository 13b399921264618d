// kernels.inl for AVX2. Only `kernels()` may choose it, after it has asked the CPU.
#include "kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#pragma GCC target("avx2,fma,f16c")
#define RESIDUAL_KERNELS kernels_avx2
#include "kernels.inl"
#endif
