// What the ops of one session share: its oneDNN engine and stream (named only in onednn.h) and its number of threads.
#pragma once
#include <memory>
#include <string>

#include "data_type.h"

namespace residual {

struct OneDnn;  // onednn.h

/// Whether this kind of CPU multiplies bfloat16 faster than float32: see docs/decisions/0011-bfloat16-kept-float32-multiplied.md.
bool multipliesBFloat16Faster();

class Context {
 public:
  /// `threads` is what OpenMP is set to on the thread that makes and uses the context.
  explicit Context(int threads, bool bfloat16Products = multipliesBFloat16Faster());
  ~Context();

  const int threads;
  /// Whether what is computed from bfloat16 activations is multiplied in bfloat16 too, rather than in float32.
  const bool bfloat16Products;
  const std::unique_ptr<OneDnn> onednn;
};

/// Instruction set that oneDNN uses at most, after its own limit variable: `avx512_core_bf16`.
std::string effectiveIsa();
/// oneDNN's version: `2.6.3`.
std::string oneDnnVersion();
/// Whether the CPU has bfloat16 arithmetic.
bool hasNativeBFloat16();
/// Whether the CPU multiplies whole tiles of matrices (AMX).
bool hasMatrixTiles();
/// Whether bfloat16 can be computed at all (AVX-512 without the instruction: emulated by oneDNN).
bool canComputeBFloat16();

}  // namespace residual
