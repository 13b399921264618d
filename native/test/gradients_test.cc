// Every op's backward pass against central differences of the loss, in float32. Each case has a convolution in front, so
// that its weights' gradient proves what the op passes on to its input.
#include <algorithm>

#include <omp.h>

#include "../src/memory.h"
#include "../src/network.h"
#include "check.h"

using namespace residual;
using namespace residual::test;

namespace {

constexpr int64_t kBatch = 5;
/// Of the directional derivative, beside the gradient's norm.
constexpr double kTolerance = 4e-3;
constexpr float kStep = 2e-3f;
/// ReLU and max have kinks, and a step may cross one: a gradient is right when it agrees at one of so many places, which a
/// wrong one never does.
constexpr int kPlaces = 5;

class Probe {
 public:
  explicit Probe(const Graph& graph)
      : graph_(graph), context_(2), parameters_(graph), network_(context_, graph, parameters_, drops_, {Mode::Training, kBatch, DataType::Float32, 0.1}),
        random_(7) {
    for (int64_t i = 0; i < kBatch; ++i) labels_.push_back(static_cast<int32_t>(i % graph.numClasses));
    arena_.resize(network_.arenaBytes());
    network_.bind(arena_.data());
  }

  double loss(const TensorMap& tensors) {
    parameters_.load(tensors);
    network_.forward(images_.data());
    return network_.backward(labels_.data()).loss;
  }

  void check() {
    std::string wrong;
    for (int place = 0; place < kPlaces; ++place) {
      try {
        return checkPlace();
      } catch (const std::logic_error& error) {
        wrong = error.what();
      }
    }
    throw std::logic_error(wrong);
  }

 private:
  void checkPlace() {
    initial_ = randomTensors(graph_, random_);
    const auto [c, h, w] = graph_.inputShape;
    images_ = randomValues(kBatch * c * h * w, random_);
    loss(initial_);
    const TensorMap gradients = parameters_.gradients();
    for (const auto& [name, gradient] : gradients) checkTensor(name, gradient);
  }

  void checkTensor(const std::string& name, const std::vector<float>& gradient) {
    double norm = 0;
    for (float value : gradient) norm += value * value;
    norm = std::sqrt(norm);
    // Along the gradient, where the derivative is its norm, and across, where a wrong part would show.
    std::vector<float> along = gradient, across = randomValues(gradient.size(), random_);
    for (std::vector<float>* direction : {&along, &across}) checkDirection(name, gradient, *direction, norm);
  }

  void checkDirection(const std::string& name, const std::vector<float>& gradient, std::vector<float> direction, double norm) {
    double length = 0, expected = 0;
    for (float value : direction) length += value * value;
    if (length == 0) return;
    length = std::sqrt(length);
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] /= static_cast<float>(length);
      expected += static_cast<double>(gradient[i]) * direction[i];
    }
    const double actual = difference(name, direction);
    require(std::abs(actual - expected) <= kTolerance * std::max(norm, 0.05),
            name + ": " + std::to_string(expected) + " by backward, " + std::to_string(actual) + " by differences");
  }

  double difference(const std::string& name, const std::vector<float>& direction) {
    TensorMap plus = initial_, minus = initial_;
    for (size_t i = 0; i < direction.size(); ++i) {
      plus[name][i] += kStep * direction[i];
      minus[name][i] -= kStep * direction[i];
    }
    return (loss(plus) - loss(minus)) / (2 * kStep);
  }

  const Graph graph_;
  Context context_;
  Parameters parameters_;
  const DropState drops_{7, 3};  // a fixed mask: differences see the same one as backward
  Network network_;
  Arena arena_;
  std::mt19937 random_;
  TensorMap initial_;
  std::vector<float> images_;
  std::vector<int32_t> labels_;
};

using Window = GraphMaker::Window;

/// input -> conv (`channels`) -> `middle` -> global average pool -> linear
void checkBehindConv(const std::string& title, int64_t channels,
                     const std::function<std::string(GraphMaker&, std::string)>& middle) {
  claim("gradients of " + title + ", " + std::to_string(channels) + " channels", [&] {
    GraphMaker make({3, 9, 7}, 4);
    const std::string x = make.conv("input", channels, {3, 1, 1});
    const std::string y = middle(make, x);
    Probe(make.linear(make.plain("globalAveragePool", {y}))).check();
  });
}

void checkConvolutions(int64_t channels) {
  for (const Window window : {Window{1}, Window{3, 1, 1, 1, true}, Window{3, 2, 1}, Window{1, 2}, Window{7, 2, 3, 1, true}})
    checkBehindConv("convolution " + std::to_string(window.kernel) + "/" + std::to_string(window.stride), channels,
                    [&](GraphMaker& make, std::string x) { return make.conv(x, channels + 2, window); });
  checkBehindConv("grouped convolution", 2 * channels,
                  [&](GraphMaker& make, std::string x) { return make.conv(x, 4 * channels, {3, 1, 1, 2}); });
}

void checkNorms(int64_t channels) {
  checkBehindConv("norm", channels, [](GraphMaker& make, std::string x) { return make.norm(x); });
  checkBehindConv("norm + relu", channels, [](GraphMaker& make, std::string x) { return make.plain("relu", {make.norm(x)}); });
  checkBehindConv("norm + add", channels, [](GraphMaker& make, std::string x) { return make.plain("add", {make.norm(x), x}); });
  checkBehindConv("norm + add + relu, shortcut first", channels, [](GraphMaker& make, std::string x) {
    return make.plain("relu", {make.plain("add", {x, make.norm(x)})});
  });
  checkBehindConv("sum of two norms + relu, read twice", channels, [=](GraphMaker& make, std::string x) {
    const std::string left = make.norm(make.conv(x, channels, {3, 1, 1})), right = make.norm(make.conv(x, channels, {1}));
    const std::string y = make.plain("relu", {make.plain("add", {left, right})});
    return make.plain("add", {make.norm(make.conv(y, channels, {3, 1, 1})), y});
  });
}

void checkElementwise(int64_t channels) {
  checkBehindConv("relu", channels, [](GraphMaker& make, std::string x) { return make.plain("relu", {x}); });
  checkBehindConv("add of one value to itself", channels, [](GraphMaker& make, std::string x) { return make.plain("add", {x, x}); });
  checkBehindConv("add + relu of a value that four read", channels, [=](GraphMaker& make, std::string x) {
    const std::string a = make.conv(x, channels, {3, 1, 1}), b = make.conv(x, channels, {1});
    const std::string c = make.plain("add", {make.plain("relu", {x}), a}), d = make.plain("add", {b, x});
    return make.plain("relu", {make.plain("add", {c, d})});
  });
  checkBehindConv("sigmoid", channels, [](GraphMaker& make, std::string x) { return make.plain("sigmoid", {x}); });
  checkBehindConv("padded channels", channels, [](GraphMaker& make, std::string x) { return make.padChannels(x, 2, 3); });
}

void checkGates(int64_t channels) {
  checkBehindConv("scale by another's gate", channels, [=](GraphMaker& make, std::string x) {
    const std::string gate = make.plain("globalAveragePool", {make.conv(x, channels, {3, 2, 1})});
    return make.plain("scale", {make.plain("relu", {x}), gate});
  });
  checkBehindConv("squeeze and excitation, then add + relu", channels, [=](GraphMaker& make, std::string x) {
    const std::string y = make.norm(x), squeezed = make.conv(make.plain("globalAveragePool", {y}), 3, {1, 1, 0, 1, true});
    const std::string gate = make.conv(make.plain("relu", {squeezed}), channels, {1, 1, 0, 1, true});
    const std::string scaled = make.plain("scale", {y, make.plain("sigmoid", {gate})});
    return make.plain("relu", {make.plain("add", {scaled, x})});
  });
  checkBehindConv("scale at 1x1 of one value by itself", channels, [](GraphMaker& make, std::string x) {
    const std::string y = make.plain("globalAveragePool", {x});
    return make.plain("scale", {y, y});
  });
}

void checkDrops(int64_t channels) {
  for (const char* kind : {"dropout", "dropPath"}) {
    checkBehindConv(kind, channels, [=](GraphMaker& make, std::string x) { return make.drop(kind, x, 0.4); });
    checkBehindConv(std::string(kind) + " at rate 0", channels, [=](GraphMaker& make, std::string x) { return make.drop(kind, x, 0); });
    // The gradient that comes back is the sum's, which the shortcut needs as it is.
    checkBehindConv(std::string(kind) + " beside a shortcut, with a second reader", channels, [=](GraphMaker& make, std::string x) {
      const std::string y = make.drop(kind, make.norm(x), 0.5);
      return make.plain("add", {make.plain("add", {y, x}), make.conv(y, channels, {1})});
    });
  }
}

void checkPools(int64_t channels) {
  checkBehindConv("max pool", channels, [](GraphMaker& make, std::string x) { return make.pool("maxPool", x, {3, 2, 1}); });
  checkBehindConv("average pool in ceil mode", channels, [](GraphMaker& make, std::string x) {
    return make.pool("averagePool", x, {2, 2, 0, 1, false, true});
  });
  checkBehindConv("average pool with padding", channels, [](GraphMaker& make, std::string x) { return make.pool("averagePool", x, {3, 2, 1}); });
}

/// Images so large that each thread's share is several pieces, of convolutions whose gradient comes in pieces.
void checkPieces() {
  claim("gradients of convolutions before norms, in pieces of the batch", [] {
    GraphMaker make({3, 48, 48}, 4);
    const auto norm = [&](const std::string& x) { return make.plain("relu", {make.norm(x)}); };
    const std::string x = norm(make.conv("input", 32, {3, 1, 1, 1, true}));
    const std::string y = norm(make.conv(norm(make.conv(x, 64, {1, 1, 0, 1, true})), 32, {3, 1, 1}));
    const std::string z = make.plain("relu", {make.plain("add", {make.norm(make.conv(y, 32, {1})), x})});
    const std::string half = norm(make.conv(z, 32, {1, 2}));
    Probe(make.linear(make.plain("globalAveragePool", {half}))).check();
  });
  claim("gradients of convolutions whose outputs no cache holds, which norms read in pieces", [] {
    GraphMaker make({3, 120, 120}, 4);
    std::string x = "input";
    for (const Window window : {Window{3, 1, 1}, Window{3, 1, 1, 1, true}, Window{1}}) x = make.plain("relu", {make.norm(make.conv(x, 32, window))});
    Probe(make.linear(make.plain("globalAveragePool", {x}))).check();
  });
}

}  // namespace

int main() {
  omp_set_num_threads(2);
  for (const int64_t channels : {5, 16}) {
    checkConvolutions(channels);
    checkNorms(channels);
    checkElementwise(channels);
    checkGates(channels);
    checkDrops(channels);
    checkPools(channels);
  }
  checkPieces();
  claim("gradients of a linear layer over pixels", [] {
    GraphMaker make({3, 4, 5}, 6);
    Probe(make.linear(make.conv("input", 7, {3, 1, 1}))).check();
  });
  return failures ? 1 : 0;
}
