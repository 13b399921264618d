// One thread that runs tasks in the order they come, so that everything of a session happens on it.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace residual {

class SessionThread {
 public:
  SessionThread() : thread_([this] { run(); }) {}
  ~SessionThread() { finish(); }

  /// Tasks must not throw. Ignored after `finish`.
  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      if (finishing_) return;
      tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
  }

  /// Runs what was posted, then ends the thread. Blocks until it has. Safe to call twice, from one thread.
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      finishing_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return finishing_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool finishing_ = false;                   // guarded by mutex_
  std::thread thread_;                       // last, since it uses the others
};

}  // namespace residual
