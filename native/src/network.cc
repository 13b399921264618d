#include "network.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "fusion.h"
#include "ops/add.h"
#include "ops/batch_norm.h"
#include "ops/conv.h"
#include "ops/drop.h"
#include "ops/image.h"
#include "ops/linear.h"
#include "ops/pad_channels.h"
#include "ops/pool.h"
#include "ops/scale.h"
#include "ops/sigmoid.h"

namespace residual {
namespace {

const std::set<std::string> kKinds{"conv", "batchNorm", "relu", "add", "maxPool", "averagePool", "globalAveragePool",
                                   "padChannels", "linear", "sigmoid", "scale", "dropPath", "dropout"};

bool takesTwo(const Node& node) { return node.kind == "add" || node.kind == "scale"; }

[[noreturn]] void fail(const Node& node, const std::string& what) {
  throw std::invalid_argument("node \"" + node.name + "\" (" + node.kind + "): " + what);
}

std::string text(const Shape& shape) {
  return "[" + std::to_string(shape[0]) + ", " + std::to_string(shape[1]) + ", " + std::to_string(shape[2]) + "]";
}

/// How many windows fit; a last one in ceil mode must start inside the image or its padding before it.
int64_t windows(int64_t size, const Node& node) {
  const int64_t span = size + 2 * node.padding - node.kernel;
  if (span < 0) return 0;
  if (!node.ceilMode) return span / node.stride + 1;
  const int64_t count = (span + node.stride - 1) / node.stride + 1;
  return (count - 1) * node.stride >= size + node.padding ? count - 1 : count;
}

/// The shape that the node's kind and attributes make of `in`: what ops rely on to stay inside their memory.
Shape shapeAfter(const Node& node, const Shape& in) {
  const auto& [c, h, w] = in;
  if (node.kind == "conv" || node.kind == "maxPool" || node.kind == "averagePool")
    return {node.kind == "conv" ? node.outputShape[0] : c, windows(h, node), windows(w, node)};
  if (node.kind == "padChannels")
    return {c + node.addedChannels, (h + node.stride - 1) / node.stride, (w + node.stride - 1) / node.stride};
  if (node.kind == "globalAveragePool") return {c, 1, 1};
  if (node.kind == "linear") return {node.outputShape[0], 1, 1};
  return in;
}

void requireTensor(const Node& node, const Parameter* parameter, const std::vector<int64_t>& shape, const char* role) {
  if (!parameter) fail(node, std::string("has no ") + role);
  if (parameter->spec.shape != shape) fail(node, std::string("its ") + role + " has the wrong shape");
}

}  // namespace

/// Makes values and ops out of the graph, in order.
class Network::Builder {
 public:
  Builder(Network& network, const Graph& graph, Parameters& parameters)
      : network_(network), graph_(graph), parameters_(parameters), fused_(fuse(graph)) {}

  void build() {
    Value* input = addValue(kInput, graph_.inputShape, network_.options_.type, false);
    auto image = std::make_unique<Image>(network_.context_, *input);
    network_.image_ = image.get();
    network_.ops_.push_back(std::move(image));
    network_.outputs_.push_back(input);
    for (const FusedNode& fused : fused_) addNode(fused);
    network_.logits_ = network_.values_.at(graph_.output).get();
    if (network_.logits_->type != DataType::Float32 || network_.logits_->height * network_.logits_->width != 1)
      throw std::invalid_argument("the output \"" + graph_.output + "\" is neither a linear layer nor a global average pool");
    if (network_.logits_->channels != graph_.numClasses)
      throw std::invalid_argument("the output \"" + graph_.output + "\" does not have numClasses values");
  }

 private:
  Value* addValue(const std::string& name, const Shape& shape, DataType type, bool needsGradient) {
    auto value = std::make_unique<Value>();
    value->batch = network_.options_.batch;
    value->channels = shape[0];
    value->height = shape[1];
    value->width = shape[2];
    value->type = type;
    value->needsGradient = needsGradient;
    return (network_.values_[name] = std::move(value)).get();
  }

  void addNode(const FusedNode& fused) {
    const Node& node = *fused.node;
    std::vector<Value*> inputs;
    for (const std::string& name : fused.inputs) inputs.push_back(network_.values_.at(name).get());
    Value* residual = fused.residual.empty() ? nullptr : network_.values_.at(fused.residual).get();
    check(fused, inputs, residual);
    for (Value* read : inputs) ++read->readers;
    if (residual) ++residual->readers;
    const bool needsGradient = !node.tensors.empty() || (residual && residual->needsGradient) ||
                               std::any_of(inputs.begin(), inputs.end(), [](Value* v) { return v->needsGradient; });
    Value* y = addValue(fused.output, fused.outputShape, outputType(fused, *inputs[0]), needsGradient);
    network_.ops_.push_back(makeOp(fused, inputs, residual, *y));
    network_.outputs_.push_back(y);
  }

  /// Behind a global average pool that only linear layers read, and for logits, there is little to gain from bfloat16.
  DataType outputType(const FusedNode& fused, const Value& x) const {
    if (fused.node->kind == "linear") return DataType::Float32;
    if (fused.node->kind != "globalAveragePool") return x.type;
    for (const FusedNode& reader : fused_) {
      const bool reads = std::count(reader.inputs.begin(), reader.inputs.end(), fused.output) || reader.residual == fused.output;
      if (reads && reader.node->kind != "linear") return x.type;
    }
    return DataType::Float32;
  }

  void check(const FusedNode& fused, const std::vector<Value*>& inputs, const Value* residual) const {
    const Node& node = *fused.node;
    if (!kKinds.count(node.kind)) fail(node, "the onednn engine has no such kind of node");
    if (inputs.size() != (takesTwo(node) ? 2 : 1)) fail(node, "wrong number of inputs");
    if (node.kernel < 1 || node.stride < 1 || node.padding < 0 || node.groups < 1 || node.addedChannels < 0)
      fail(node, "an attribute is out of range");
    if (!(node.rate >= 0 && node.rate < 1)) fail(node, "its rate is not in [0, 1)");
    if (node.kind != "conv" && node.padding >= node.kernel && node.padding > 0) fail(node, "a window would see only padding");
    const Value& x = *inputs[0];
    if (node.kind == "conv" && (x.channels % node.groups || node.outputShape[0] % node.groups))
      fail(node, "channels do not divide into groups");
    const Shape in{x.channels, x.height, x.width}, out = shapeAfter(node, in);
    if (out != fused.outputShape || *std::min_element(out.begin(), out.end()) < 1)
      fail(node, "makes " + text(out) + " of " + text(in) + ", not " + text(fused.outputShape));
    const Value* const second = node.kind == "add" ? inputs[1] : nullptr;
    for (const Value* other : {second, residual})
      if (other && (Shape{other->channels, other->height, other->width} != in || other->type != x.type))
        fail(node, "adds activations of different shapes");
    if (node.kind == "scale" && (Shape{inputs[1]->channels, inputs[1]->height, inputs[1]->width} != Shape{x.channels, 1, 1} ||
                                 inputs[1]->type != x.type))
      fail(node, "does not have one factor for each channel");
    if (node.kind == "conv" && x.type != network_.options_.type) fail(node, "a convolution behind the head is not supported");
  }

  std::unique_ptr<Op> makeOp(const FusedNode& fused, const std::vector<Value*>& inputs, Value* residual, Value& y) {
    const Context& context = network_.context_;
    const Node& node = *fused.node;
    const Mode mode = network_.options_.mode;
    Value& x = *inputs[0];
    if (node.kind == "conv")
      return makeConv(context, mode, node, x, y, weight(node, {y.channels, x.channels / node.groups, node.kernel, node.kernel}),
                      bias(node, y.channels));
    if (node.kind == "batchNorm") return makeBatchNorm(context, mode, node, x, residual, fused.relu, y, norm(node, x.channels));
    if (node.kind == "add") return makeAdd(context, node.name, x, inputs[1], fused.relu, y);
    if (node.kind == "relu") return makeAdd(context, node.name, x, nullptr, true, y);
    if (node.kind == "maxPool" || node.kind == "averagePool") return makePool(context, mode, node, x, y);
    if (node.kind == "globalAveragePool") return makeGlobalAveragePool(context, node, x, y);
    if (node.kind == "padChannels") return makePadChannels(context, node, x, y);
    if (node.kind == "sigmoid") return makeSigmoid(context, node, x, y);
    if (node.kind == "scale") return makeScale(context, node, x, *inputs[1], y);
    if (node.kind == "dropPath" || node.kind == "dropout")
      return makeDrop(context, mode, node, static_cast<uint32_t>(&node - graph_.nodes.data()), network_.drops_, x, y);
    return makeLinear(context, node, x, y, weight(node, {y.channels, x.channels * x.height * x.width}), bias(node, y.channels));
  }

  Parameter& weight(const Node& node, const std::vector<int64_t>& shape) {
    Parameter* weight = parameters_.find(node, TensorRole::Weight);
    requireTensor(node, weight, shape, "weight");
    return *weight;
  }

  Parameter* bias(const Node& node, int64_t channels) {
    if (!node.bias) return nullptr;
    Parameter* bias = parameters_.find(node, TensorRole::Bias);
    requireTensor(node, bias, {channels}, "bias");
    return bias;
  }

  NormParameters norm(const Node& node, int64_t channels) {
    const NormParameters norm{parameters_.find(node, TensorRole::Scale), parameters_.find(node, TensorRole::Shift),
                              parameters_.find(node, TensorRole::RunningMean),
                              parameters_.find(node, TensorRole::RunningVariance)};
    requireTensor(node, norm.scale, {channels}, "scale");
    requireTensor(node, norm.shift, {channels}, "shift");
    requireTensor(node, norm.runningMean, {channels}, "running mean");
    requireTensor(node, norm.runningVariance, {channels}, "running variance");
    return norm;
  }

  Network& network_;
  const Graph& graph_;
  Parameters& parameters_;
  const std::vector<FusedNode> fused_;
};

Network::Network(const Context& context, const Graph& graph, Parameters& parameters, const DropState& drops,
                 NetworkOptions options)
    : context_(context), drops_(drops), options_(options) {
  Builder(*this, graph, parameters).build();
  planPasses();
}

Network::~Network() = default;

void Network::planPasses() {
  for (const auto& op : ops_) {
    op->planForward(plan_);
    plan_.nextStep();
  }
  plan_.use(logits_->data);
  if (options_.mode == Mode::Training) {
    loss_ = std::make_unique<SoftmaxCrossEntropy>(context_, *logits_, options_.labelSmoothing);
    loss_->plan(plan_);
    for (size_t i = ops_.size(); i-- > 0;) {
      if (!outputs_[i]->needsGradient) continue;
      const size_t limit = ops_[i]->gradientSummands();
      if (outputs_[i]->gradients.size() > limit) {
        plan_.nextStep();
        gradientSums_.push_back(makeGradientSum(context_, ops_[i]->name, *outputs_[i], limit));
        gradientSums_.back()->planBackward(plan_);
        backward_.push_back(gradientSums_.back().get());
      }
      plan_.nextStep();
      ops_[i]->planBackward(plan_);
      backward_.push_back(ops_[i].get());
    }
  }
  arenaBytes_ = plan_.place();
}

void Network::bind(std::byte* arena) {
  plan_.bind(arena);
  for (const auto& op : ops_) op->bind();
}

void Network::forward(const float* images) {
  image_->setPixels(images);
  for (const auto& op : ops_) op->forward();
}

const float* Network::logits() const { return logits_->data->as<float>(); }

LossResult Network::backward(const Targets& targets) {
  const LossResult result = loss_->run(targets);
  for (Op* op : backward_) op->backward();
  return result;
}

double leastActivationBytes(const Graph& graph, const NetworkOptions& options) {
  // Backward needs the input of every convolution, so at least each convolution's output or what is made of it.
  double elements = 0, largest = 0;
  for (const Node& node : graph.nodes) {
    const double size = static_cast<double>(node.outputShape[0]) * node.outputShape[1] * node.outputShape[2];
    largest = std::max(largest, size);
    if (node.kind == "conv") elements += size;
  }
  const double held = options.mode == Mode::Training ? elements : largest;
  return held * static_cast<double>(options.batch) * sizeOf(options.type);
}

}  // namespace residual
