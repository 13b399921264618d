// What this machine can do and how long the phases of a training step take: the program behind `npm run bench -- roofline`
// (bench/roofline.ts, which builds it with the addon's own objects). Prints one JSON object.
//
//   roofline THREADS peaks                                     matrix products and copying, at their best
//   roofline THREADS phases bfloat16|float32 BATCH STEPS < graph   medians in seconds; the graph as `readGraph` has it
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <random>

#include "../src/memory.h"
#include "../src/network.h"
#include "../src/ops/onednn.h"
#include "../src/optimizer.h"

using namespace residual;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double timed(const std::function<void()>& work) {
  const double start = seconds();
  work();
  return seconds() - start;
}

double bestOf(int times, const std::function<void()>& work) {
  double best = timed(work);
  while (--times > 0) best = std::min(best, timed(work));
  return best;
}

// ---- Peaks --------------------------------------------------------------------------------------------------------

/// FLOP/s of a product of two `side` x `side` matrices, the weights in the layout that oneDNN likes best.
double matmul(DataType type, int64_t side) {
  using dnnl::memory;
  OneDnn onednn;
  const memory::desc plain({side, side}, dnnlType(type), memory::format_tag::ab);
  const memory::desc any({side, side}, dnnlType(type), memory::format_tag::any);
  const auto description = RESIDUAL_DESCRIBE(dnnl::matmul, onednn.engine, dnnl::primitive_attr(), plain, any, plain);
  const memory source(description.src_desc(), onednn.engine), weights(description.weights_desc(), onednn.engine),
      result(description.dst_desc(), onednn.engine);
  std::memset(source.get_data_handle(), 0, description.src_desc().get_size());
  std::memset(weights.get_data_handle(), 0, description.weights_desc().get_size());
  const dnnl::matmul product(description);
  const double best = bestOf(10, [&] {
    product.execute(onednn.stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, result}});
    onednn.stream.wait();
  });
  return 2.0 * side * side * side / best;
}

double bestMatmul(DataType type) { return std::max({matmul(type, 1024), matmul(type, 2048), matmul(type, 4096)}); }

/// Bytes read and written per second, of memory far larger than any cache.
double copyBandwidth(int threads) {
  const size_t bytes = size_t{256} << 20, part = bytes / threads;
  std::vector<char> from(bytes, 1), to(bytes, 2);
  const double best = bestOf(10, [&] {
#pragma omp parallel num_threads(threads)
    {
      const size_t start = part * omp_get_thread_num();
      std::memcpy(to.data() + start, from.data() + start, part);
    }
  });
  return 2.0 * bytes / best;
}

void printPeaks(int threads) {
  const double float32 = bestMatmul(DataType::Float32);
  const double bfloat16 = hasNativeBFloat16() ? bestMatmul(DataType::BFloat16) : 0;
  std::printf("{\"isa\":\"%s\",\"oneDnn\":\"%s\",\"float32\":%.0f,\"bfloat16\":%.0f,\"copyBytesPerSecond\":%.0f}\n",
              effectiveIsa().c_str(), oneDnnVersion().c_str(), float32, bfloat16, copyBandwidth(threads));
}

// ---- Phases -------------------------------------------------------------------------------------------------------

Shape readShape(std::istream& in) {
  Shape shape;
  in >> shape[0] >> shape[1] >> shape[2];
  return shape;
}

/// Words: shape, classes, output, number of nodes; of each node its name, kind, inputs, shape, attributes and tensors,
/// lists behind their lengths (bench/roofline.ts: `graphText`).
Graph readGraph(std::istream& in) {
  Graph graph;
  size_t nodes;
  graph.inputShape = readShape(in);
  in >> graph.numClasses >> graph.output >> nodes;
  graph.nodes.resize(nodes);
  for (Node& node : graph.nodes) {
    size_t inputs, tensors;
    in >> node.name >> node.kind >> inputs;
    node.inputs.resize(inputs);
    for (std::string& input : node.inputs) in >> input;
    node.outputShape = readShape(in);
    in >> node.kernel >> node.stride >> node.padding >> node.groups >> node.addedChannels >> node.bias >> node.ceilMode >>
        tensors;
    node.tensors.resize(tensors);
    for (TensorSpec& tensor : node.tensors) {
      int role;
      size_t extents;
      in >> tensor.name >> role >> extents;
      tensor.role = static_cast<TensorRole>(role);
      tensor.shape.resize(extents);
      for (int64_t& extent : tensor.shape) in >> extent;
    }
  }
  if (!in) throw std::invalid_argument("the graph ends too soon");
  return graph;
}

/// Small weights, running statistics and shifts of nothing, scales of one.
TensorMap initialTensors(const Graph& graph, std::mt19937& random) {
  std::normal_distribution<float> weight(0, 0.05f);
  TensorMap tensors;
  for (const Node& node : graph.nodes)
    for (const TensorSpec& spec : node.tensors) {
      size_t elements = 1;
      for (int64_t extent : spec.shape) elements *= extent;
      std::vector<float>& values = tensors[spec.name];
      values.assign(elements, spec.role == TensorRole::Scale || spec.role == TensorRole::RunningVariance ? 1.0f : 0.0f);
      if (spec.role == TensorRole::Weight) std::generate(values.begin(), values.end(), [&] { return weight(random); });
    }
  return tensors;
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void printPhases(int threads, DataType type, int64_t batch, int steps) {
  const Graph graph = readGraph(std::cin);
  std::mt19937 random(0);
  const Context context(threads);
  Parameters parameters(graph);
  OptimizerOptions sgd;
  sgd.momentum = 0.9;
  sgd.nesterov = true;
  sgd.weightDecay = 5e-4;
  Optimizer optimizer(sgd, parameters, threads);
  parameters.load(initialTensors(graph, random));
  const DropState drops{};
  Network network(context, graph, parameters, drops, {Mode::Training, batch, type, 0});
  Arena arena;
  arena.resize(network.arenaBytes());
  network.bind(arena.data());

  std::vector<float> images(batch * graph.inputShape[0] * graph.inputShape[1] * graph.inputShape[2]);
  std::vector<int32_t> labels(batch);
  std::normal_distribution<float> pixel;
  for (float& value : images) value = pixel(random);
  for (int32_t& label : labels) label = static_cast<int32_t>(random() % graph.numClasses);

  std::vector<double> forward, backward, update;
  for (int step = -2; step < steps; ++step) {  // the first two warm up
    const double times[] = {timed([&] { network.forward(images.data()); }),
                            timed([&] { network.backward(labels.data()); }), timed([&] { optimizer.step(1e-3); })};
    if (step < 0) continue;
    forward.push_back(times[0]);
    backward.push_back(times[1]);
    update.push_back(times[2]);
  }
  std::printf("{\"forward\":%.6f,\"backward\":%.6f,\"update\":%.6f}\n", median(forward), median(backward), median(update));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) throw std::invalid_argument("usage: roofline THREADS peaks|phases …");
  const int threads = std::stoi(argv[1]);
  omp_set_num_threads(threads);
  if (std::strcmp(argv[2], "peaks") == 0)
    printPeaks(threads);
  else
    printPhases(threads, std::strcmp(argv[3], "bfloat16") == 0 ? DataType::BFloat16 : DataType::Float32, std::stoll(argv[4]),
                std::stoi(argv[5]));
} catch (const std::exception& failure) {
  std::fprintf(stderr, "roofline: %s\n", failure.what());
  return 1;
}
