#include "memory_plan.h"

#include <algorithm>
#include <vector>

namespace residual {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and the width of an AVX-512 register

bool liveTogether(const Buffer& a, const Buffer& b) { return a.firstStep <= b.lastStep && b.firstStep <= a.lastStep; }

/// Lowest gap that `buffer` fits in; `neighbours` are the placed buffers that live at the same time, by offset.
size_t lowestGap(const Buffer& buffer, const std::vector<const Buffer*>& neighbours) {
  size_t offset = 0;
  for (const Buffer* other : neighbours) {
    if (other->offset >= offset + buffer.bytes) break;
    offset = std::max(offset, other->offset + other->bytes);
  }
  return offset;
}

}  // namespace

Buffer* MemoryPlan::allocate(size_t bytes) {
  Buffer buffer;
  buffer.bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  buffer.firstStep = buffer.lastStep = step_;
  buffers_.push_back(buffer);
  return &buffers_.back();
}

size_t MemoryPlan::place() {
  // Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020): the largest
  // first, each at the lowest offset that is free for all its life.
  std::vector<Buffer*> order;
  for (Buffer& buffer : buffers_) order.push_back(&buffer);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
  std::vector<const Buffer*> placed;  // by offset
  std::vector<const Buffer*> neighbours;
  size_t total = 0;
  for (Buffer* buffer : order) {
    neighbours.clear();
    for (const Buffer* other : placed)
      if (liveTogether(*buffer, *other)) neighbours.push_back(other);
    buffer->offset = lowestGap(*buffer, neighbours);
    total = std::max(total, buffer->offset + buffer->bytes);
    auto byOffset = [](const Buffer* a, const Buffer* b) { return a->offset < b->offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer, byOffset), buffer);
  }
  return total;
}

void MemoryPlan::bind(std::byte* arena) {
  for (Buffer& buffer : buffers_) buffer.data = arena + buffer.offset;
}

}  // namespace residual
