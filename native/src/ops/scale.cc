#include "scale.h"

#include <algorithm>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace residual {
namespace {

/// For each image what a batch norm without a shift is for all of them, and so computed by its kernels.
class Scale final : public Op {
 public:
  Scale(const Context& context, const Node& node, Value& a, Value& b, Value& y)
      : Op(node.name), threads_(context.threads), a_(a), b_(b), y_(y), width_(rowWidth(a.channels)), zeros_(width_),
        rows_(threads_ * width_), sums_(threads_ * 2 * width_) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(a_.data);
    plan.use(b_.data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    const Gradient dy = takeGradient(plan, y_);
    dy_ = dy.first;
    plan.use(a_.data);
    plan.use(b_.data);
    db_ = plan.allocate(b_.bytes());
    da_ = reuseGradient(plan, dy, a_);
    giveGradient(a_, da_);
    giveGradient(b_, db_);
  }

  void forward() override {
    overImages([&](int64_t image, float* row, double*) { multiply(image, a_.data, y_.data, row); });
  }

  void backward() override {
    overImages([&](int64_t image, float* row, double* sums) {
      sumProducts(image, sums);
      storeSums(image, sums, row);
      multiply(image, dy_, da_, row);  // perhaps in place, so after the sums
    });
  }

 private:
  /// `work(image, row, sums)` with a row of floats and two of doubles of the thread's own.
  template <class Work>
  void overImages(Work work) {
    parallelFor(threads_, [&](int part) {
      const auto [begin, end] = share(a_.batch, threads_, part);
      for (int64_t image = begin; image < end; ++image)
        work(image, rows_.data() + part * width_, sums_.data() + part * 2 * width_);
    });
  }

  Range elementsOf(int64_t image) const {
    const int64_t elements = a_.imageElements();
    return {image * elements, (image + 1) * elements};
  }

  /// to = from * b
  void multiply(int64_t image, const Buffer* from, Buffer* to, float* row) const {
    const int64_t channels = a_.channels;
    kernels().convert({b_.type, DataType::Float32, gateOf(b_.data, image), row}, {0, channels});
    for (int64_t c = channels; c < width_; ++c) row[c] = row[c - channels];
    kernels().normalise({a_.type, from->data, nullptr, to->data, width_, row, zeros_.data(), false}, elementsOf(image));
  }

  /// sums[width_ + c] = sum of dy * a over the pixels whose channel stands at place c of a row.
  void sumProducts(int64_t image, double* sums) const {
    std::fill_n(sums, 2 * width_, 0.0);
    kernels().normSums({a_.type, Mask::None, a_.data->data, nullptr, dy_->data, nullptr, nullptr, width_, nullptr, nullptr,
                        zeros_.data(), sums, sums + width_},
                       elementsOf(image));
  }

  /// db = the sums of each channel's places.
  void storeSums(int64_t image, const double* sums, float* row) const {
    const int64_t channels = a_.channels;
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      for (int64_t place = c; place < width_; place += channels) sum += sums[width_ + place];
      row[c] = static_cast<float>(sum);
    }
    kernels().convert({DataType::Float32, b_.type, row, gateOf(db_, image)}, {0, channels});
  }

  std::byte* gateOf(const Buffer* buffer, int64_t image) const {
    return buffer->data + image * b_.channels * sizeOf(b_.type);
  }

  const int threads_;
  Value& a_;
  Value& b_;
  Value& y_;
  const int64_t width_;
  const std::vector<float> zeros_;
  std::vector<float> rows_;
  std::vector<double> sums_;
  Buffer *dy_ = nullptr, *da_ = nullptr, *db_ = nullptr;
};

}  // namespace

std::unique_ptr<Op> makeScale(const Context& context, const Node& node, Value& a, Value& b, Value& y) {
  return std::make_unique<Scale>(context, node, a, b, y);
}

}  // namespace residual
