// SPDX-License-Identifier: Apache-2.0
//
// Clang thread-safety attributes and the annotated Mutex, MutexLock and CondVar that every shared structure of the
// host uses (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html). Empty under other compilers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define DRASRIOV_TSA(x) __attribute__((x))
#else
#define DRASRIOV_TSA(x)
#endif

#define DRASRIOV_GUARDED_BY(mutex) DRASRIOV_TSA(guarded_by(mutex))
#define DRASRIOV_REQUIRES(...) DRASRIOV_TSA(requires_capability(__VA_ARGS__))
#define DRASRIOV_EXCLUDES(...) DRASRIOV_TSA(locks_excluded(__VA_ARGS__))

namespace drasriov {

class CondVar;

class DRASRIOV_TSA(capability("mutex")) Mutex {
 public:
  void lock() DRASRIOV_TSA(acquire_capability()) { mutex_.lock(); }
  void unlock() DRASRIOV_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class DRASRIOV_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) DRASRIOV_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() DRASRIOV_TSA(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// Waits with the Mutex held by the caller (through a MutexLock); write the loop around it yourself, so that the
/// analysis sees the condition read under the lock.
class CondVar {
 public:
  void wait(Mutex& mutex) DRASRIOV_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    (void)lock.release();
  }

  /// False when `until` has passed.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point until)
      DRASRIOV_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    bool in_time = true;
    if (until == std::chrono::steady_clock::time_point::max()) {
      condition_.wait(lock);
    } else {
      in_time = condition_.wait_until(lock, until) == std::cv_status::no_timeout;
    }
    (void)lock.release();
    return in_time;
  }

  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace drasriov
