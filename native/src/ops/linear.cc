#include "linear.h"

#include <vector>

#include "kernels.h"
#include "onednn.h"
#include "parallel.h"

namespace residual {
namespace {

using dnnl::memory;

/// c = a . b, all float32; a transposed operand is one with its strides exchanged.
class MatMul {
 public:
  MatMul(const Context& context, const std::string& name, memory::desc a, memory::desc b, memory::desc c)
      : context_(context),
        desc_(guarded(name, [&] { return describeMatMul(context.onednn->engine, a, b, c); })),
        a_(std::move(a)), b_(std::move(b)), c_(std::move(c)) {}

  void plan(MemoryPlan& plan) { scratch_ = plan.allocate(desc_.scratchpad_desc().get_size()); }
  void bind(void* a, void* b, void* c) {
    if (!matmul_) matmul_ = dnnl::matmul(desc_);
    arguments_ = {{DNNL_ARG_SRC, wrap(context_, a_, a)},
                  {DNNL_ARG_WEIGHTS, wrap(context_, b_, b)},
                  {DNNL_ARG_DST, wrap(context_, c_, c)},
                  {DNNL_ARG_SCRATCHPAD, wrap(context_, desc_.scratchpad_desc(), scratch_->data)}};
  }
  void execute() { matmul_.execute(context_.onednn->stream, arguments_); }

 private:
  const Context& context_;
  const dnnl::matmul::primitive_desc desc_;
  const memory::desc a_, b_, c_;
  dnnl::matmul matmul_;
  Arguments arguments_;
  Buffer* scratch_ = nullptr;
};

memory::desc matrix(int64_t rows, int64_t columns) {
  return {{rows, columns}, memory::data_type::f32, memory::format_tag::ab};
}
memory::desc transposed(int64_t rows, int64_t columns) {
  return {{rows, columns}, memory::data_type::f32, memory::format_tag::ba};
}

class Linear final : public Op {
 public:
  Linear(const Context& context, const Node& node, Value& x, Value& y, Parameter& weight, Parameter* bias)
      : Op(node.name), threads_(context.threads), x_(x), y_(y), weight_(weight), bias_(bias),
        flattened_(x.height * x.width > 1 || x.type != DataType::Float32), inputs_(x.channels * x.height * x.width),
        product_(context, name, matrix(x.batch, inputs_), transposed(inputs_, y.channels), matrix(x.batch, y.channels)),
        dataProduct_(context, name, matrix(x.batch, y.channels), matrix(y.channels, inputs_), matrix(x.batch, inputs_)),
        weightProduct_(context, name, transposed(y.channels, x.batch), matrix(x.batch, inputs_),
                       matrix(y.channels, inputs_)) {}

  void planForward(MemoryPlan& plan) override {
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
    flat_ = flattened_ ? plan.allocate(flatBytes()) : x_.data;
    product_.plan(plan);
  }

  void planBackward(MemoryPlan& plan) override {
    dy_ = takeGradient(plan, y_).first;
    plan.use(flat_);
    weightProduct_.plan(plan);
    if (!x_.needsGradient) return;
    dataProduct_.plan(plan);
    flatGradient_ = plan.allocate(flatBytes());
    dx_ = flattened_ ? plan.allocate(x_.bytes()) : flatGradient_;
    giveGradient(x_, dx_);
  }

  void bind() override {
    guarded(name, [&] {
      product_.bind(flat_->data, weight_.value, y_.data->data);
      if (!dy_) return;
      weightProduct_.bind(dy_->data, flat_->data, weight_.gradient);
      if (dx_) dataProduct_.bind(dy_->data, weight_.value, flatGradient_->data);
    });
  }

  void forward() override {
    if (flattened_) flatten();
    product_.execute();
    if (!bias_) return;
    float* y = y_.data->as<float>();
    for (int64_t image = 0; image < y_.batch; ++image)
      for (int64_t k = 0; k < y_.channels; ++k) y[image * y_.channels + k] += bias_->value[k];
  }

  void backward() override {
    weightProduct_.execute();
    if (bias_) sumBiasGradient();
    if (!dx_) return;
    dataProduct_.execute();
    if (flattened_) unflatten();
  }

 private:
  size_t flatBytes() const { return static_cast<size_t>(x_.batch * inputs_) * sizeof(float); }

  void sumBiasGradient() {
    const float* dy = dy_->as<float>();
    std::fill_n(bias_->gradient, y_.channels, 0.0f);
    for (int64_t image = 0; image < y_.batch; ++image)
      for (int64_t k = 0; k < y_.channels; ++k) bias_->gradient[k] += dy[image * y_.channels + k];
  }

  /// Calls `work(pixel's first element, its place in the flat row, row of C floats)`: flat is C, H, W; memory is H, W, C.
  template <class Work>
  void overPixels(Work work) const {
    const int64_t area = x_.height * x_.width;
    parallelFor(threads_, [&](int part) {
      const auto [begin, end] = share(x_.pixels(), threads_, part);
      std::vector<float> row(x_.channels);
      for (int64_t p = begin; p < end; ++p) work(p * x_.channels, p / area * inputs_ + p % area, row.data());
    });
  }

  void flatten() {
    const int64_t area = x_.height * x_.width;
    float* flat = flat_->as<float>();
    overPixels([&](int64_t first, int64_t place, float* row) {
      kernels().convert({x_.type, DataType::Float32, x_.data->data + first * sizeOf(x_.type), row}, {0, x_.channels});
      for (int64_t c = 0; c < x_.channels; ++c) flat[place + c * area] = row[c];
    });
  }

  void unflatten() {
    const int64_t area = x_.height * x_.width;
    const float* flat = flatGradient_->as<float>();
    overPixels([&](int64_t first, int64_t place, float* row) {
      for (int64_t c = 0; c < x_.channels; ++c) row[c] = flat[place + c * area];
      kernels().convert({DataType::Float32, x_.type, row, dx_->data + first * sizeOf(x_.type)}, {0, x_.channels});
    });
  }

  const int threads_;
  Value& x_;
  Value& y_;
  Parameter& weight_;
  Parameter* const bias_;
  /// Whether the input is brought to float32 in (C, H, W) order first.
  const bool flattened_;
  const int64_t inputs_;
  MatMul product_, dataProduct_, weightProduct_;
  Buffer *flat_ = nullptr, *flatGradient_ = nullptr, *dy_ = nullptr, *dx_ = nullptr;
};

}  // namespace

std::unique_ptr<Op> makeLinear(const Context& context, const Node& node, Value& x, Value& y, Parameter& weight,
                               Parameter* bias) {
  return std::make_unique<Linear>(context, node, x, y, weight, bias);
}

}  // namespace residual
