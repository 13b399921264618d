#include "conv.h"

#include <optional>

#include "onednn.h"

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
    toPlain_ = dnnl::reorder(wantedMemory_, plainMemory_);
  }
  const memory& wanted() const { return wantedMemory_; }
  void load() {
    if (copy_) toWanted_.execute(context_.onednn->stream, plainMemory_, wantedMemory_);
  }
  void unload() {
    if (copy_) toPlain_.execute(context_.onednn->stream, wantedMemory_, plainMemory_);
  }

 private:
  const Context& context_;
  const memory::desc plain_, wanted_;
  Buffer* copy_ = nullptr;
  memory plainMemory_, wantedMemory_;
  dnnl::reorder toWanted_, toPlain_;
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
    backwardWeights_.execute(context_.onednn->stream, weightsArguments_);
    weightGradient_->unload();
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
    weightsDesc_ = guarded(name, [&] {
      return describeConvBackwardWeights(context_.onednn->engine, forwardDesc_, nhwc(x_),
                                         weightDesc(memory::data_type::f32, memory::format_tag::any),
                                         bias_ ? &biasDesc_ : nullptr, nhwc(y_), geometry_);
    });
    weightGradient_.emplace(context_, plainWeight_, weightsDesc_.diff_weights_desc());
    weightGradient_->plan(plan);
    weightsScratch_ = plan.allocate(weightsDesc_.scratchpad_desc().get_size());
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
    if (!backwardWeights_) backwardWeights_ = dnnl::convolution_backward_weights(weightsDesc_);
    weightGradient_->bind(weight_.gradient);
    weightsArguments_ = {{DNNL_ARG_SRC, wrap(context_, nhwc(x_), x_.data->data)},
                         {DNNL_ARG_DIFF_DST, dy},
                         {DNNL_ARG_DIFF_WEIGHTS, weightGradient_->wanted()},
                         {DNNL_ARG_SCRATCHPAD, wrap(context_, weightsDesc_.scratchpad_desc(), weightsScratch_->data)}};
    if (bias_) weightsArguments_.insert({DNNL_ARG_DIFF_BIAS, wrap(context_, biasDesc_, bias_->gradient)});
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

  dnnl::convolution_backward_weights::primitive_desc weightsDesc_;
  dnnl::convolution_backward_weights backwardWeights_;
  std::optional<Relayout> weightGradient_;
  Buffer* weightsScratch_ = nullptr;
  Arguments weightsArguments_;
};

}  // namespace

std::unique_ptr<Op> makeConv(const Context& context, Mode mode, const Node& node, Value& x, Value& y, Parameter& weight,
                             Parameter* bias) {
  return std::make_unique<Conv>(context, mode, node, x, y, weight, bias);
}

}  // namespace residual
