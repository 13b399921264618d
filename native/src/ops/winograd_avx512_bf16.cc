// winograd_kernels.inl for AVX-512 with bfloat16 instructions. Only `winogradKernels()` may choose it, after it has asked the CPU.
#include "winograd_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include <type_traits>

// Intrinsics leave unmasked lanes undefined on purpose; GCC 12 warns of it (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")
#define RESIDUAL_KERNELS kernels_avx512_bf16
#define RESIDUAL_AVX512
#define RESIDUAL_NATIVE_BFLOAT16  // the pragma does not define __AVX512BF16__
#include "winograd_kernels.inl"
#endif
