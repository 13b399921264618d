#include "conv_pieces.h"

#include <algorithm>
#include <set>

#include "parallel.h"

namespace residual {
namespace {

/// A quarter of the second-level cache of the CPUs that this was measured on: x, dx and the weights want room too.
constexpr int64_t kPieceBytes = 256 << 10;

int64_t imageBytes(const Value& value) { return static_cast<int64_t>(value.bytes()) / value.batch; }

}  // namespace

Pieces::Pieces(const ConvSpec& spec) : bounds_(std::min<int64_t>(spec.context.threads, spec.y.batch)) {
  std::set<int64_t> sizes;
  for (int thread = 0; thread < threads(); ++thread) {
    const auto [begin, end] = share(spec.y.batch, threads(), thread);
    const int64_t images = end - begin, most = std::max<int64_t>(1, kPieceBytes / imageBytes(spec.y));
    const int count = static_cast<int>((images + most - 1) / most);
    for (int piece = 0; piece <= count; ++piece) bounds_[thread].push_back(begin + images * piece / count);
    forEach(thread, [&](int64_t first, int64_t last) { sizes.insert(last - first); });
  }
  sizes_.assign(sizes.begin(), sizes.end());
}

ForwardInPieces::ForwardInPieces(const ConvSpec& spec, PieceReader& reader, std::unique_ptr<ActivationInPieces> pass)
    : spec_(spec), pieces_(spec), reader_(reader), pass_(std::move(pass)) {}

void ForwardInPieces::bind(const Buffer* x, const Buffer* y) {
  x_ = x;
  y_ = y;
  pass_->bind();
}

void ForwardInPieces::execute() {
  const int64_t xBytes = imageBytes(spec_.x), yBytes = imageBytes(spec_.y), yElements = spec_.y.elements() / spec_.y.batch;
  pass_->prepare();
  parallelFor(pieces_.threads(), [&](int thread) {
    bool isFirst = true;
    pieces_.forEach(thread, [&](int64_t first, int64_t end) {
      pass_->run(thread, end - first, x_->data + first * xBytes, y_->data + first * yBytes);
      reader_.readPiece(thread, first * yElements, end * yElements, isFirst);
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
    dy_.push_back(plan.allocate(pieces_.sizes().back() * imageBytes(spec_.y)));
  if (data_) data_->plan(plan);
  weights_->plan(plan);
}

void BackwardInPieces::bind(const Buffer* x, const Buffer* dx) {
  x_ = x;
  dx_ = dx;
  if (data_) data_->bind();
}

void BackwardInPieces::execute() {
  const int64_t xBytes = imageBytes(spec_.x), yElements = spec_.y.elements() / spec_.y.batch;
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
