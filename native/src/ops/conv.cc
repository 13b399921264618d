#include "conv.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "kernels.h"
#include "onednn.h"
#include "parallel.h"

namespace residual {
namespace {

using dnnl::memory;

/// A float32 tensor in state_dict layout and its copy in the layout and type that a primitive wants, for one step.
class Relayout {
 public:
  Relayout(const Context& context, memory::desc plain, memory::desc wanted)
      : context_(context), plain_(std::move(plain)), wanted_(std::move(wanted)) {}

  void plan(MemoryPlan& plan) {
    if (wanted_ != plain_) copy_ = plan.allocate(wanted_.get_size());
  }
  void bind(float* tensor) {
    plainMemory_ = wrap(context_, plain_, tensor);
    wantedMemory_ = copy_ ? wrap(context_, wanted_, copy_->data) : plainMemory_;
    if (!copy_ || toWanted_) return;
    toWanted_ = dnnl::reorder(plainMemory_, wantedMemory_);
  }
  const memory& wanted() const { return wantedMemory_; }
  void load() {
    if (copy_) toWanted_.execute(context_.onednn->stream, plainMemory_, wantedMemory_);
  }

 private:
  const Context& context_;
  const memory::desc plain_, wanted_;
  Buffer* copy_ = nullptr;
  memory plainMemory_, wantedMemory_;
  dnnl::reorder toWanted_;
};

/// Makes primitives for a single thread, whatever the session's number is.
template <class Make>
auto onOneThread(const Context& context, Make make) {
  omp_set_num_threads(1);
  auto restore = [&](int*) { omp_set_num_threads(context.threads); };
  int token;
  const std::unique_ptr<int, decltype(restore)> guard(&token, restore);
  return make();
}

/// The gradients of weight and bias: each thread computes those of its own images, and the sum is taken in the threads'
/// order. oneDNN's own division of this primitive has its threads wait for each other in busy loops many times, which on
/// a machine with other work to do costs a hundredfold.
class WeightGradient {
 public:
  using Describe = std::function<dnnl::convolution_backward_weights::primitive_desc(const Value& x, const Value& y)>;

  /// `describe` gives the primitive for some of the images.
  WeightGradient(const Context& context, memory::desc plain, memory::desc bias, const Value& x, const Value& y,
                 const Describe& describe)
      : context_(context), plain_(std::move(plain)), bias_(std::move(bias)) {
    const int parts = static_cast<int>(std::min<int64_t>(context.threads, x.batch));
    for (int part = 0; part < parts; ++part) {
      const auto [begin, end] = share(x.batch, parts, part);
      Part made{x, y, begin * static_cast<int64_t>(x.bytes()) / x.batch, begin * static_cast<int64_t>(y.bytes()) / y.batch};
      made.x.batch = made.y.batch = end - begin;
      made.desc = onOneThread(context, [&] { return describe(made.x, made.y); });
      parts_.push_back(std::move(made));
    }
  }

  void plan(MemoryPlan& plan, bool hasBias) {
    for (Part& part : parts_) {
      part.weight = plan.allocate(part.desc.diff_weights_desc().get_size());
      if (hasBias) part.bias = plan.allocate(bias_.get_size());
      part.scratch = plan.allocate(part.desc.scratchpad_desc().get_size());
    }
  }

  void bind(const Buffer* x, const Buffer* dy, const Parameter& weight, const Parameter* bias) {
    for (Part& part : parts_) {
      if (!part.primitive)
        part.primitive = onOneThread(context_, [&] { return dnnl::convolution_backward_weights(part.desc); });
      part.arguments = {{DNNL_ARG_SRC, wrap(context_, nhwc(part.x), x->data + part.xOffset)},
                        {DNNL_ARG_DIFF_DST, wrap(context_, nhwc(part.y), dy->data + part.yOffset)},
                        {DNNL_ARG_DIFF_WEIGHTS, wrap(context_, part.desc.diff_weights_desc(), part.weight->data)},
                        {DNNL_ARG_SCRATCHPAD, wrap(context_, part.desc.scratchpad_desc(), part.scratch->data)}};
      if (bias) part.arguments.insert({DNNL_ARG_DIFF_BIAS, wrap(context_, bias_, part.bias->data)});
    }
    sum_ = parts_.front().arguments.at(DNNL_ARG_DIFF_WEIGHTS);
    gradient_ = wrap(context_, plain_, weight.gradient);
    if (!toPlain_) toPlain_ = dnnl::reorder(sum_, gradient_);
    biasGradient_ = bias ? bias->gradient : nullptr;
  }

  void execute() {
    parallelFor(static_cast<int>(parts_.size()), [&](int part) {
      parts_[part].primitive.execute(context_.onednn->stream, parts_[part].arguments);
    });
    const auto elements = static_cast<int64_t>(sum_.get_desc().get_size() / sizeof(float));
    for (size_t part = 1; part < parts_.size(); ++part) addWeights(parts_[part], elements);
    toPlain_.execute(context_.onednn->stream, sum_, gradient_);
    if (biasGradient_) sumBias();
  }

 private:
  struct Part {
    Value x, y;  // of its images
    int64_t xOffset, yOffset;  // bytes
    dnnl::convolution_backward_weights::primitive_desc desc{};
    dnnl::convolution_backward_weights primitive{};
    Buffer *weight = nullptr, *bias = nullptr, *scratch = nullptr;
    Arguments arguments{};
  };

  void addWeights(const Part& part, int64_t elements) {
    Buffer* const sum = parts_.front().weight;
    const ReluGradientArguments arguments{DataType::Float32, nullptr, sum->data, part.weight->data, sum->data};
    parallelFor(context_.threads, [&](int thread) {
      const auto [begin, end] = share(elements, context_.threads, thread);
      kernels().reluGradient(arguments, {begin, end});
    });
  }

  void sumBias() {
    const auto channels = static_cast<int64_t>(bias_.get_size() / sizeof(float));
    std::fill_n(biasGradient_, channels, 0.0f);
    for (const Part& part : parts_)
      for (int64_t c = 0; c < channels; ++c) biasGradient_[c] += part.bias->as<float>()[c];
  }

  const Context& context_;
  const memory::desc plain_, bias_;
  std::vector<Part> parts_;
  memory sum_, gradient_;
  dnnl::reorder toPlain_;
  float* biasGradient_ = nullptr;
};

class Conv final : public Op {
 public:
  Conv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight, Parameter* bias)
      : Op(node.name), context_(context), mode_(mode), x_(x), y_(y), weight_(weight), bias_(bias),
        geometry_{{node.stride, node.stride}, {node.padding, node.padding}} {
    const memory::dim o = y.channels, i = x.channels / node.groups, k = node.kernel, g = node.groups;
    weightDims_ = g == 1 ? memory::dims{o, i, k, k} : memory::dims{g, o / g, i, k, k};
    plainWeight_ = weightDesc(memory::data_type::f32,
                              g == 1 ? memory::format_tag::oihw : memory::format_tag::goihw);
    biasDesc_ = memory::desc({o}, memory::data_type::f32, memory::format_tag::a);
  }

  void planForward(MemoryPlan& plan) override {
    const auto kind = mode_ == Mode::Training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    forwardDesc_ = guarded(name, [&] {
      return describeConvForward(context_.onednn->engine, kind, nhwc(x_), anyWeight(), bias_ ? &biasDesc_ : nullptr, nhwc(y_),
                                 geometry_);
    });
    plan.use(x_.data);
    y_.data = plan.allocate(y_.bytes());
    forwardWeight_.emplace(context_, plainWeight_, forwardDesc_.weights_desc());
    forwardWeight_->plan(plan);
    forwardScratch_ = plan.allocate(forwardDesc_.scratchpad_desc().get_size());
  }

  void planBackward(MemoryPlan& plan) override {
    const Gradient dy = takeGradient(plan, y_);
    dy_ = dy.first;
    plan.use(x_.data);
    if (x_.needsGradient) planBackwardData(plan);
    planBackwardWeights(plan);
  }

  void bind() override {
    guarded(name, [&] {
      bindForward();
      if (dy_) bindBackward();
    });
  }

  void forward() override {
    forwardWeight_->load();
    forward_.execute(context_.onednn->stream, forwardArguments_);
  }

  void backward() override {
    if (dx_) {
      dataWeight_->load();
      backwardData_.execute(context_.onednn->stream, dataArguments_);
    }
    weightGradient_->execute();
  }

 private:
  memory::desc weightDesc(memory::data_type type, memory::format_tag tag) const { return {weightDims_, type, tag}; }
  memory::desc anyWeight() const { return weightDesc(dnnlType(x_.type), memory::format_tag::any); }

  void planBackwardData(MemoryPlan& plan) {
    dataDesc_ = guarded(name, [&] {
      return describeConvBackwardData(context_.onednn->engine, forwardDesc_, nhwc(x_), anyWeight(), nhwc(y_), geometry_);
    });
    dataWeight_.emplace(context_, plainWeight_, dataDesc_.weights_desc());
    dataWeight_->plan(plan);
    dataScratch_ = plan.allocate(dataDesc_.scratchpad_desc().get_size());
    dx_ = plan.allocate(x_.bytes());
    giveGradient(x_, dx_);
  }

  void planBackwardWeights(MemoryPlan& plan) {
    guarded(name, [&] {
      weightGradient_.emplace(context_, plainWeight_, biasDesc_, x_, y_, [&](const Value& x, const Value& y) {
        return describeConvBackwardWeights(context_.onednn->engine, forwardDesc_, nhwc(x),
                                           weightDesc(memory::data_type::f32, memory::format_tag::any),
                                           bias_ ? &biasDesc_ : nullptr, nhwc(y), geometry_);
      });
    });
    weightGradient_->plan(plan, bias_ != nullptr);
  }

  void bindForward() {
    if (!forward_) forward_ = dnnl::convolution_forward(forwardDesc_);
    forwardWeight_->bind(weight_.value);
    forwardArguments_ = {{DNNL_ARG_SRC, wrap(context_, nhwc(x_), x_.data->data)},
                         {DNNL_ARG_WEIGHTS, forwardWeight_->wanted()},
                         {DNNL_ARG_DST, wrap(context_, nhwc(y_), y_.data->data)},
                         {DNNL_ARG_SCRATCHPAD, wrap(context_, forwardDesc_.scratchpad_desc(), forwardScratch_->data)}};
    if (bias_) forwardArguments_.insert({DNNL_ARG_BIAS, wrap(context_, biasDesc_, bias_->value)});
  }

  void bindBackward() {
    const memory dy = wrap(context_, nhwc(y_), dy_->data);
    if (dx_) {
      if (!backwardData_) backwardData_ = dnnl::convolution_backward_data(dataDesc_);
      dataWeight_->bind(weight_.value);
      dataArguments_ = {{DNNL_ARG_DIFF_DST, dy},
                        {DNNL_ARG_WEIGHTS, dataWeight_->wanted()},
                        {DNNL_ARG_DIFF_SRC, wrap(context_, nhwc(x_), dx_->data)},
                        {DNNL_ARG_SCRATCHPAD, wrap(context_, dataDesc_.scratchpad_desc(), dataScratch_->data)}};
    }
    weightGradient_->bind(x_.data, dy_, weight_, bias_);
  }

  const Context& context_;
  const Mode mode_;
  Value& x_;
  Value& y_;
  Parameter& weight_;
  Parameter* const bias_;
  const ConvGeometry geometry_;
  memory::dims weightDims_;
  memory::desc plainWeight_, biasDesc_;
  Buffer *dy_ = nullptr, *dx_ = nullptr;

  dnnl::convolution_forward::primitive_desc forwardDesc_;
  dnnl::convolution_forward forward_;
  std::optional<Relayout> forwardWeight_;
  Buffer* forwardScratch_ = nullptr;
  Arguments forwardArguments_;

  dnnl::convolution_backward_data::primitive_desc dataDesc_;
  dnnl::convolution_backward_data backwardData_;
  std::optional<Relayout> dataWeight_;
  Buffer* dataScratch_ = nullptr;
  Arguments dataArguments_;

  std::optional<WeightGradient> weightGradient_;
};

}  // namespace

std::unique_ptr<Op> makeConv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight,
                             Parameter* bias) {
  return std::make_unique<Conv>(context, mode, node, x, y, weight, bias);
}

}  // namespace residual
