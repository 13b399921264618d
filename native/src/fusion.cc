#include "fusion.h"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace residual {
namespace {

using Readers = std::map<std::string, std::vector<const Node*>>;

/// Who reads each node; also checks that names are defined once and before they are read.
Readers readersOf(const Graph& graph) {
  Readers readers{{kInput, {}}};
  for (const Node& node : graph.nodes) {
    for (const std::string& input : node.inputs) {
      const auto found = readers.find(input);
      if (found == readers.end()) throw std::invalid_argument("node \"" + node.name + "\" reads \"" + input + "\", which no node before it makes");
      found->second.push_back(&node);
    }
    if (!readers.emplace(node.name, std::vector<const Node*>{}).second)
      throw std::invalid_argument("two nodes are called \"" + node.name + "\"");
  }
  if (!readers.count(graph.output)) throw std::invalid_argument("the output \"" + graph.output + "\" is not a node");
  for (const Node& node : graph.nodes)
    if (readers[node.name].empty() && node.name != graph.output)
      throw std::invalid_argument("node \"" + node.name + "\" is read by nothing");
  return readers;
}

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph), readers_(readersOf(graph)) {
    for (const Node& node : graph.nodes) byName_[node.name] = &node;
  }

  std::vector<FusedNode> run() {
    std::vector<FusedNode> fused;
    for (const Node& node : graph_.nodes)
      if (!taken_.count(node.name) && !isPartOfAdd(node)) fused.push_back(fuse(node));
    return fused;
  }

 private:
  /// The node that alone reads `node`, or null.
  const Node* onlyReader(const Node& node) const {
    const auto& readers = readers_.at(node.name);
    return readers.size() == 1 && node.name != graph_.output ? readers.front() : nullptr;
  }

  /// The batch norm whose pass computes `add`: the last made of those that only the addition reads; or null.
  const Node* normOf(const Node& add) const {
    const Node* last = nullptr;
    for (const std::string& input : add.inputs) {
      const auto found = byName_.find(input);
      if (found == byName_.end() || found->second->kind != "batchNorm" || onlyReader(*found->second) != &add) continue;
      if (!last || found->second > last) last = found->second;  // nodes lie in one vector: later is larger
    }
    return last;
  }

  /// Such a norm is computed where its addition stands, when the other summand is there.
  bool isPartOfAdd(const Node& node) const {
    const Node* reader = onlyReader(node);
    return node.kind == "batchNorm" && reader && reader->kind == "add" && normOf(*reader) == &node;
  }

  FusedNode fuse(const Node& node) {
    FusedNode fused{&node, node.inputs, "", false, node.name, node.outputShape};
    if (node.kind == "add")
      if (const Node* norm = normOf(node)) {
        fused.node = norm;
        fused.inputs = norm->inputs;
        fused.residual = node.inputs[0] == norm->name ? node.inputs[1] : node.inputs[0];
      }
    const Node* reader = onlyReader(node);
    if ((node.kind == "batchNorm" || node.kind == "add") && reader && reader->kind == "relu") {
      fused.relu = true;
      fused.output = reader->name;
      taken_.insert(reader->name);
    }
    return fused;
  }

  const Graph& graph_;
  const Readers readers_;
  std::map<std::string, const Node*> byName_;
  std::set<std::string> taken_;
};

}  // namespace

std::vector<FusedNode> fuse(const Graph& graph) { return Fuser(graph).run(); }

}  // namespace residual
