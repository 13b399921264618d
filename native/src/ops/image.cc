#include "image.h"

#include "kernels.h"
#include "parallel.h"

namespace residual {

Image::Image(const Context& context, Value& y) : Op("input"), threads_(context.threads), y_(y) {}

void Image::planForward(MemoryPlan& plan) { y_.data = plan.allocate(y_.bytes()); }

void Image::forward() {
  const int64_t perImage = y_.channels * y_.height * y_.width;
  parallelFor(threads_, [&](int part) {
    const auto [begin, end] = share(y_.batch, threads_, part);
    kernels().convert({DataType::Float32, y_.type, pixels_, y_.data->data}, {begin * perImage, end * perImage});
  });
}

}  // namespace residual
