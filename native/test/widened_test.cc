// Convolutions of bfloat16 activations that are multiplied in float32, against the same in float32 throughout.
#include <omp.h>

#include "../src/memory.h"
#include "../src/ops/conv_direct.h"
#include "../src/ops/pointwise.h"
#include "../src/ops/pointwise_kernels.h"
#include "activation.h"

using namespace residual;
using namespace residual::test;

namespace {

struct Case {
  int64_t batch, side, kernel, stride, groups, inputs, outputs;

  int64_t padding() const { return kernel / 2; }
  Value x(DataType type) const { return value(type, inputs, side); }
  Value y(DataType type) const { return value(type, outputs, (side + 2 * padding() - kernel) / stride + 1); }

 private:
  Value value(DataType type, int64_t channels, int64_t side) const {
    Value value;
    value.batch = batch, value.channels = channels, value.height = value.width = side, value.type = type;
    return value;
  }
};

/// y, and dx.
struct Results {
  std::vector<float> y, dx;
};

struct Numbers {
  std::vector<float> x, dy, weight, bias;
};

struct Passes {
  const char* name;
  std::unique_ptr<ConvPass> (*forward)(const ConvSpec&);
  std::unique_ptr<ConvPass> (*backwardData)(const ConvSpec&);
};
constexpr Passes kDirect{"oneDNN's", makeDirectForward, makeDirectBackwardData};
constexpr Passes kPointwise{"our own", makePointwiseForward, makePointwiseBackwardData};

Results resultsOf(const Passes& passes, const Case& c, DataType type, const Numbers& numbers, int threads) {
  omp_set_num_threads(threads);
  const Context context(threads, false);
  const Value x = c.x(type), y = c.y(type);
  std::vector<float> weight = numbers.weight, bias = numbers.bias;
  Parameter weights, biases;
  weights.value = weight.data(), weights.elements = static_cast<int64_t>(weight.size());
  biases.value = bias.data(), biases.elements = static_cast<int64_t>(bias.size());
  const ConvSpec spec{context, Mode::Training, "conv", c.kernel, c.stride, c.padding(), c.groups, x, y, weights, &biases};
  MemoryPlan plan;
  Buffer *xs = plan.allocate(x.bytes()), *ys = plan.allocate(y.bytes());
  Buffer *dxs = plan.allocate(x.bytes()), *dys = plan.allocate(y.bytes());
  if (passes.forward == makePointwiseForward) require(pointwisePays(spec), "it is not chosen");
  const auto forward = passes.forward(spec), backward = passes.backwardData(spec);
  forward->plan(plan);
  backward->plan(plan);
  Arena arena;
  arena.resize(plan.place());
  plan.bind(arena.data());
  write(*xs, type, numbers.x);
  write(*dys, type, numbers.dy);
  forward->bind(xs, ys);
  backward->bind(dys, dxs);
  forward->execute();
  backward->execute();
  return {read(*ys, y), read(*dxs, x)};
}

void check(const Passes& passes, const Case& c) {
  const std::string title = std::string(passes.name) + " product, " + std::to_string(c.inputs) + " to " + std::to_string(c.outputs) +
                            " channels, " + std::to_string(c.kernel) + "/" + std::to_string(c.stride) + ", " +
                            std::to_string(c.groups) + " groups";
  claim("a convolution of bfloat16 multiplied in float32 is that of float32, rounded, on any number of threads: " + title, [&] {
    std::mt19937 random(11);
    const Numbers numbers{randomActivation(c.x(DataType::BFloat16).elements(), DataType::BFloat16, random),
                          randomActivation(c.y(DataType::BFloat16).elements(), DataType::BFloat16, random),
                          randomValues(c.outputs * c.inputs / c.groups * c.kernel * c.kernel, random, 0.1f), randomValues(c.outputs, random)};
    const Results float32 = resultsOf(kDirect, c, DataType::Float32, numbers, 1);
    for (const int threads : {1, 2, 3}) {
      const Results widened = resultsOf(passes, c, DataType::BFloat16, numbers, threads);
      // Half of a bfloat16's last place is 2e-3 of a number at most.
      for (const double off : {error(widened.y, float32.y), error(widened.dx, float32.dx)})
        require(off > 0 && off < 2e-3, std::to_string(threads) + " threads are off by " + std::to_string(off));
    }
  });
}

}  // namespace

int main() {
  if (!canComputeBFloat16()) {
    std::printf("no AVX-512: nothing to check\n");
    return 0;
  }
  // Several pieces for each thread, of different sizes; fewer images than threads; images that are larger than a piece.
  for (const Case& c : {Case{7, 28, 1, 1, 1, 64, 96}, Case{2, 9, 1, 2, 1, 32, 40}, Case{13, 16, 3, 2, 1, 24, 96}, Case{3, 41, 7, 2, 1, 3, 64},
                        Case{5, 11, 3, 1, 4, 32, 64}, Case{2, 56, 1, 1, 1, 64, 256}})
    check(kDirect, c);
  if (!pointwiseKernel()) return failures ? 1 : 0;
  // Panels of one to four vectors, blocks and tiles that are not full, several blocks, strides with and without a last pixel beyond them.
  for (const Case& c : {Case{1, 1, 1, 1, 1, 16, 16}, Case{7, 28, 1, 1, 1, 64, 96}, Case{2, 17, 1, 1, 1, 272, 48}, Case{1, 9, 1, 1, 1, 2048, 112},
                        Case{3, 9, 1, 2, 1, 48, 80}, Case{2, 8, 1, 2, 1, 64, 128}, Case{1, 10, 1, 3, 1, 16, 64}})
    check(kPointwise, c);
  return failures ? 1 : 0;
}
