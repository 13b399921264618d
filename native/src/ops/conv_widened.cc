#include "conv_widened.h"

#include "kernels.h"

namespace residual {
namespace {

Value widened(Value value) {
  value.type = DataType::Float32;
  return value;
}

}  // namespace

WidenedInPieces::WidenedInPieces(const ConvSpec& spec, bool backward, std::unique_ptr<ActivationInPieces> (*make)(const ConvSpec&))
    : x_(widened(spec.x)), y_(widened(spec.y)),
      spec_{spec.context, spec.mode, spec.name, spec.kernel, spec.stride, spec.padding, spec.groups, x_, y_, spec.weight, spec.bias},
      sourceElements_((backward ? y_ : x_).imageElements()), destinationElements_((backward ? x_ : y_).imageElements()), pieces_(spec_),
      pass_(make(spec_)) {}

void WidenedInPieces::plan(MemoryPlan& plan) {
  const int64_t images = pieces_.sizes().back();
  for (int thread = 0; thread < pieces_.threads(); ++thread) {
    sources_.push_back(plan.allocate(images * sourceElements_ * sizeof(float)));
    destinations_.push_back(plan.allocate(images * destinationElements_ * sizeof(float)));
  }
  pass_->plan(plan);
}

void WidenedInPieces::run(int thread, int64_t images, const std::byte* source, std::byte* destination) {
  std::byte *const wideSource = sources_[thread]->data, *const wideDestination = destinations_[thread]->data;
  kernels().convert({DataType::BFloat16, DataType::Float32, source, wideSource}, {0, images * sourceElements_});
  pass_->run(thread, images, wideSource, wideDestination);
  kernels().convert({DataType::Float32, DataType::BFloat16, wideDestination, destination}, {0, images * destinationElements_});
}

}  // namespace residual
