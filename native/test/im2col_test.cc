// Weight gradients by im2col against the sum that they are, written out in float64.
#include <cmath>
#include <cstring>
#include <vector>

#include "../src/ops/im2col.h"
#include "../src/ops/im2col_kernels.h"
#include "activation.h"

using namespace residual;
using namespace residual::test;

namespace {

struct Case {
  int64_t batch, side, kernel, stride, inputs, outputs;

  int64_t padding() const { return kernel / 2; }
  int64_t ySide() const { return (side + 2 * padding() - kernel) / stride + 1; }
  int64_t weights() const { return inputs * outputs * kernel * kernel; }
};

/// An activation of random values that its type can hold.
struct Activation {
  Activation(Value shape, std::mt19937& random)
      : value(shape), numbers(randomActivation(shape.elements(), shape.type, random)), bytes(shape.bytes()) {
    buffer.data = bytes.data();
    write(buffer, value.type, numbers);
  }

  Value value;
  std::vector<float> numbers;
  std::vector<std::byte> bytes;
  Buffer buffer;
};

std::vector<float> gradientOf(const Case& c, const Activation& x, const Activation& dy, DataType products, int threads) {
  const Context context(threads, products == DataType::BFloat16);
  std::vector<float> gradient(c.weights(), NAN);
  Parameter weight;
  weight.gradient = gradient.data();
  const auto pass = makeIm2colBackwardWeights({context, Mode::Training, "conv", c.kernel, c.stride, c.padding(), 1, x.value, dy.value, weight, nullptr});
  MemoryPlan plan;
  pass->plan(plan);
  std::vector<std::byte> arena(plan.place() + 64);
  const auto misaligned = reinterpret_cast<uintptr_t>(arena.data()) % 64;
  plan.bind(arena.data() + (64 - misaligned) % 64);
  pass->bind(&x.buffer, &dy.buffer);
  pass->execute();
  pass->execute();  // what the last step left is no part of it
  return gradient;
}

void checkSum(const Case& c, const Activation& x, const Activation& dy, const std::vector<float>& gradient) {
  // Every weight takes too long: a prime's multiples meet all rows, all columns and all places of the kernel.
  for (int64_t at = 0; at < c.weights(); at += 37) {
    const int64_t kx = at % c.kernel, ky = at / c.kernel % c.kernel, input = at / c.kernel / c.kernel % c.inputs;
    const int64_t output = at / c.kernel / c.kernel / c.inputs;
    double sum = 0, magnitude = 0;
    for (int64_t pixel = 0; pixel < dy.value.pixels(); ++pixel) {
      const int64_t column = pixel % dy.value.width * c.stride + kx - c.padding();
      const int64_t row = pixel / dy.value.width % dy.value.height * c.stride + ky - c.padding();
      if (row < 0 || row >= c.side || column < 0 || column >= c.side) continue;
      const int64_t image = pixel / dy.value.width / dy.value.height, from = (image * c.side + row) * c.side + column;
      const double term = static_cast<double>(dy.numbers[pixel * c.outputs + output]) * x.numbers[from * c.inputs + input];
      sum += term;
      magnitude += std::abs(term);
    }
    require(std::abs(gradient[at] - sum) <= 1e-6 * magnitude, "weight " + std::to_string(at) + " is " + std::to_string(gradient[at]) +
                                                                   ", not " + std::to_string(sum));
  }
}

void check(const Case& c, DataType type, DataType products) {
  const std::string title = std::to_string(c.inputs) + " to " + std::to_string(c.outputs) + " channels, " + std::to_string(c.kernel) + "/" + std::to_string(c.stride) +
                            ", " + nameOf(type, products);
  claim("a convolution's weight gradient is the sum over its pixels on any number of threads: " + title, [&] {
    std::mt19937 random(3);
    Value x, y;
    x.batch = y.batch = c.batch, x.type = y.type = type;
    x.channels = c.inputs, x.height = x.width = c.side;
    y.channels = c.outputs, y.height = y.width = c.ySide();
    const Activation from(x, random), dy(y, random);
    const std::vector<float> gradient = gradientOf(c, from, dy, products, 1);
    checkSum(c, from, dy, gradient);
    for (const int threads : {2, 3})
      require(std::memcmp(gradient.data(), gradientOf(c, from, dy, products, threads).data(), gradient.size() * sizeof(float)) == 0,
              std::to_string(threads) + " threads give other bits than one");
  });
}

}  // namespace

int main() {
  // Pixels: less than a block, an odd number of them, several blocks and a rest.
  // Channels: whole vectors, less than one, and a rest; patches inside, at the edge and larger than the image.
  for (const Case& c : {Case{1, 3, 1, 1, 32, 96}, Case{1, 3, 1, 1, 512, 512}, Case{3, 7, 1, 2, 1056, 256}, Case{2, 23, 1, 1, 256, 1024},
                        Case{5, 13, 1, 1, 576, 544}, Case{3, 9, 1, 1, 40, 32}, Case{3, 11, 3, 2, 16, 32}, Case{2, 16, 3, 2, 64, 96},
                        Case{2, 19, 3, 1, 5, 64}, Case{2, 17, 7, 2, 3, 64}, Case{1, 2, 7, 1, 24, 32}})
    for (const auto& [type, products] : kTypes)
      if (im2colKernels(type)) check(c, type, products);
  return failures ? 1 : 0;
}
