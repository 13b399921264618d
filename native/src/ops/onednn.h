// oneDNN as the ops use it. Versions 2 and 3 differ in how a primitive is described: nothing outside this header knows.
#pragma once
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "context.h"
#include "value.h"

namespace residual {

struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

using Arguments = std::unordered_map<int, dnnl::memory>;

inline dnnl::memory::data_type dnnlType(DataType type) {
  return type == DataType::Float32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

inline dnnl::memory::desc nhwc(const Value& value) {
  return {{value.batch, value.channels, value.height, value.width}, dnnlType(value.type), dnnl::memory::format_tag::nhwc};
}

inline dnnl::memory wrap(const Context& context, const dnnl::memory::desc& desc, void* data) {
  return dnnl::memory(desc, context.onednn->engine, data);
}

/// Scratch memory comes out of the arena, so that it is counted and a step allocates nothing.
inline dnnl::primitive_attr scratchFromArena() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

/// The one place where oneDNN's errors become ours.
template <class Make>
auto guarded(const std::string& what, Make make) {
  try {
    return make();
  } catch (const dnnl::error& error) {
    const bool unimplemented = error.status == dnnl_unimplemented;
    throw std::runtime_error(what + ": " + (unimplemented ? "oneDNN has no implementation for it on this CPU" : error.what()));
  }
}

struct ConvGeometry {
  dnnl::memory::dims strides, padding;
};
struct PoolGeometry {
  dnnl::algorithm algorithm;
  dnnl::memory::dims strides, kernel, paddingBegin, paddingEnd;
};

#if DNNL_VERSION_MAJOR >= 3
#define RESIDUAL_DESCRIBE(primitive, engine, attributes, ...) primitive::primitive_desc(engine, __VA_ARGS__, attributes)
#define RESIDUAL_DESCRIBE_BACKWARD(primitive, engine, attributes, hint, ...) \
  primitive::primitive_desc(engine, __VA_ARGS__, hint, attributes)
#else
#define RESIDUAL_DESCRIBE(primitive, engine, attributes, ...) \
  primitive::primitive_desc(primitive::desc(__VA_ARGS__), attributes, engine)
#define RESIDUAL_DESCRIBE_BACKWARD(primitive, engine, attributes, hint, ...) \
  primitive::primitive_desc(primitive::desc(__VA_ARGS__), attributes, engine, hint)
#endif

/// `bias` is null for a convolution without one; so below.
inline auto describeConvForward(const dnnl::engine& engine, dnnl::prop_kind kind, const dnnl::memory::desc& source,
                                const dnnl::memory::desc& weights, const dnnl::memory::desc* bias,
                                const dnnl::memory::desc& destination, const ConvGeometry& g) {
  const auto direct = dnnl::algorithm::convolution_direct;
  if (bias)
    return RESIDUAL_DESCRIBE(dnnl::convolution_forward, engine, scratchFromArena(), kind, direct, source, weights, *bias,
                             destination, g.strides, g.padding, g.padding);
  return RESIDUAL_DESCRIBE(dnnl::convolution_forward, engine, scratchFromArena(), kind, direct, source, weights, destination,
                           g.strides, g.padding, g.padding);
}

inline auto describeConvBackwardData(const dnnl::engine& engine, const dnnl::convolution_forward::primitive_desc& hint,
                                     const dnnl::memory::desc& source, const dnnl::memory::desc& weights,
                                     const dnnl::memory::desc& destination, const ConvGeometry& g) {
  return RESIDUAL_DESCRIBE_BACKWARD(dnnl::convolution_backward_data, engine, scratchFromArena(), hint,
                                    dnnl::algorithm::convolution_direct, source, weights, destination, g.strides, g.padding,
                                    g.padding);
}

inline auto describeConvBackwardWeights(const dnnl::engine& engine, const dnnl::convolution_forward::primitive_desc& hint,
                                        const dnnl::memory::desc& source, const dnnl::memory::desc& weights,
                                        const dnnl::memory::desc* bias, const dnnl::memory::desc& destination,
                                        const ConvGeometry& g) {
  const auto direct = dnnl::algorithm::convolution_direct;
  if (bias)
    return RESIDUAL_DESCRIBE_BACKWARD(dnnl::convolution_backward_weights, engine, scratchFromArena(), hint, direct, source,
                                      weights, *bias, destination, g.strides, g.padding, g.padding);
  return RESIDUAL_DESCRIBE_BACKWARD(dnnl::convolution_backward_weights, engine, scratchFromArena(), hint, direct, source,
                                    weights, destination, g.strides, g.padding, g.padding);
}

#if DNNL_VERSION_MAJOR >= 3
#define RESIDUAL_POOL_WINDOW(g) g.strides, g.kernel, dnnl::memory::dims{0, 0}, g.paddingBegin, g.paddingEnd
#else
#define RESIDUAL_POOL_WINDOW(g) g.strides, g.kernel, g.paddingBegin, g.paddingEnd
#endif

inline auto describePoolForward(const dnnl::engine& engine, dnnl::prop_kind kind, const dnnl::memory::desc& source,
                                const dnnl::memory::desc& destination, const PoolGeometry& g) {
  return RESIDUAL_DESCRIBE(dnnl::pooling_forward, engine, scratchFromArena(), kind, g.algorithm, source, destination,
                           RESIDUAL_POOL_WINDOW(g));
}

inline auto describePoolBackward(const dnnl::engine& engine, const dnnl::pooling_forward::primitive_desc& hint,
                                 const dnnl::memory::desc& source, const dnnl::memory::desc& destination,
                                 const PoolGeometry& g) {
  return RESIDUAL_DESCRIBE_BACKWARD(dnnl::pooling_backward, engine, scratchFromArena(), hint, g.algorithm, source, destination,
                                    RESIDUAL_POOL_WINDOW(g));
}

inline auto describeMatMul(const dnnl::engine& engine, const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                           const dnnl::memory::desc& c) {
  return RESIDUAL_DESCRIBE(dnnl::matmul, engine, scratchFromArena(), a, b, c);
}

}  // namespace residual
