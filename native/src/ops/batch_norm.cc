#include "batch_norm.h"

#include <cmath>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace residual {
namespace {

class BatchNorm final : public Op, private GradientPieces, private PieceReader {
 public:
  BatchNorm(const Context& context, Mode mode, const Node& node, Value& x, Value* residual, bool relu, Value& y,
            NormParameters parameters)
      : Op(node.name), threads_(context.threads), mode_(mode), epsilon_(node.epsilon), momentum_(node.momentum), x_(x),
        residual_(residual), relu_(relu), y_(y), parameters_(parameters), width_(rowWidth(x.channels)),
        factor_(width_), offset_(width_), mean_(width_), inverse_(x.channels) {
    if (mode == Mode::Evaluation) return;
    for (auto* row : {&gradientFactor_, &inputFactor_, &constant_}) row->resize(width_);
    sums_.resize(2 * width_ * threads_);
    pivots_.resize(width_ * threads_);
    pixels_.resize(threads_);
    x.pieceReader = this;
  }

  int gradientSummands() const override { return 2; }

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    if (residual_) plan.use(residual_->data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    dy_ = takeGradient(plan, y_);
    plan.use(x_.data);
    if (residual_) {
      if (relu_) plan.use(y_.data);
      if (relu_ || dy_.second) g_ = reuseGradient(plan, dy_, y_);
      Buffer* const passed = g_ ? g_ : dy_.first;
      giveGradient(*residual_, passed);
      plan.use(passed);
    }
    if (!x_.needsGradient) return;
    if (x_.prefersPieces && x_.readers == 1) {
      x_.pieces = this;
      for (Buffer* source : sources()) ++source->holders;
      return;
    }
    // Where the residual's gradient is the buffer that dy came in, dx needs one of its own.
    dx_ = reuseGradient(plan, incoming(), x_);
    giveGradient(x_, dx_);
  }

  void forward() override {
    mode_ == Mode::Training ? normaliseByBatch() : normaliseByRunningStatistics();
    const NormaliseArguments arguments{x_.type, x_.data->data, residual_ ? residual_->data->data : nullptr, y_.data->data,
                                       width_,  factor_.data(), offset_.data(), relu_};
    overRows([&](int, Range range) { kernels().normalise(arguments, range); });
  }

  void backward() override {
    sumGradients();
    if (dx_) overRows([&](int, Range range) { inputGradient(range.begin, range.end, dx_->data + range.begin * sizeOf(x_.type)); });
  }

 private:
  /// What the gradient that reaches the normalisation is made of.
  Gradient incoming() const { return g_ ? Gradient{g_, nullptr} : dy_; }
  Mask mask() const { return !relu_ ? Mask::None : residual_ ? Mask::FromOutput : Mask::FromInput; }

  std::vector<Buffer*> sources() const {
    const auto [first, second] = incoming();
    return second ? std::vector<Buffer*>{first, second} : std::vector<Buffer*>{first};
  }

  void planPieces(MemoryPlan& plan) override {
    plan.use(x_.data);
    for (Buffer* source : sources()) {
      plan.use(source);
      --source->holders;
    }
  }

  void makePiece(int64_t begin, int64_t end, std::byte* destination) const override { inputGradient(begin, end, destination); }

  /// Of elements [begin, end), which begin on a pixel, to `dx`, that may be where they come from.
  void inputGradient(int64_t begin, int64_t end, std::byte* dx) const {
    const int64_t bytes = begin * static_cast<int64_t>(sizeOf(x_.type));
    const auto [first, second] = incoming();
    kernels().normGradient({x_.type, g_ ? Mask::None : mask(), x_.data->data + bytes, first->data + bytes,
                            second ? second->data + bytes : nullptr, dx, width_, factor_.data(), offset_.data(),
                            gradientFactor_.data(), inputFactor_.data(), constant_.data()},
                           {0, end - begin});
  }

  template <class Work>
  void overRows(Work work) const {
    const int64_t elements = x_.elements(), rows = (elements + width_ - 1) / width_;
    parallelFor(threads_, [&](int part) {
      const auto [begin, end] = share(rows, threads_, part);
      work(part, Range{begin * width_, std::min(end * width_, elements)});
    });
  }

  /// Both of a thread's sums of channel `c`.
  std::pair<double, double> total(int thread, int64_t c) const {
    double first = 0, second = 0;
    const double* const sums = sums_.data() + 2 * width_ * thread;
    for (int64_t place = c; place < width_; place += x_.channels) {
      first += sums[place];
      second += sums[width_ + place];
    }
    return {first, second};
  }

  /// Over all threads, in an order that their number alone decides.
  std::pair<double, double> total(int64_t c) const {
    double first = 0, second = 0;
    for (int thread = 0; thread < threads_; ++thread) {
      const auto [a, b] = total(thread, c);
      first += a;
      second += b;
    }
    return {first, second};
  }

  void spread(std::vector<float>& row, int64_t c, float value) const {
    for (int64_t place = c; place < width_; place += x_.channels) row[place] = value;
  }

  void setAffine(int64_t c, float mean, float inverse) {
    inverse_[c] = inverse;
    spread(mean_, c, mean);
    spread(factor_, c, parameters_.scale->value[c] * inverse);
    spread(offset_, c, parameters_.shift->value[c] - mean * parameters_.scale->value[c] * inverse);
  }

  void normaliseByRunningStatistics() {
    for (int64_t c = 0; c < x_.channels; ++c)
      setAffine(c, parameters_.runningMean->value[c],
                static_cast<float>(1 / std::sqrt(parameters_.runningVariance->value[c] + epsilon_)));
  }

  /// Sums of squares are taken around the mean of a few pixels, so that a small variance beside a large mean stays exact.
  void setPivot(int thread, int64_t begin, int64_t end) {
    constexpr int64_t kPixels = 8;
    float* const pivot = pivots_.data() + width_ * thread;
    std::fill_n(pivot, width_, 0.0f);
    std::vector<float> pixel(x_.channels);
    for (int64_t i = 0; i < kPixels; ++i) {
      const int64_t first = begin + i * (end - begin) / x_.channels / kPixels * x_.channels;
      kernels().convert({x_.type, DataType::Float32, x_.data->data + first * sizeOf(x_.type), pixel.data()}, {0, x_.channels});
      for (int64_t c = 0; c < x_.channels; ++c) pivot[c] += pixel[c] / kPixels;
    }
    for (int64_t place = x_.channels; place < width_; ++place) pivot[place] = pivot[place - x_.channels];
  }

  void readPiece(int thread, int64_t begin, int64_t end, bool first) override {
    double* const sums = sums_.data() + 2 * width_ * thread;
    if (first) {
      setPivot(thread, begin, end);
      std::fill_n(sums, 2 * width_, 0.0);
      pixels_[thread] = 0;
    }
    pixels_[thread] += (end - begin) / x_.channels;
    kernels().moments({x_.type, x_.data->data + begin * sizeOf(x_.type), width_, pivots_.data() + width_ * thread, sums, sums + width_},
                      {0, end - begin});
  }

  /// Mean and variance of channel `c` over all pixels, thread by thread: Chan, Golub and LeVeque 1983, "Algorithms for computing
  /// the sample variance".
  std::pair<double, double> moments(int64_t c) const {
    double count = 0, mean = 0, squares = 0;
    for (int thread = 0; thread < threads_; ++thread) {
      if (pixels_[thread] == 0) continue;
      const auto [sum, sumOfSquares] = total(thread, c);
      const double pixels = static_cast<double>(pixels_[thread]), fromPivot = sum / pixels;
      const double difference = pivots_[width_ * thread + c] + fromPivot - mean;
      squares += sumOfSquares - fromPivot * sum + difference * difference * count * pixels / (count + pixels);
      mean += difference * pixels / (count + pixels);
      count += pixels;
    }
    // Not std::max, which makes nothing of what is no number: a network that diverges must show it.
    return {mean, squares < 0 ? 0 : squares / count};
  }

  void normaliseByBatch() {
    if (!x_.readInPieces) overRows([&](int part, Range range) { readPiece(part, range.begin, range.end, true); });
    const double count = static_cast<double>(x_.pixels());
    for (int64_t c = 0; c < x_.channels; ++c) {
      const auto [mean, variance] = moments(c);
      setAffine(c, static_cast<float>(mean), static_cast<float>(1 / std::sqrt(variance + epsilon_)));
      moveRunning(parameters_.runningMean->value[c], mean);
      moveRunning(parameters_.runningVariance->value[c], variance * count / std::max(1.0, count - 1));
    }
  }

  void moveRunning(float& running, double batch) const {
    running = static_cast<float>((1 - momentum_) * running + momentum_ * batch);
  }

  void sumGradients() {
    std::fill(sums_.begin(), sums_.end(), 0);
    overRows([&](int part, Range range) {
      double* sums = sums_.data() + 2 * width_ * part;
      kernels().normSums({x_.type, mask(), x_.data->data, y_.data->data, dy_.first->data, dy_.second ? dy_.second->data : nullptr,
                          g_ ? g_->data : nullptr, width_, factor_.data(), offset_.data(), mean_.data(), sums, sums + width_},
                         range);
    });
    const double count = static_cast<double>(x_.pixels());
    for (int64_t c = 0; c < x_.channels; ++c) {
      const auto [sumG, sumGX] = total(c);
      const double inverse = inverse_[c], factor = parameters_.scale->value[c] * inverse;
      parameters_.shift->gradient[c] = static_cast<float>(sumG);
      parameters_.scale->gradient[c] = static_cast<float>(sumGX * inverse);
      // dx = factor * (g - mean(g) - xhat * mean(g * xhat)), as one product of g, one of x and a constant.
      const double inputFactor = -factor * inverse * inverse * sumGX / count;
      spread(gradientFactor_, c, static_cast<float>(factor));
      spread(inputFactor_, c, static_cast<float>(inputFactor));
      spread(constant_, c, static_cast<float>(-factor * sumG / count - inputFactor * mean_[c]));
    }
  }

  const int threads_;
  const Mode mode_;
  const double epsilon_, momentum_;
  Value& x_;
  Value* const residual_;
  const bool relu_;
  Value& y_;
  const NormParameters parameters_;
  const int64_t width_;
  /// y = x * factor + offset: a row each, as kernels.h defines it.
  std::vector<float> factor_, offset_, mean_;
  std::vector<float> inverse_;  // (C): 1 / sqrt(variance + epsilon)
  std::vector<float> gradientFactor_, inputFactor_, constant_;
  std::vector<double> sums_;    // two rows for each thread
  std::vector<float> pivots_;   // a row for each thread
  std::vector<int64_t> pixels_;  // that each thread has read
  Gradient dy_;
  Buffer *g_ = nullptr, *dx_ = nullptr;
};

}  // namespace

std::unique_ptr<Op> makeBatchNorm(const Context& context, Mode mode, const Node& node, Value& x, Value* residual, bool relu,
                                  Value& y, NormParameters parameters) {
  return std::make_unique<BatchNorm>(context, mode, node, x, residual, relu, y, parameters);
}

}  // namespace residual
