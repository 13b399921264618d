// pointwise_kernels.inl for AVX-512. Only `pointwiseKernels` may choose it, after it has asked the CPU.
#include "pointwise_blocks.h"
#include "pointwise_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#define RESIDUAL_KERNELS kernels_avx512
#include "pointwise_kernels.inl"
#endif
