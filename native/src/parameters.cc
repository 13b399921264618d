#include "parameters.h"

#include <algorithm>
#include <stdexcept>

namespace residual {

Parameters::Parameters(const Graph& graph, bool withGradients) {
  for (const Node& node : graph.nodes)
    for (const TensorSpec& spec : node.tensors) {
      auto parameter = std::make_unique<Parameter>();
      parameter->spec = spec;
      parameter->elements = 1;
      for (int64_t size : spec.shape) parameter->elements *= size;
      storage_.emplace_back(parameter->elements);
      parameter->value = storage_.back().data();
      if (withGradients && isTrained(spec.role)) {
        storage_.emplace_back(parameter->elements);
        parameter->gradient = storage_.back().data();
      }
      if (!byName_.emplace(spec.name, parameter.get()).second)
        throw std::invalid_argument("two tensors are called \"" + spec.name + "\"");
      parameters_.push_back(std::move(parameter));
    }
}

void Parameters::check(const TensorMap& tensors) const {
  for (const auto& parameter : parameters_) tensorOf(tensors, parameter->spec.name, parameter->elements);
}

void Parameters::load(const TensorMap& tensors) {
  check(tensors);
  for (const auto& parameter : parameters_) {
    const auto& values = tensors.at(parameter->spec.name);
    std::copy(values.begin(), values.end(), parameter->value);
  }
}

TensorMap Parameters::values() const {
  TensorMap tensors;
  for (const auto& p : parameters_) tensors[p->spec.name].assign(p->value, p->value + p->elements);
  return tensors;
}

TensorMap Parameters::gradients() const {
  TensorMap tensors;
  for (const auto& p : parameters_)
    if (p->gradient) tensors[p->spec.name].assign(p->gradient, p->gradient + p->elements);
  return tensors;
}

Parameter* Parameters::find(const Node& node, TensorRole role) {
  for (const TensorSpec& spec : node.tensors)
    if (spec.role == role) return byName_.at(spec.name);
  return nullptr;
}

std::vector<Parameter*> Parameters::all() const {
  std::vector<Parameter*> all;
  for (const auto& parameter : parameters_) all.push_back(parameter.get());
  return all;
}

size_t Parameters::bytes() const {
  size_t bytes = 0;
  for (const auto& tensor : storage_) bytes += tensor.size() * sizeof(float);
  return bytes;
}

const std::vector<float>& tensorOf(const TensorMap& tensors, const std::string& name, int64_t elements) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw std::invalid_argument("tensor \"" + name + "\" is missing");
  if (static_cast<int64_t>(found->second.size()) != elements)
    throw std::invalid_argument("tensor \"" + name + "\" has " + std::to_string(found->second.size()) + " elements, not " +
                                std::to_string(elements));
  return found->second;
}

}  // namespace residual
