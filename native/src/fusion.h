// Which nodes are computed together: batch norm with the addition and the ReLU that alone read it, addition with its ReLU.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graph.h"

namespace residual {

/// The name by which nodes read the image.
inline const std::string kInput = "input";

/// One op to be: `node` decides its kind; `output` is the last fused node.
struct FusedNode {
  const Node* node;
  std::vector<std::string> inputs;
  /// Of a batch norm: what is added to it, or empty.
  std::string residual;
  bool relu = false;
  std::string output;
  Shape outputShape;
};

/// In execution order. @throws std::invalid_argument for an unknown input, a repeated name, a node that nothing reads.
std::vector<FusedNode> fuse(const Graph& graph);

}  // namespace residual
