// Activations in either element type, from and to float32.
#pragma once
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "../src/ops/value.h"
#include "check.h"

namespace residual::test {

/// Of activations, and of what they are multiplied as.
constexpr std::pair<DataType, DataType> kTypes[] = {{DataType::Float32, DataType::Float32},
                                                    {DataType::BFloat16, DataType::Float32},
                                                    {DataType::BFloat16, DataType::BFloat16}};

inline std::string nameOf(DataType type, DataType products) {
  const auto name = [](DataType type) { return std::string(type == DataType::Float32 ? "float32" : "bfloat16"); };
  return name(type) + (products == type ? "" : " multiplied as " + name(products));
}

inline void write(const Buffer& buffer, DataType type, const std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &values[i], sizeof bits);
    if (type == DataType::Float32)
      buffer.as<float>()[i] = values[i];
    else
      buffer.as<bfloat16>()[i].bits = static_cast<uint16_t>(bits >> 16);
  }
}

inline std::vector<float> read(const Buffer& buffer, const Value& value) {
  std::vector<float> values(value.elements());
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t bits = value.type == DataType::Float32 ? 0 : static_cast<uint32_t>(buffer.as<bfloat16>()[i].bits) << 16;
    std::memcpy(&values[i], &bits, sizeof bits);
    if (value.type == DataType::Float32) values[i] = buffer.as<float>()[i];
  }
  return values;
}

/// Random values that bfloat16 can hold, where that is the type.
inline std::vector<float> randomActivation(int64_t elements, DataType type, std::mt19937& random) {
  std::vector<float> values = randomValues(elements, random);
  if (type == DataType::BFloat16)
    for (float& value : values) value = roundedToBFloat16(value);
  return values;
}

/// Norm of the difference beside that of the expected values.
inline double error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / size);
}

}  // namespace residual::test
