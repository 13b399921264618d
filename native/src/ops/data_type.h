// Element types of activations. Weights, statistics and optimizer state are always float32.
#pragma once
#include <cstddef>
#include <cstdint>

namespace residual {

enum class DataType { Float32, BFloat16 };

/// The upper half of a float32.
struct bfloat16 {
  uint16_t bits;
};

inline size_t sizeOf(DataType type) { return type == DataType::Float32 ? sizeof(float) : sizeof(bfloat16); }

}  // namespace residual
