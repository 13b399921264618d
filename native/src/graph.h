// The network as `src/domain/network/graph.ts` describes it, in plain C++: a list of nodes in execution order.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace residual {

/// [C, H, W] of one image's activation.
using Shape = std::array<int64_t, 3>;

enum class TensorRole { Weight, Bias, Scale, Shift, RunningMean, RunningVariance };

/// A tensor of torchvision's state_dict: float32, row-major.
struct TensorSpec {
  std::string name;
  TensorRole role;
  std::vector<int64_t> shape;
};

/// Attributes that a kind does not have keep their defaults.
struct Node {
  std::string name;
  std::string kind;
  std::vector<std::string> inputs;
  Shape outputShape{};
  std::vector<TensorSpec> tensors;
  int64_t kernel = 1, stride = 1, padding = 0, groups = 1, addedChannels = 0;
  bool bias = false, ceilMode = false;
  double epsilon = 1e-5, momentum = 0.1, rate = 0;
};

struct Graph {
  Shape inputShape{};
  int64_t numClasses = 0;
  std::vector<Node> nodes;
  std::string output;
};

}  // namespace residual
