// The tensors of a network: master weights and running statistics with their gradients, float32, owned here and shared
// by every plan of a session.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph.h"
#include "ops/value.h"

namespace residual {

/// Tensors by state_dict name, as they come in and go out.
using TensorMap = std::map<std::string, std::vector<float>>;

inline bool isTrained(TensorRole role) { return role != TensorRole::RunningMean && role != TensorRole::RunningVariance; }

class Parameters {
 public:
  /// Every tensor of the graph, zero; without gradients for what is not trained itself.
  /// @throws std::invalid_argument where two have one name.
  explicit Parameters(const Graph& graph, bool withGradients = true);

  /// @throws std::invalid_argument where a tensor is missing or of another length.
  void check(const TensorMap& tensors) const;
  /// Checked; nothing is changed where it throws.
  void load(const TensorMap& tensors);
  TensorMap values() const;
  TensorMap gradients() const;

  /// The node's tensor of a role, or null.
  Parameter* find(const Node& node, TensorRole role);
  std::vector<Parameter*> all() const;
  size_t bytes() const;

 private:
  std::vector<std::unique_ptr<Parameter>> parameters_;  // in state_dict order
  std::map<std::string, Parameter*> byName_;
  std::vector<std::vector<float>> storage_;
};

/// The tensor `name` of `elements` floats. @throws std::invalid_argument
const std::vector<float>& tensorOf(const TensorMap& tensors, const std::string& name, int64_t elements);

}  // namespace residual
