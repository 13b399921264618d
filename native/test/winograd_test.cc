// Winograd's passes against the sums that define a convolution, and against oneDNN's direct passes.
#include <omp.h>

#include "../src/memory.h"
#include "../src/ops/conv_direct.h"
#include "../src/ops/winograd.h"
#include "../src/ops/winograd_kernels.h"
#include "activation.h"

using namespace residual;
using namespace residual::test;

namespace {

struct Size {
  int64_t batch, height, width, inputs, outputs;
};

/// What the passes of one convolution give, in the order y, dx, gradient of the weights, gradient of the bias.
using Results = std::vector<std::vector<float>>;

/// One convolution on random values that its type can hold, multiplied as `products`.
class Case {
 public:
  Case(const Size& size, DataType type, DataType products, int threads)
      : size_(size), type_(type), products_(products), threads_(threads) {
    std::mt19937 random(5);
    x_ = randomActivation(size.inputs * size.height * size.width * size.batch, type, random);
    dy_ = randomActivation(size.outputs * size.height * size.width * size.batch, type, random);
    weight_ = randomValues(size.outputs * size.inputs * 9, random, 0.1f);
    bias_ = randomValues(size.outputs, random);
  }

  template <class Forward, class BackwardData, class BackwardWeights>
  Results run(Forward makeForward, BackwardData makeBackwardData, BackwardWeights makeBackwardWeights) const {
    omp_set_num_threads(threads_);
    const Context context(threads_, products_ == DataType::BFloat16);
    const Value x = value(size_.inputs), y = value(size_.outputs);
    std::vector<float> weight = weight_, bias = bias_, weightGradient(weight.size(), -1), biasGradient(bias.size(), -1);
    const Parameter weights{{}, static_cast<int64_t>(weight.size()), weight.data(), weightGradient.data()};
    const Parameter biases{{}, static_cast<int64_t>(bias.size()), bias.data(), biasGradient.data()};
    const ConvSpec spec{context, Mode::Training, "conv", 3, 1, 1, 1, x, y, weights, &biases};
    MemoryPlan plan;
    Buffer *xs = plan.allocate(x.bytes()), *ys = plan.allocate(y.bytes());
    Buffer *dxs = plan.allocate(x.bytes()), *dys = plan.allocate(y.bytes());
    const std::unique_ptr<ConvPass> passes[] = {makeForward(spec), makeBackwardData(spec), makeBackwardWeights(spec)};
    for (const auto& pass : passes) pass->plan(plan);
    Arena arena;
    arena.resize(plan.place());
    plan.bind(arena.data());
    write(*xs, type_, x_);
    write(*dys, type_, dy_);
    passes[0]->bind(xs, ys);
    passes[1]->bind(dys, dxs);
    passes[2]->bind(xs, dys);
    for (const auto& pass : passes) pass->execute();
    const Results first{read(*ys, y), read(*dxs, x), weightGradient, biasGradient};
    for (const auto& pass : passes) pass->execute();
    require(first == Results{read(*ys, y), read(*dxs, x), weightGradient, biasGradient}, "a second time gives other bits");
    return first;
  }

  Results winograd() const { return run(makeWinogradForward, makeWinogradBackwardData, makeWinogradBackwardWeights); }
  Results direct() const { return run(makeDirectForward, makeDirectBackwardData, makeDirectBackwardWeights); }

  /// By definition, in float64.
  Results plain() const {
    std::vector<double> y(dy_.size()), dx(x_.size()), weightGradient(weight_.size()), biasGradient(bias_.size());
    const auto [batch, height, width, inputs, outputs] = size_;
    for (int64_t pixel = 0; pixel < batch * height * width; ++pixel)
      for (int64_t o = 0; o < outputs; ++o) {
        y[pixel * outputs + o] += bias_[o];
        biasGradient[o] += dy_[pixel * outputs + o];
      }
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t row = 0; row < height; ++row)
        for (int64_t column = 0; column < width; ++column)
          for (int64_t k = 0; k < 9; ++k) {
            const int64_t r = row + k / 3 - 1, c = column + k % 3 - 1;
            if (r < 0 || r >= height || c < 0 || c >= width) continue;
            const int64_t to = ((n * height + row) * width + column) * outputs, from = ((n * height + r) * width + c) * inputs;
            for (int64_t o = 0; o < outputs; ++o)
              for (int64_t i = 0; i < inputs; ++i) {
                const int64_t w = (o * inputs + i) * 9 + k;
                y[to + o] += static_cast<double>(weight_[w]) * x_[from + i];
                dx[from + i] += static_cast<double>(weight_[w]) * dy_[to + o];
                weightGradient[w] += static_cast<double>(dy_[to + o]) * x_[from + i];
              }
          }
    return {{y.begin(), y.end()}, {dx.begin(), dx.end()}, {weightGradient.begin(), weightGradient.end()},
            {biasGradient.begin(), biasGradient.end()}};
  }

 private:
  Value value(int64_t channels) const {
    Value value;
    value.batch = size_.batch;
    value.channels = channels;
    value.height = size_.height;
    value.width = size_.width;
    value.type = type_;
    return value;
  }

  const Size size_;
  const DataType type_, products_;
  const int threads_;
  std::vector<float> x_, dy_, weight_, bias_;
};

constexpr const char* kResults[] = {"y", "dx", "gradient of the weights", "gradient of the bias"};

/// Float32 rounds at 6e-8, and tiles of 4x4 round three times as much as those of 2x2; bfloat16 at 2e-3: y and dx are, and, where
/// it is multiplied, both factors of each product.
double tolerance(DataType made, DataType products, bool largeTiles) {
  if (products == DataType::BFloat16) return 6e-3;
  return made == DataType::BFloat16 ? 2e-3 : largeTiles ? 2e-6 : 1e-6;
}

/// `largeTiles`: whether float32's products take tiles of 4x4.
void checkCase(const Size& size, DataType type, DataType products, int threads, bool largeTiles = false) {
  const std::string name = std::to_string(size.batch) + " images of " + std::to_string(size.height) + "x" + std::to_string(size.width) +
                           ", " + std::to_string(size.inputs) + " to " + std::to_string(size.outputs) + " channels, " +
                           nameOf(type, products) + ", " + std::to_string(threads) + " threads";
  claim("Winograd's passes are the convolution and give the same bits twice: " + name, [&] {
    const Case conv(size, type, products, threads);
    const Results winograd = conv.winograd(), plain = conv.plain(), direct = conv.direct();
    for (size_t i = 0; i < plain.size(); ++i) {
      const double ours = error(winograd[i], plain[i]), directs = error(direct[i], plain[i]);
      const DataType made = i < 2 ? type : DataType::Float32;
      require(ours <= tolerance(made, products, largeTiles), std::string(kResults[i]) + " is off by " + std::to_string(ours * 1e6) + "e-6");
      // In bfloat16 the direct gradient of the weights, a sum of exact products, is as exact as float32.
      const double allowed = products == DataType::BFloat16 && i >= 2 ? tolerance(made, products, largeTiles) : (largeTiles ? 10 : 5) * directs + 1e-7;
      require(ours <= allowed, std::string(kResults[i]) + " is off by " + std::to_string(ours * 1e6) + "e-6, the direct one by " +
                                   std::to_string(directs * 1e6) + "e-6");
    }
  });
}

ConvSpec conv(const Context& context, const Value& x, const Value& y, const Parameter& weight, int64_t stride, int64_t groups) {
  return {context, Mode::Training, "conv", 3, stride, 1, groups, x, y, weight, nullptr};
}

void checkChoice() {
  claim("other strides, groups and channels than its own are not Winograd's", [] {
    const Context context(1);
    const Parameter weight{};
    Value few, many;
    few.channels = 8;
    many.channels = 32;
    require(winogradPays(conv(context, many, many, weight, 1, 1)) == !hasMatrixTiles(), "the usual is not");
    require(!winogradPays(conv(context, many, many, weight, 2, 1)), "a stride is");
    require(!winogradPays(conv(context, many, many, weight, 1, 2)), "groups are");
    require(!winogradPays(conv(context, few, many, weight, 1, 1)), "8 input channels are");
    require(!winogradPays(conv(context, many, few, weight, 1, 1)), "8 output channels are");
  });
}

}  // namespace

int main() {
  if (!winogradKernels(DataType::Float32)) {
    std::printf("no AVX-512: nothing to check\n");
    return 0;
  }
  checkChoice();
  for (const auto& [type, products] : kTypes) {
    if (!winogradKernels(type)) continue;
    for (const int threads : {1, 2, 3}) {
      checkCase({1, 1, 1, 16, 16}, type, products, threads);
      checkCase({5, 9, 7, 16, 32}, type, products, threads);
      checkCase({3, 7, 7, 64, 80}, type, products, threads);
      checkCase({3, 8, 13, 80, 16}, type, products, threads);
    }
    checkCase({9, 13, 11, 48, 48}, type, products, 2);  // several blocks of tiles for each thread
    checkCase({3, 16, 20, 64, 96}, type, products, 2, true);  // several blocks of large tiles for each thread
    checkCase({2, 8, 7, 128, 128}, type, products, 3, true);
    for (const int threads : {1, 2}) checkCase({3, 4, 4, 256, 256}, type, products, threads, true);  // the threads divide the columns
    checkCase({2, 7, 5, 128, 256}, type, products, 2);  // the threads divide the output channels of the weights' gradient
  }
  return failures ? 1 : 0;
}
