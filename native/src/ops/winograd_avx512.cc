// winograd_kernels.inl for AVX-512. Only `winogradKernels()` may choose it, after it has asked the CPU.
#include "winograd_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include <type_traits>

// Intrinsics leave unmasked lanes undefined on purpose; GCC 12 warns of it (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#define RESIDUAL_KERNELS kernels_avx512
#define RESIDUAL_AVX512
#include "winograd_kernels.inl"
#endif
