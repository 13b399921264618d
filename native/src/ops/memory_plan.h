// One arena for everything that lives no longer than a pass over the network: activations, their gradients, weights in a
// primitive's layout, scratch memory. Ops are planned in execution order; each piece lives from the step that allocates
// it to the last step that uses it, and pieces that never live at the same time share memory.
#pragma once
#include <cstddef>
#include <deque>

namespace residual {

struct Buffer {
  size_t bytes = 0;
  /// Steps of the plan, both inclusive.
  int firstStep = 0, lastStep = 0;
  /// For a gradient: how many values it still belongs to. It may be overwritten in place only when none is left.
  int holders = 0;
  size_t offset = 0;
  std::byte* data = nullptr;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

class MemoryPlan {
 public:
  /// A piece that is written in the current step.
  Buffer* allocate(size_t bytes);
  /// The current step reads or writes `buffer`.
  void use(Buffer* buffer) { buffer->lastStep = step_; }
  void nextStep() { ++step_; }
  /// Gives every piece its place; the result is the arena's size in bytes.
  size_t place();
  /// `arena`: 64-byte aligned, at least `place()` bytes; stays the caller's.
  void bind(std::byte* arena);

 private:
  std::deque<Buffer> buffers_;  // a deque, since ops keep pointers into it
  int step_ = 0;
};

}  // namespace residual
