#include "pool.h"

#include <vector>

#include "kernels.h"
#include "onednn.h"
#include "parallel.h"

namespace residual {
namespace {

using dnnl::memory;

class Pool final : public Op {
 public:
  Pool(const Context& context, Mode mode, const Node& node, Value& x, Value& y)
      : Op(node.name), context_(context), mode_(mode), x_(x), y_(y) {
    const auto algorithm =
        node.kind == "maxPool" ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_exclude_padding;
    auto paddingEnd = [&](int64_t in, int64_t out) { return (out - 1) * node.stride + node.kernel - in - node.padding; };
    geometry_ = {algorithm,
                 {node.stride, node.stride},
                 {node.kernel, node.kernel},
                 {node.padding, node.padding},
                 {paddingEnd(x.height, y.height), paddingEnd(x.width, y.width)}};
  }

  void planForward(MemoryPlan& plan) override {
    const auto kind = mode_ == Mode::Training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    forwardDesc_ =
        guarded(name, [&] { return describePoolForward(context_.onednn->engine, kind, nhwc(x_), nhwc(y_), geometry_); });
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
    // Which element of each window was the largest.
    if (mode_ == Mode::Training) workspace_ = plan.allocate(forwardDesc_.workspace_desc().get_size());
    forwardScratch_ = plan.allocate(forwardDesc_.scratchpad_desc().get_size());
  }

  void planBackward(MemoryPlan& plan) override {
    backwardDesc_ = guarded(
        name, [&] { return describePoolBackward(context_.onednn->engine, forwardDesc_, nhwc(x_), nhwc(y_), geometry_); });
    dy_ = takeGradient(plan, y_).first;
    plan.use(workspace_);
    backwardScratch_ = plan.allocate(backwardDesc_.scratchpad_desc().get_size());
    dx_ = plan.allocate(x_.bytes());
    giveGradient(x_, dx_);
  }

  void bind() override {
    guarded(name, [&] {
      if (!forward_) forward_ = dnnl::pooling_forward(forwardDesc_);
      forwardArguments_ = {{DNNL_ARG_SRC, wrap(context_, nhwc(x_), x_.data->data)},
                           {DNNL_ARG_DST, wrap(context_, nhwc(y_), y_.data->data)},
                           {DNNL_ARG_SCRATCHPAD, wrap(context_, forwardDesc_.scratchpad_desc(), forwardScratch_->data)}};
      if (workspace_) forwardArguments_.insert({DNNL_ARG_WORKSPACE, workspace()});
      if (!dx_) return;
      if (!backward_) backward_ = dnnl::pooling_backward(backwardDesc_);
      backwardArguments_ = {{DNNL_ARG_DIFF_DST, wrap(context_, nhwc(y_), dy_->data)},
                            {DNNL_ARG_DIFF_SRC, wrap(context_, nhwc(x_), dx_->data)},
                            {DNNL_ARG_WORKSPACE, workspace()},
                            {DNNL_ARG_SCRATCHPAD, wrap(context_, backwardDesc_.scratchpad_desc(), backwardScratch_->data)}};
    });
  }

  void forward() override { forward_.execute(context_.onednn->stream, forwardArguments_); }
  void backward() override { backward_.execute(context_.onednn->stream, backwardArguments_); }

 private:
  memory workspace() const { return wrap(context_, forwardDesc_.workspace_desc(), workspace_->data); }

  const Context& context_;
  const Mode mode_;
  Value& x_;
  Value& y_;
  PoolGeometry geometry_;
  dnnl::pooling_forward::primitive_desc forwardDesc_;
  dnnl::pooling_backward::primitive_desc backwardDesc_;
  dnnl::pooling_forward forward_;
  dnnl::pooling_backward backward_;
  Arguments forwardArguments_, backwardArguments_;
  Buffer *workspace_ = nullptr, *forwardScratch_ = nullptr, *backwardScratch_ = nullptr;
  Buffer *dy_ = nullptr, *dx_ = nullptr;
};

class GlobalAveragePool final : public Op {
 public:
  GlobalAveragePool(const Context& context, const Node& node, Value& x, Value& y)
      : Op(node.name), threads_(context.threads), x_(x), y_(y), pixels_(x.height * x.width),
        rows_(static_cast<size_t>(threads_) * 2 * x.channels) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
  }

  void planBackward(MemoryPlan& plan) override {
    dy_ = takeGradient(plan, y_).first;
    dx_ = plan.allocate(x_.bytes());
    giveGradient(x_, dx_);
  }

  void forward() override {
    overImages([&](int64_t image, float* mean, float* pixel) {
      std::fill_n(mean, x_.channels, 0.0f);
      for (int64_t p = 0; p < pixels_; ++p) {
        convert(x_.type, x_.data, (image * pixels_ + p) * x_.channels, pixel);
        for (int64_t c = 0; c < x_.channels; ++c) mean[c] += pixel[c];
      }
      for (int64_t c = 0; c < x_.channels; ++c) mean[c] /= static_cast<float>(pixels_);
      store(mean, y_.type, y_.data, image * x_.channels);
    });
  }

  void backward() override {
    overImages([&](int64_t image, float* gradient, float*) {
      convert(y_.type, dy_, image * x_.channels, gradient);
      for (int64_t c = 0; c < x_.channels; ++c) gradient[c] /= static_cast<float>(pixels_);
      for (int64_t p = 0; p < pixels_; ++p) store(gradient, x_.type, dx_, (image * pixels_ + p) * x_.channels);
    });
  }

 private:
  /// `work(image, row, row)` with two rows of C floats of the thread's own.
  template <class Work>
  void overImages(Work work) {
    parallelFor(threads_, [&](int part) {
      const auto [begin, end] = share(x_.batch, threads_, part);
      float* rows = rows_.data() + static_cast<size_t>(part) * 2 * x_.channels;
      for (int64_t image = begin; image < end; ++image) work(image, rows, rows + x_.channels);
    });
  }

  void convert(DataType from, const Buffer* source, int64_t first, float* pixel) const {
    const std::byte* data = source->data + first * sizeOf(from);
    kernels().convert({from, DataType::Float32, data, pixel}, {0, x_.channels});
  }
  void store(const float* pixel, DataType to, Buffer* destination, int64_t first) const {
    std::byte* data = destination->data + first * sizeOf(to);
    kernels().convert({DataType::Float32, to, pixel, data}, {0, x_.channels});
  }

  const int threads_;
  Value& x_;
  Value& y_;
  const int64_t pixels_;
  std::vector<float> rows_;
  Buffer *dy_ = nullptr, *dx_ = nullptr;
};

}  // namespace

std::unique_ptr<Op> makePool(const Context& context, Mode mode, const Node& node, Value& x, Value& y) {
  return std::make_unique<Pool>(context, mode, node, x, y);
}

std::unique_ptr<Op> makeGlobalAveragePool(const Context& context, const Node& node, Value& x, Value& y) {
  return std::make_unique<GlobalAveragePool>(context, node, x, y);
}

}  // namespace residual
