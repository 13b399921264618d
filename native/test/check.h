// The little that the tests need: named cases that print what failed, and graphs in a few words.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "../src/graph.h"
#include "../src/parameters.h"

namespace residual::test {

inline int failures = 0;

/// Runs one claim; `check` throws where it does not hold.
inline void claim(const std::string& title, const std::function<void()>& check) {
  try {
    check();
    std::printf("ok   %s\n", title.c_str());
  } catch (const std::exception& error) {
    ++failures;
    std::printf("FAIL %s: %s\n", title.c_str(), error.what());
  }
}

/// The nearest number that a bfloat16 can hold, ties to even.
inline float roundedToBFloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::logic_error(what);
}

inline void requireThrows(const std::function<void()>& act, const std::string& part) {
  try {
    act();
  } catch (const std::exception& error) {
    return require(std::string(error.what()).find(part) != std::string::npos, "says \"" + std::string(error.what()) + "\"");
  }
  throw std::logic_error("throws nothing");
}

/// Appends nodes; each method gives the name of what it made.
class GraphMaker {
 public:
  GraphMaker(Shape input, int64_t classes) {
    graph.inputShape = input;
    graph.numClasses = classes;
    shapes_["input"] = input;
  }

  struct Window {
    int64_t kernel = 1, stride = 1, padding = 0, groups = 1;
    bool bias = false, ceilMode = false;
  };

  std::string conv(const std::string& x, int64_t outputs, Window window) {
    Node node = start("conv", {x}, window);
    const auto [c, h, w] = shapes_[x];
    node.outputShape = {outputs, side(h, window), side(w, window)};
    node.tensors.push_back({node.name + ".weight", TensorRole::Weight, {outputs, c / window.groups, window.kernel, window.kernel}});
    if (window.bias) node.tensors.push_back({node.name + ".bias", TensorRole::Bias, {outputs}});
    return finish(node);
  }

  std::string norm(const std::string& x) {
    Node node = start("batchNorm", {x}, {});
    node.outputShape = shapes_[x];
    const std::vector<int64_t> size{node.outputShape[0]};
    node.tensors = {{node.name + ".weight", TensorRole::Scale, size},
                    {node.name + ".bias", TensorRole::Shift, size},
                    {node.name + ".running_mean", TensorRole::RunningMean, size},
                    {node.name + ".running_var", TensorRole::RunningVariance, size}};
    return finish(node);
  }

  std::string pool(const std::string& kind, const std::string& x, Window window) {
    Node node = start(kind, {x}, window);
    const auto [c, h, w] = shapes_[x];
    node.outputShape = {c, side(h, window), side(w, window)};
    return finish(node);
  }

  std::string padChannels(const std::string& x, int64_t stride, int64_t added) {
    Node node = start("padChannels", {x}, {1, stride});
    const auto [c, h, w] = shapes_[x];
    node.addedChannels = added;
    node.outputShape = {c + added, (h + stride - 1) / stride, (w + stride - 1) / stride};
    return finish(node);
  }

  std::string drop(const std::string& kind, const std::string& x, double rate) {
    Node node = start(kind, {x}, {});
    node.rate = rate;
    node.outputShape = shapes_[x];
    return finish(node);
  }

  /// relu, add and other kinds that keep the shape; globalAveragePool.
  std::string plain(const std::string& kind, std::vector<std::string> inputs) {
    Node node = start(kind, inputs, {});
    node.outputShape = shapes_[inputs[0]];
    if (kind == "globalAveragePool") node.outputShape = {node.outputShape[0], 1, 1};
    return finish(node);
  }

  /// The output.
  Graph linear(const std::string& x) {
    Node node = start("linear", {x}, {});
    const auto [c, h, w] = shapes_[x];
    node.bias = true;
    node.outputShape = {graph.numClasses, 1, 1};
    node.tensors = {{node.name + ".weight", TensorRole::Weight, {graph.numClasses, c * h * w}},
                    {node.name + ".bias", TensorRole::Bias, {graph.numClasses}}};
    graph.output = finish(node);
    return graph;
  }

  Graph graph;

 private:
  Node start(const std::string& kind, std::vector<std::string> inputs, Window window) {
    Node node;
    node.name = kind + std::to_string(graph.nodes.size());
    node.kind = kind;
    node.inputs = std::move(inputs);
    node.kernel = window.kernel;
    node.stride = window.stride;
    node.padding = window.padding;
    node.groups = window.groups;
    node.bias = window.bias;
    node.ceilMode = window.ceilMode;
    return node;
  }

  std::string finish(const Node& node) {
    shapes_[node.name] = node.outputShape;
    graph.nodes.push_back(node);
    return node.name;
  }

  static int64_t side(int64_t size, Window w) {
    return (size + 2 * w.padding - w.kernel + (w.ceilMode ? w.stride - 1 : 0)) / w.stride + 1;
  }

  std::map<std::string, Shape> shapes_;
};

inline std::vector<float> randomValues(size_t count, std::mt19937& random, float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// Weights of a sensible size, scales about 1, variances between 0.5 and 1.5.
inline TensorMap randomTensors(const Graph& graph, std::mt19937& random) {
  TensorMap tensors;
  for (const Node& node : graph.nodes)
    for (const TensorSpec& spec : node.tensors) {
      size_t count = 1;
      for (int64_t extent : spec.shape) count *= extent;
      const bool weight = spec.role == TensorRole::Weight;
      auto& values = tensors[spec.name] = randomValues(count, random, weight ? std::sqrt(2.0f * spec.shape[0] / count) : 0.2f);
      for (float& value : values) {
        if (spec.role == TensorRole::Scale) value += 1;
        if (spec.role == TensorRole::RunningVariance) value = 1 + std::tanh(value) / 2;
      }
    }
  return tensors;
}

}  // namespace residual::test
