#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace residual {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

std::string gigabytes(double bytes) {
  char text[64];
  std::snprintf(text, sizeof text, "%.0f bytes (%.2f GB)", bytes, bytes / 1e9);
  return text;
}

/// The number behind `key` in a file of "key value" lines; the whole file's where `key` is empty; unlimited without it.
double readNumber(const std::string& path, const std::string& key = "") {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!key.empty() && word != key) continue;
    if (!key.empty()) file >> word;
    return word.empty() || word.find_first_not_of("0123456789") != std::string::npos ? kUnlimited : std::stod(word);
  }
  return kUnlimited;
}

/// What one control group leaves; its cache of files that nobody uses counts as free.
double leftInGroup(const std::string& folder, const char* limitFile, const char* usageFile, const char* inactiveKey) {
  const double limit = readNumber(folder + limitFile), usage = readNumber(folder + usageFile);
  if (limit == kUnlimited || usage == kUnlimited) return kUnlimited;
  const double inactive = readNumber(folder + "/memory.stat", inactiveKey);
  return std::max(0.0, limit - usage + (inactive == kUnlimited ? 0 : inactive));
}

double leftInGroups() {
  double least = kUnlimited;
  std::ifstream groups("/proc/self/cgroup");  // "0::/path" (version 2), "5:memory:/path" (version 1)
  for (std::string line; std::getline(groups, line);) {
    const bool version2 = line.rfind("0::", 0) == 0;
    const size_t path = line.rfind(':');
    if (path == std::string::npos || (!version2 && line.find(":memory:") == std::string::npos)) continue;
    const std::string root = version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    // Every ancestor may have a limit; inside a container the root is the container's own group.
    for (std::string group = line.substr(path + 1);; group.resize(group.rfind('/'))) {
      if (group == "/") group.clear();
      least = std::min(least, version2 ? leftInGroup(root + group, "/memory.max", "/memory.current", "inactive_file")
                                       : leftInGroup(root + group, "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                                     "total_inactive_file"));
      if (group.rfind('/') == std::string::npos) break;
    }
  }
  return least;
}

}  // namespace

MemoryError::MemoryError(double needed, double available)
    : std::runtime_error("training needs " + gigabytes(needed) + " of memory, " + gigabytes(available) +
                         " are available: take a smaller batch") {}

double availableMemoryBytes() {
  const double kilobytes = readNumber("/proc/meminfo", "MemAvailable:");
  return std::min(kilobytes * 1024, leftInGroups());
}

void requireMemory(double needed) {
  const double available = availableMemoryBytes();
  if (needed > available) throw MemoryError(needed, available);
}

void Arena::resize(size_t bytes) {
  release();
  if (bytes == 0) return;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw MemoryError(static_cast<double>(bytes), availableMemoryBytes());
  data_ = static_cast<std::byte*>(memory);
  bytes_ = bytes;
  // Fewer, larger pages where the system grants them; and every page now, so that the next session's look at what is
  // available counts them, and no step pays for them.
  madvise(memory, bytes, MADV_HUGEPAGE);
  const long page = sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < bytes; i += page) data_[i] = std::byte{0};
}

void Arena::release() {
  if (data_) munmap(data_, bytes_);
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace residual
