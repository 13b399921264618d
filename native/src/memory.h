// Memory in the large: what the machine has left, and the session's arena.
#pragma once
#include <cstddef>
#include <stdexcept>

namespace residual {

/// A batch needs more memory than there is; the message names both figures.
class MemoryError : public std::runtime_error {
 public:
  MemoryError(double needed, double available);
};

/// Bytes that this process can still take: the least of MemAvailable and what its control groups leave it.
double availableMemoryBytes();

/// @throws MemoryError where `needed` bytes exceed what is available.
void requireMemory(double needed);

/// One large piece straight from the operating system, so that closing gives it back at once.
class Arena {
 public:
  Arena() = default;
  ~Arena() { release(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /// Contents are lost. @throws MemoryError where the operating system refuses.
  void resize(size_t bytes);

 private:
  void release();
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace residual
