#include "conv_pieces.h"

#include <algorithm>
#include <set>

#include "parallel.h"

namespace residual {
namespace {

/// A quarter of the second-level cache of the CPUs that this was measured on: x, dx and the weights want room too.
constexpr int64_t kPieceBytes = 256 << 10;

}  // namespace

Pieces::Pieces(const ConvSpec& spec) : bounds_(std::min<int64_t>(spec.context.threads, spec.y.batch)) {
  std::set<int64_t> sizes;
  for (int thread = 0; thread < threads(); ++thread) {
    const auto [begin, end] = share(spec.y.batch, threads(), thread);
    const int64_t productBytes = spec.y.imageElements() * static_cast<int64_t>(sizeOf(productType(spec)));
    const int64_t images = end - begin, most = std::max<int64_t>(1, kPieceBytes / productBytes);
    const int count = static_cast<int>((images + most - 1) / most);
    for (int piece = 0; piece <= count; ++piece) bounds_[thread].push_back(begin + images * piece / count);
    forEach(thread, [&](int64_t first, int64_t last) { sizes.insert(last - first); });
  }
  sizes_.assign(sizes.begin(), sizes.end());
}

PassInPieces::PassInPieces(const ConvSpec& spec, bool backward, std::unique_ptr<ActivationInPieces> pass, PieceReader* reader)
    : source_(backward ? spec.y : spec.x), destination_(backward ? spec.x : spec.y), pieces_(spec), pass_(std::move(pass)),
      reader_(reader) {}

void PassInPieces::bind(const Buffer* source, const Buffer* destination) {
  from_ = source;
  to_ = destination;
  pass_->bind();
}

void PassInPieces::execute() {
  const int64_t fromBytes = source_.imageBytes(), toBytes = destination_.imageBytes(), elements = destination_.imageElements();
  pass_->prepare();
  parallelFor(pieces_.threads(), [&](int thread) {
    bool isFirst = true;
    pieces_.forEach(thread, [&](int64_t first, int64_t end) {
      pass_->run(thread, end - first, from_->data + first * fromBytes, to_->data + first * toBytes);
      if (reader_) reader_->readPiece(thread, first * elements, end * elements, isFirst);
      isFirst = false;
    });
  });
}

BackwardInPieces::BackwardInPieces(const ConvSpec& spec, GradientPieces& gradient, std::unique_ptr<ActivationInPieces> data,
                                   std::unique_ptr<WeightsInPieces> weights)
    : spec_(spec), pieces_(spec), gradient_(gradient), data_(std::move(data)), weights_(std::move(weights)) {}

void BackwardInPieces::plan(MemoryPlan& plan) {
  gradient_.planPieces(plan);
  for (int thread = 0; thread < pieces_.threads(); ++thread)
    dy_.push_back(plan.allocate(pieces_.sizes().back() * spec_.y.imageBytes()));
  if (data_) data_->plan(plan);
  weights_->plan(plan);
}

void BackwardInPieces::bind(const Buffer* x, const Buffer* dx) {
  x_ = x;
  dx_ = dx;
  if (data_) data_->bind();
}

void BackwardInPieces::execute() {
  const int64_t xBytes = spec_.x.imageBytes(), yElements = spec_.y.imageElements();
  if (data_) data_->prepare();
  parallelFor(pieces_.threads(), [&](int thread) {
    std::byte* const dy = dy_[thread]->data;
    bool isFirst = true;
    pieces_.forEach(thread, [&](int64_t first, int64_t end) {
      gradient_.makePiece(first * yElements, end * yElements, dy);
      if (data_) data_->run(thread, end - first, dy, dx_->data + first * xBytes);
      weights_->run(thread, end - first, x_->data + first * xBytes, dy, isFirst);
      isFirst = false;
    });
  });
  weights_->finish();
  if (spec_.bias) std::fill_n(spec_.bias->gradient, spec_.bias->elements, 0.0f);
}

}  // namespace residual
