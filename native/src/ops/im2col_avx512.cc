// im2col_kernels.inl for AVX-512. Only `im2colKernels` may choose it, after it has asked the CPU.
#include "im2col_blocks.h"
#include "im2col_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#define RESIDUAL_KERNELS kernels_avx512
#include "im2col_kernels.inl"
#endif
