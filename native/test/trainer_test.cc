// The core as the addon uses it, under AddressSanitizer: what must be bit for bit the same, what must be refused, and
// that opening and closing leaves nothing behind.
#include <omp.h>

#include <cstring>
#include <thread>

#include "../src/trainer.h"
#include "check.h"

using namespace residual;
using namespace residual::test;

namespace {

constexpr int64_t kBatch = 6, kClasses = 5;

/// Every kind of node, twice fused and once alone.
Graph everyKind() {
  GraphMaker make({3, 13, 11}, kClasses);
  std::string x = make.plain("relu", {make.norm(make.conv("input", 12, {7, 2, 3}))});
  x = make.pool("maxPool", x, {3, 2, 1});
  std::string y = make.plain("relu", {make.norm(make.conv(x, 12, {3, 1, 1, 2, true}))});
  y = make.norm(make.conv(y, 12, {3, 1, 1}));
  x = make.plain("relu", {make.plain("add", {y, x})});
  y = make.norm(make.conv(x, 24, {3, 2, 1}));
  x = make.plain("relu", {make.plain("add", {y, make.padChannels(x, 2, 12)})});
  y = make.conv(make.pool("averagePool", x, {2, 2, 0, 1, false, true}), 24, {1});
  y = make.plain("add", {make.plain("relu", {y}), y});
  const std::string gate = make.conv(make.plain("globalAveragePool", {y}), 24, {1, 1, 0, 1, true});
  y = make.plain("scale", {make.drop("dropout", y, 0.2), make.plain("sigmoid", {gate})});
  y = make.plain("add", {make.drop("dropPath", y, 0.3), y});
  return make.linear(make.plain("globalAveragePool", {y}));
}

struct Data {
  std::vector<float> images;
  std::vector<int32_t> labels;
};

Data batches(const Graph& graph, int64_t images) {
  std::mt19937 random(3);
  Data data;
  data.images = randomValues(images * graph.inputShape[0] * graph.inputShape[1] * graph.inputShape[2], random);
  for (int64_t i = 0; i < images; ++i) data.labels.push_back(static_cast<int32_t>(random() % kClasses));
  return data;
}

TensorMap initialTensors(const Graph& graph) {
  std::mt19937 random(1);
  return randomTensors(graph, random);
}

TrainerOptions options(DataType type, OptimizerKind kind = OptimizerKind::Sgd) {
  TrainerOptions options;
  options.batchSize = kBatch;
  options.type = type;
  options.optimizer.kind = kind;
  options.optimizer.momentum = 0.9;
  options.optimizer.nesterov = true;
  options.optimizer.weightDecay = 1e-3;
  options.labelSmoothing = 0.1;
  options.threads = 2;
  options.seed = 11;
  return options;
}

/// Full batches, a smaller one, an evaluation in between: the tensors after it.
TensorMap train(Trainer& trainer, bool evaluates) {
  const Data data = batches(trainer.graph(), kBatch);
  std::vector<float> logits(kBatch * kClasses);
  for (const int64_t size : {kBatch, kBatch, int64_t{2}, kBatch, int64_t{1}}) {
    trainer.step(data.images.data(), data.labels.data(), size, 0.01);
    if (evaluates) trainer.evaluate(data.images.data(), size, logits.data());
  }
  return trainer.tensors();
}

TensorMap trainAfresh(TrainerOptions options, bool evaluates = false) {
  const Graph graph = everyKind();
  Trainer trainer(graph, initialTensors(graph), options);
  return train(trainer, evaluates);
}

void checkType(DataType type, const std::string& name) {
  for (const auto& [kind, title] : {std::pair{OptimizerKind::Sgd, "SGD"}, {OptimizerKind::Adam, "Adam"}, {OptimizerKind::AdamW, "AdamW"}})
    claim(std::string(title) + " in " + name + " gives the same bits twice, with and without evaluations", [&, kind = kind] {
      const TensorMap first = trainAfresh(options(type, kind), false), second = trainAfresh(options(type, kind), true);
      require(first == second, "the weights differ");
      for (const auto& [tensor, values] : first)
        for (float value : values) require(std::isfinite(value), tensor + " is not finite");
    });

  claim("a session restored from " + name + " tensors and optimizer state continues bit for bit", [&] {
    const Graph graph = everyKind();
    Trainer one(graph, initialTensors(graph), options(type)), other(graph, initialTensors(graph), options(type));
    train(one, false);
    other.restore(one.tensors(), one.optimizerState());
    require(train(one, false) == train(other, false), "the weights differ");
  });

  claim("one with averages and clipping in " + name + " gives the same bits twice, and continues bit for bit", [&] {
    TrainerOptions more = options(type);
    more.emaDecay = 0.9;
    more.optimizer.clipNorm = 0.5;
    const Graph graph = everyKind();
    Trainer one(graph, initialTensors(graph), more), two(graph, initialTensors(graph), more), other(graph, initialTensors(graph), more);
    require(one.averages() == initialTensors(graph), "they do not begin as the tensors");
    require(train(one, false) == train(two, true) && one.averages() == two.averages(), "the second time differs");
    other.restore(one.tensors(), one.optimizerState(), one.averages());
    require(train(one, false) == train(other, false) && one.averages() == other.averages(), "the restored differs");
    require(one.averages() != one.tensors(), "the averages are the tensors");
  });

  claim("each image's logits in " + name + " are the same in any batch", [&] {
    const Graph graph = everyKind();
    Trainer trainer(graph, initialTensors(graph), options(type));
    const Data data = batches(graph, kBatch);
    std::vector<float> all(kBatch * kClasses), one(kClasses);
    trainer.evaluate(data.images.data(), kBatch, all.data());
    const size_t image = data.images.size() / kBatch;
    for (int64_t i = 0; i < kBatch; ++i) {
      trainer.evaluate(data.images.data() + i * image, 1, one.data());
      for (int64_t k = 0; k < kClasses; ++k) require(std::abs(one[k] - all[i * kClasses + k]) < 1e-2, "the logits differ");
    }
  });
}

/// image -> drop -> global average pool: the logits show the mask.
std::vector<float> meansBehindDrop(const std::string& kind, double rate, DropState drops, Mode mode, DataType type, int threads) {
  GraphMaker make({kClasses, 16, 15}, kClasses);
  make.graph.output = make.plain("globalAveragePool", {make.drop(kind, "input", rate)});
  const Context context(threads);
  Parameters parameters(make.graph);
  Network network(context, make.graph, parameters, drops, {mode, kBatch, type, 0});
  Arena arena;
  arena.resize(network.arenaBytes());
  network.bind(arena.data());
  network.forward(std::vector<float>(kBatch * kClasses * 16 * 15, 1.0f).data());
  return {network.logits(), network.logits() + kBatch * kClasses};
}

void checkDrops() {
  const DropState drops{1234, 5};
  for (const char* kind : {"dropout", "dropPath"}) {
    const auto means = [&](DropState state, int threads = 2) {
      return meansBehindDrop(kind, 0.25, state, Mode::Training, DataType::Float32, threads);
    };
    claim(std::string(kind) + " has another mask for another seed or step, and the same on any number of threads", [&] {
      require(means(drops) == means(drops, 1) && means(drops) == means(drops, 3), "threads change it");
      require(means(drops) != means({1235, 5}) && means(drops) != means({1234, 6}), "it stays the same");
    });
    claim(std::string(kind) + " is the identity in evaluation", [&] {
      const auto type = canComputeBFloat16() ? DataType::BFloat16 : DataType::Float32;
      for (float mean : meansBehindDrop(kind, 0.25, drops, Mode::Evaluation, type, 2)) require(mean == 1, "a value was dropped");
    });
  }
  claim("the masks are those of CounterRandom in src/domain/seed.ts", [] {
    // new CounterRandom(0xfedcba98, STREAM.drop, 5, 0): whether `uniform()` is at least 0.3
    const std::string kept = "011101111101111111110001111111011010010111001111100011010111110110011111110001101101001111111101110111"
                             "001000100111110001000101011011111010011111000101101100101111101111111111110000";
    GraphMaker make({90, 1, 1}, 90);
    make.graph.output = make.plain("globalAveragePool", {make.drop("dropout", "input", 0.3)});
    const Context context(2);
    Parameters parameters(make.graph);
    const DropState drops{0xfedcba98, 5};
    Network network(context, make.graph, parameters, drops, {Mode::Training, 2, DataType::Float32, 0});
    Arena arena;
    arena.resize(network.arenaBytes());
    network.bind(arena.data());
    network.forward(std::vector<float>(kept.size(), 1.0f).data());
    std::string ours;
    for (size_t i = 0; i < kept.size(); ++i) ours += network.logits()[i] > 0 ? '1' : '0';
    require(ours == kept, ours);
  });
  claim("dropout drops its rate of the values and keeps their mean", [&] {
    double sum = 0;
    constexpr int kSteps = 40;
    for (uint32_t step = 0; step < kSteps; ++step)
      for (float mean : meansBehindDrop("dropout", 0.25, {9, step}, Mode::Training, DataType::Float32, 2)) sum += mean;
    // 288,000 values of standard deviation 0.58
    require(std::abs(sum / (kSteps * kBatch * kClasses) - 1) < 0.005, "the mean moves");
  });
  claim("dropPath drops whole images", [&] {
    const auto means = meansBehindDrop("dropPath", 0.5, drops, Mode::Training, DataType::Float32, 2);
    for (size_t i = 0; i < means.size(); ++i)
      require((means[i] == 0 || means[i] == 2) && means[i] == means[i / kClasses * kClasses], "an image is dropped in part");
  });
}

void checkRefusals() {
  const Graph graph = everyKind();
  const TensorMap initial = initialTensors(graph);
  claim("a batch that exceeds the memory is refused before it is tried", [&] {
    TrainerOptions huge = options(DataType::Float32);
    huge.batchSize = 1'000'000'000;
    requireThrows([&] { Trainer(graph, initial, huge); }, "are available: take a smaller batch");
  });
  claim("an unknown kind is refused by name", [&] {
    Graph wrong = graph;
    wrong.nodes[2].kind = "swish";
    requireThrows([&] { Trainer(wrong, initial, options(DataType::Float32)); }, "(swish): the onednn engine has no such kind of node");
  });
  claim("a shape that the attributes do not make is refused", [&] {
    Graph wrong = graph;
    wrong.nodes[0].outputShape[1] += 1;
    requireThrows([&] { Trainer(wrong, initial, options(DataType::Float32)); }, "makes [12, 7, 6] of [3, 13, 11], not [12, 8, 6]");
  });
  claim("a rate of 1 and a gate with another number of channels are refused", [&] {
    requireThrows([&] { meansBehindDrop("dropout", 1, {}, Mode::Training, DataType::Float32, 1); }, "its rate is not in [0, 1)");
    GraphMaker make({kClasses, 4, 4}, kClasses);
    const std::string gate = make.conv(make.plain("globalAveragePool", {"input"}), kClasses + 1, {1});
    make.graph.output = make.plain("globalAveragePool", {make.plain("scale", {"input", gate})});
    std::mt19937 random(1);
    requireThrows([&] { Trainer(make.graph, randomTensors(make.graph, random), options(DataType::Float32)); },
                  "does not have one factor for each channel");
  });
  claim("a node that reads what comes later is refused", [&] {
    Graph wrong = graph;
    wrong.nodes[0].inputs = {wrong.nodes[1].name};
    requireThrows([&] { Trainer(wrong, initial, options(DataType::Float32)); }, "which no node before it makes");
  });
  claim("a missing tensor and one of the wrong length are refused", [&] {
    TensorMap wrong = initial;
    wrong.begin()->second.push_back(0);
    requireThrows([&] { Trainer(graph, wrong, options(DataType::Float32)); }, "elements, not");
    wrong.erase(wrong.begin());
    requireThrows([&] { Trainer(graph, wrong, options(DataType::Float32)); }, "is missing");
  });
  claim("a restore that is refused changes nothing", [&] {
    Trainer trainer(graph, initial, options(DataType::Float32));
    train(trainer, false);
    const TensorMap before = trainer.tensors(), state = trainer.optimizerState();
    TensorMap wrong = state;
    wrong.erase("step");
    requireThrows([&] { trainer.restore(initial, wrong); }, "\"step\" is missing");
    require(trainer.tensors() == before && trainer.optimizerState() == state, "something changed");
  });
  claim("a restore without averages is refused where there are some, and changes nothing", [&] {
    TrainerOptions averaging = options(DataType::Float32);
    averaging.emaDecay = 0.9;
    Trainer trainer(graph, initial, averaging);
    train(trainer, false);
    const TensorMap before = trainer.tensors(), state = trainer.optimizerState(), averages = trainer.averages();
    requireThrows([&] { trainer.restore(initial, state); }, "is missing");
    require(trainer.tensors() == before && trainer.optimizerState() == state && trainer.averages() == averages, "something changed");
  });
}

}  // namespace

int main() {
  omp_set_num_threads(2);
  checkType(DataType::Float32, "float32");
  if (canComputeBFloat16())
    checkType(DataType::BFloat16, "bfloat16");
  else
    claim("bfloat16 is refused where the CPU has no arithmetic for it",
          [] { requireThrows([] { trainAfresh(options(DataType::BFloat16)); }, "use float32"); });
  checkDrops();
  checkRefusals();
  claim("two sessions on two threads do not disturb each other", [] {
    TensorMap results[2];
    std::thread threads[2];
    for (int i = 0; i < 2; ++i) threads[i] = std::thread([&, i] { results[i] = trainAfresh(options(DataType::Float32)); });
    for (std::thread& thread : threads) thread.join();
    require(results[0] == results[1] && results[0] == trainAfresh(options(DataType::Float32)), "the weights differ");
  });
  return failures ? 1 : 0;
}
