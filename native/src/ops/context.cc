#include "context.h"

#include "onednn.h"

namespace residual {
namespace {

/// The enumeration is a set of bits: an instruction set contains another's bits when it contains that set.
bool effectiveIsaHas(dnnl_cpu_isa_t isa) {
  const auto effective = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  return (effective & isa) == static_cast<unsigned>(isa);
}

}  // namespace

Context::Context(int threads, bool bfloat16Products)
    : threads(threads), bfloat16Products(bfloat16Products), onednn(std::make_unique<OneDnn>()) {}
Context::~Context() = default;

std::string effectiveIsa() {
  if (hasNativeBFloat16()) return "avx512_core_bf16";
  if (effectiveIsaHas(dnnl_cpu_isa_avx512_core_vnni)) return "avx512_core_vnni";
  if (effectiveIsaHas(dnnl_cpu_isa_avx512_core)) return "avx512_core";
  if (effectiveIsaHas(dnnl_cpu_isa_avx2)) return "avx2";
  if (effectiveIsaHas(dnnl_cpu_isa_avx)) return "avx";
  return "sse41";
}

std::string oneDnnVersion() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
}

bool multipliesBFloat16Faster() {
#ifdef __x86_64__
  return hasNativeBFloat16() && (hasMatrixTiles() || !__builtin_cpu_is("intel"));
#else
  return false;
#endif
}

bool hasNativeBFloat16() { return effectiveIsaHas(dnnl_cpu_isa_avx512_core_bf16); }
bool hasMatrixTiles() { return effectiveIsaHas(dnnl_cpu_isa_avx512_core_amx); }
bool canComputeBFloat16() { return effectiveIsaHas(dnnl_cpu_isa_avx512_core); }

}  // namespace residual
