#include "trainer.h"

#include <omp.h>

#include <algorithm>
#include <stdexcept>

namespace residual {
namespace {

/// Full and last batches, of training and of evaluation, and some to spare.
constexpr size_t kMostNetworks = 6;

/// Of tensors, gradients, moments and averages.
double parameterBytes(const Graph& graph, const TrainerOptions& options) {
  double elements = 0;
  for (const Node& node : graph.nodes)
    for (const TensorSpec& tensor : node.tensors) {
      double size = 1;
      for (int64_t extent : tensor.shape) size *= static_cast<double>(extent);
      elements += size;
    }
  return elements * sizeof(float) * ((options.optimizer.kind == OptimizerKind::Sgd ? 3 : 4) + (options.emaDecay > 0 ? 1 : 0));
}

/// Checked before anything is built: what does not fit by far, and what this CPU has no arithmetic for.
const TrainerOptions& checked(const Graph& graph, const TrainerOptions& options) {
  if (options.batchSize < 1) throw std::invalid_argument("batchSize must be at least 1");
  if (options.threads < 1) throw std::invalid_argument("threads must be at least 1");
  if (options.type == DataType::BFloat16 && !canComputeBFloat16())
    throw std::runtime_error("this CPU (" + effectiveIsa() + ") cannot compute in bfloat16, which takes AVX-512: use float32");
  requireMemory(leastActivationBytes(graph, {Mode::Training, options.batchSize, options.type, 0}) +
                parameterBytes(graph, options));
  return options;
}

int withThreads(int threads) {
  omp_set_num_threads(threads);
  return threads;
}

}  // namespace

Trainer::Trainer(Graph graph, TensorMap initial, TrainerOptions options)
    : graph_(std::move(graph)), options_(checked(graph_, options)), context_(withThreads(options.threads)),
      parameters_(graph_), optimizer_(options.optimizer, parameters_, options.threads), drops_{options.seed} {
  parameters_.load(initial);
  initial.clear();  // before the arena is taken
  if (options_.emaDecay > 0) averages_.emplace(graph_, parameters_, options_.emaDecay, options_.threads);
  // Full batches come first and most: plan both kinds now, so that memory is refused or taken before the first step.
  network(Mode::Training, options_.batchSize);
  network(Mode::Evaluation, options_.batchSize);
}

Trainer::~Trainer() = default;

LossResult Trainer::step(const float* images, const Targets& targets, int64_t size, double learningRate) {
  Network& network = this->network(Mode::Training, size);
  drops_.step = static_cast<uint32_t>(optimizer_.steps());
  network.forward(images);
  const LossResult result = network.backward(targets);
  optimizer_.step(learningRate);
  if (averages_) averages_->follow(optimizer_.steps());
  return result;
}

void Trainer::evaluate(const float* images, int64_t size, float* logits) {
  Network& network = this->network(Mode::Evaluation, size);
  network.forward(images);
  std::copy_n(network.logits(), size * graph_.numClasses, logits);
}

void Trainer::restore(const TensorMap& tensors, const TensorMap& optimizerState, const TensorMap& averages) {
  parameters_.check(tensors);
  if (averages_) averages_->parameters().check(averages);
  optimizer_.restore(optimizerState);
  parameters_.load(tensors);
  if (averages_) averages_->parameters().load(averages);
}

double Trainer::plannedBytes() const {
  const size_t averages = averages_ ? averages_->parameters().bytes() : 0;
  return static_cast<double>(parameters_.bytes()) + averages + optimizer_.bytes() + arena_.bytes();
}

Network& Trainer::network(Mode mode, int64_t size) {
  const auto found = std::find_if(networks_.begin(), networks_.end(),
                                  [&](const Planned& planned) { return planned.mode == mode && planned.size == size; });
  if (found != networks_.end()) {
    networks_.splice(networks_.begin(), networks_, found);
    return *found->network;
  }
  if (size < 1 || size > options_.batchSize)
    throw std::invalid_argument("a batch has between 1 and " + std::to_string(options_.batchSize) + " images");
  const NetworkOptions options{mode, size, options_.type, options_.labelSmoothing};
  Parameters& parameters = averages_ && mode == Mode::Evaluation ? averages_->parameters() : parameters_;
  auto network = std::make_unique<Network>(context_, graph_, parameters, drops_, options);
  if (networks_.size() >= kMostNetworks) networks_.pop_back();
  if (network->arenaBytes() > arena_.bytes()) {
    requireMemory(static_cast<double>(network->arenaBytes() - arena_.bytes()));
    try {
      arena_.resize(network->arenaBytes());
    } catch (const MemoryError&) {
      networks_.clear();  // bound to memory that has been given back
      throw;
    }
    for (const Planned& planned : networks_) planned.network->bind(arena_.data());
  }
  network->bind(arena_.data());
  networks_.push_front({mode, size, std::move(network)});
  return *networks_.front().network;
}

}  // namespace residual
