#include "conv_direct.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "conv_widened.h"
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

/// How oneDNN is told about a convolution.
class Descriptions {
 public:
  explicit Descriptions(const ConvSpec& spec)
      : spec_(spec), geometry_{{spec.stride, spec.stride}, {spec.padding, spec.padding}} {
    const memory::dim o = spec.y.channels, i = spec.x.channels / spec.groups, k = spec.kernel, g = spec.groups;
    weightDims_ = g == 1 ? memory::dims{o, i, k, k} : memory::dims{g, o / g, i, k, k};
    plainWeight = weight(memory::data_type::f32, g == 1 ? memory::format_tag::oihw : memory::format_tag::goihw);
    bias = memory::desc({o}, memory::data_type::f32, memory::format_tag::a);
  }

  auto forward(const Value& x, const Value& y) const {
    const auto kind = spec_.mode == Mode::Training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    return describeConvForward(engine(), kind, nhwc(x), weight(dnnlType(x.type), memory::format_tag::any), biasOrNull(), nhwc(y),
                               geometry_);
  }

  auto backwardData(const Value& x, const Value& y) const {
    return describeConvBackwardData(engine(), forward(x, y), nhwc(x), weight(dnnlType(x.type), memory::format_tag::any), nhwc(y),
                                    geometry_);
  }

  auto backwardWeights(const Value& x, const Value& y) const {
    return describeConvBackwardWeights(engine(), forward(x, y), nhwc(x), weight(memory::data_type::f32, memory::format_tag::any),
                                       biasOrNull(), nhwc(y), geometry_);
  }

  memory::desc plainWeight, bias;

 private:
  const dnnl::engine& engine() const { return spec_.context.onednn->engine; }
  const memory::desc* biasOrNull() const { return spec_.bias ? &bias : nullptr; }
  memory::desc weight(memory::data_type type, memory::format_tag tag) const { return {weightDims_, type, tag}; }

  const ConvSpec& spec_;
  const ConvGeometry geometry_;
  memory::dims weightDims_;
};

/// A pass from one activation to another by the weights, in the layout that its primitive wants.
template <class Primitive>
class DirectActivationPass : public ConvPass {
 public:
  void plan(MemoryPlan& plan) override {
    weight_.plan(plan);
    scratch_ = plan.allocate(desc_.scratchpad_desc().get_size());
  }

  void bind(const Buffer* source, const Buffer* destination) override {
    guarded(spec_.name, [&] {
      if (!primitive_) primitive_ = Primitive(desc_);
      weight_.bind(spec_.weight.value);
    });
    arguments_ = argumentsOf(source, destination);
    arguments_.insert({DNNL_ARG_WEIGHTS, weight_.wanted()});
    arguments_.insert({DNNL_ARG_SCRATCHPAD, wrap(spec_.context, desc_.scratchpad_desc(), scratch_->data)});
  }

  void execute() override {
    weight_.load();
    primitive_.execute(spec_.context.onednn->stream, arguments_);
  }

 protected:
  using Desc = typename Primitive::primitive_desc;

  template <class Describe>
  DirectActivationPass(const ConvSpec& spec, Describe describe)
      : spec_(spec), descriptions_(spec_), desc_(guarded(spec.name, [&]() -> Desc { return describe(descriptions_); })),
        weight_(spec.context, descriptions_.plainWeight, desc_.weights_desc()) {}

  /// All but the weights and the scratch memory.
  virtual Arguments argumentsOf(const Buffer* source, const Buffer* destination) const = 0;

  const ConvSpec spec_;
  const Descriptions descriptions_;

 private:
  const Desc desc_;
  Relayout weight_;
  Buffer* scratch_ = nullptr;
  Primitive primitive_;
  Arguments arguments_;
};

class DirectForward final : public DirectActivationPass<dnnl::convolution_forward> {
 public:
  explicit DirectForward(const ConvSpec& spec)
      : DirectActivationPass(spec, [&](const Descriptions& of) { return of.forward(spec.x, spec.y); }) {}

 private:
  Arguments argumentsOf(const Buffer* x, const Buffer* y) const override {
    Arguments arguments{{DNNL_ARG_SRC, wrap(spec_.context, nhwc(spec_.x), x->data)},
                        {DNNL_ARG_DST, wrap(spec_.context, nhwc(spec_.y), y->data)}};
    if (spec_.bias) arguments.insert({DNNL_ARG_BIAS, wrap(spec_.context, descriptions_.bias, spec_.bias->value)});
    return arguments;
  }
};

class DirectBackwardData final : public DirectActivationPass<dnnl::convolution_backward_data> {
 public:
  explicit DirectBackwardData(const ConvSpec& spec)
      : DirectActivationPass(spec, [&](const Descriptions& of) { return of.backwardData(spec.x, spec.y); }) {}

 private:
  Arguments argumentsOf(const Buffer* dy, const Buffer* dx) const override {
    return {{DNNL_ARG_DIFF_DST, wrap(spec_.context, nhwc(spec_.y), dy->data)},
            {DNNL_ARG_DIFF_SRC, wrap(spec_.context, nhwc(spec_.x), dx->data)}};
  }
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

/// Some images as one primitive takes them. Of a 1x1 convolution all pixels are one row: a plain matrix product.
Value stretch(const ConvSpec& spec, Value value, int64_t images) {
  value.batch = images;
  if (spec.kernel > 1 || spec.stride > 1 || spec.padding > 0) return value;
  value.width = value.pixels();
  value.batch = value.height = 1;
  return value;
}

/// A primitive for each size of piece, that one thread executes at a time. They may want the weights in different layouts.
template <class Primitive>
class DirectInPieces final : public ActivationInPieces {
  using Desc = typename Primitive::primitive_desc;

 public:
  /// `describe(descriptions, x, y)` for some images. `source` and `destination` are oneDNN's names of what they go from and to.
  template <class Describe>
  DirectInPieces(const ConvSpec& spec, int source, int destination, Describe describe)
      : spec_(spec), source_(source), destination_(destination), descriptions_(spec_), pieces_(spec) {
    for (const int64_t images : pieces_.sizes()) {
      const Value x = stretch(spec, spec.x, images), y = stretch(spec, spec.y, images);
      const Desc desc = guarded(spec.name, [&] { return onOneThread(spec.context, [&]() -> Desc { return describe(descriptions_, x, y); }); });
      sizes_.push_back({images, nhwc(isForward() ? x : y), nhwc(isForward() ? y : x), desc,
                        Relayout(spec.context, descriptions_.plainWeight, desc.weights_desc())});
    }
  }

  void plan(MemoryPlan& plan) override {
    for (Size& size : sizes_) {
      size.weight.plan(plan);
      for (int thread = 0; thread < pieces_.threads(); ++thread)
        size.scratch.push_back(plan.allocate(size.desc.scratchpad_desc().get_size()));
    }
  }

  void bind() override {
    guarded(spec_.name, [&] {
      for (Size& size : sizes_) {
        if (!size.primitive) size.primitive = onOneThread(spec_.context, [&] { return Primitive(size.desc); });
        size.weight.bind(spec_.weight.value);
      }
    });
  }

  void prepare() override {
    for (Size& size : sizes_) size.weight.load();
  }

  void run(int thread, int64_t images, const std::byte* source, std::byte* destination) override {
    Size& size = *std::find_if(sizes_.begin(), sizes_.end(), [&](const Size& size) { return size.images == images; });
    const Context& context = spec_.context;
    Arguments arguments{{source_, wrap(context, size.source, const_cast<std::byte*>(source))},
                        {destination_, wrap(context, size.destination, destination)},
                        {DNNL_ARG_WEIGHTS, size.weight.wanted()},
                        {DNNL_ARG_SCRATCHPAD, wrap(context, size.desc.scratchpad_desc(), size.scratch[thread]->data)}};
    if (isForward() && spec_.bias) arguments.insert({DNNL_ARG_BIAS, wrap(context, descriptions_.bias, spec_.bias->value)});
    size.primitive.execute(context.onednn->stream, arguments);
  }

 private:
  struct Size {
    int64_t images;
    memory::desc source, destination;
    Desc desc;
    Relayout weight;
    std::vector<Buffer*> scratch{};
    Primitive primitive{};
  };

  bool isForward() const { return source_ == DNNL_ARG_SRC; }

  const ConvSpec spec_;
  const int source_, destination_;
  const Descriptions descriptions_;
  const Pieces pieces_;
  std::vector<Size> sizes_;
};

/// Each thread computes the gradients of its own images, and the sum is taken in the threads' order. oneDNN's own division
/// of this primitive has its threads wait for each other in busy loops many times, which on a machine with other work to
/// do costs a hundredfold.
class DirectBackwardWeights final : public ConvPass {
 public:
  explicit DirectBackwardWeights(const ConvSpec& spec) : spec_(spec), descriptions_(spec_) {
    const auto& [x, y] = std::tie(spec.x, spec.y);
    const int parts = static_cast<int>(std::min<int64_t>(spec.context.threads, x.batch));
    for (int part = 0; part < parts; ++part) {
      const auto [begin, end] = share(x.batch, parts, part);
      Part made{x, y, begin * static_cast<int64_t>(x.bytes()) / x.batch, begin * static_cast<int64_t>(y.bytes()) / y.batch};
      made.x.batch = made.y.batch = end - begin;
      made.desc = guarded(spec.name, [&] {
        return onOneThread(spec.context, [&] { return descriptions_.backwardWeights(made.x, made.y); });
      });
      parts_.push_back(std::move(made));
    }
  }

  void plan(MemoryPlan& plan) override {
    for (Part& part : parts_) {
      part.weight = plan.allocate(part.desc.diff_weights_desc().get_size());
      if (spec_.bias) part.bias = plan.allocate(descriptions_.bias.get_size());
      part.scratch = plan.allocate(part.desc.scratchpad_desc().get_size());
    }
  }

  void bind(const Buffer* x, const Buffer* dy) override {
    guarded(spec_.name, [&] {
      for (Part& part : parts_) bindPart(part, x, dy);
      sum_ = parts_.front().arguments.at(DNNL_ARG_DIFF_WEIGHTS);
      gradient_ = wrap(spec_.context, descriptions_.plainWeight, spec_.weight.gradient);
      if (!toPlain_) toPlain_ = dnnl::reorder(sum_, gradient_);
    });
  }

  void execute() override {
    parallelFor(static_cast<int>(parts_.size()), [&](int part) {
      parts_[part].primitive.execute(spec_.context.onednn->stream, parts_[part].arguments);
    });
    const auto elements = static_cast<int64_t>(sum_.get_desc().get_size() / sizeof(float));
    for (size_t part = 1; part < parts_.size(); ++part) addWeights(parts_[part], elements);
    toPlain_.execute(spec_.context.onednn->stream, sum_, gradient_);
    if (spec_.bias) sumBias(*spec_.bias);
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

  void bindPart(Part& part, const Buffer* x, const Buffer* dy) {
    const Context& context = spec_.context;
    if (!part.primitive)
      part.primitive = onOneThread(context, [&] { return dnnl::convolution_backward_weights(part.desc); });
    part.arguments = {{DNNL_ARG_SRC, wrap(context, nhwc(part.x), x->data + part.xOffset)},
                      {DNNL_ARG_DIFF_DST, wrap(context, nhwc(part.y), dy->data + part.yOffset)},
                      {DNNL_ARG_DIFF_WEIGHTS, wrap(context, part.desc.diff_weights_desc(), part.weight->data)},
                      {DNNL_ARG_SCRATCHPAD, wrap(context, part.desc.scratchpad_desc(), part.scratch->data)}};
    if (part.bias) part.arguments.insert({DNNL_ARG_DIFF_BIAS, wrap(context, descriptions_.bias, part.bias->data)});
  }

  void addWeights(const Part& part, int64_t elements) {
    Buffer* const sum = parts_.front().weight;
    const ReluGradientArguments arguments{DataType::Float32, nullptr, sum->data, part.weight->data, sum->data};
    parallelFor(spec_.context.threads, [&](int thread) {
      const auto [begin, end] = share(elements, spec_.context.threads, thread);
      kernels().reluGradient(arguments, {begin, end});
    });
  }

  void sumBias(const Parameter& bias) {
    std::fill_n(bias.gradient, bias.elements, 0.0f);
    for (const Part& part : parts_)
      for (int64_t c = 0; c < bias.elements; ++c) bias.gradient[c] += part.bias->as<float>()[c];
  }

  const ConvSpec spec_;
  const Descriptions descriptions_;
  std::vector<Part> parts_;
  memory sum_, gradient_;
  dnnl::reorder toPlain_;
};

}  // namespace

std::unique_ptr<ConvPass> makeDirectForward(const ConvSpec& spec) {
  if (isWidened(spec)) return std::make_unique<PassInPieces>(spec, false, makeDirectForwardInPieces(spec));
  return std::make_unique<DirectForward>(spec);
}
std::unique_ptr<ConvPass> makeDirectBackwardData(const ConvSpec& spec) {
  if (isWidened(spec)) return std::make_unique<PassInPieces>(spec, true, makeDirectDataInPieces(spec));
  return std::make_unique<DirectBackwardData>(spec);
}
std::unique_ptr<ConvPass> makeDirectBackwardWeights(const ConvSpec& spec) {
  return std::make_unique<DirectBackwardWeights>(spec);
}

std::unique_ptr<ActivationInPieces> makeDirectForwardInPieces(const ConvSpec& spec) {
  if (isWidened(spec)) return std::make_unique<WidenedInPieces>(spec, false, makeDirectForwardInPieces);
  return std::make_unique<DirectInPieces<dnnl::convolution_forward>>(
      spec, DNNL_ARG_SRC, DNNL_ARG_DST, [](const Descriptions& of, const Value& x, const Value& y) { return of.forward(x, y); });
}

std::unique_ptr<ActivationInPieces> makeDirectDataInPieces(const ConvSpec& spec) {
  if (isWidened(spec)) return std::make_unique<WidenedInPieces>(spec, true, makeDirectDataInPieces);
  return std::make_unique<DirectInPieces<dnnl::convolution_backward_data>>(
      spec, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC,
      [](const Descriptions& of, const Value& x, const Value& y) { return of.backwardData(x, y); });
}

}  // namespace residual
