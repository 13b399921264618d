// kernels.inl for every CPU that the compiler's default target covers; and the choice among the instruction sets.
#include <cstdlib>
#include <numeric>

#include "context.h"
#include "kernels.h"

#define RESIDUAL_KERNELS kernels_portable
#include "kernels.inl"

namespace residual {

#ifdef __x86_64__
namespace kernels_avx2 {
extern const Kernels table;
}
namespace kernels_avx512 {
extern const Kernels table;
}
namespace kernels_avx512_bf16 {
extern const Kernels table;
}
#endif

const Kernels& kernels() {
#ifdef __x86_64__
  static const Kernels& best = [&]() -> const Kernels& {
    const std::string isa = effectiveIsa();
    if (isa == "avx512_core_bf16") return kernels_avx512_bf16::table;
    if (isa.rfind("avx512", 0) == 0) return kernels_avx512::table;
    if (isa == "avx2") return kernels_avx2::table;
    return kernels_portable::table;
  }();
  return best;
#else
  return kernels_portable::table;
#endif
}

int64_t rowWidth(int64_t channels) {
  const int64_t width = channels / std::gcd<int64_t>(channels, 16) * 16;
  return width * ((64 + width - 1) / width);
}

}  // namespace residual
