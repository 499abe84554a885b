// SPDX-License-Identifier: Apache-2.0
//
// ThreadTags: asserts the thread rules of sdk/include/drasriov/abi/base.h around calls into one
// module instance, so that a mistake of the host shows in tests and not as a rare crash of a
// vendor's module. Any thread; does nothing in builds with NDEBUG.
#pragma once

#include <atomic>
#include <set>
#include <string>
#include <string_view>

#include "host/base/thread_annotations.hpp"

namespace drasriov::module {

class ThreadTags {
 public:
  /// `instance` is for the message and must outlive this.
  explicit ThreadTags(const std::string& instance) : instance_(instance) {}

  /// For the time of one [control] function: aborts when another one of the instance is running.
  class Control {
   public:
    Control(ThreadTags& tags, const char* function);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

   private:
    ThreadTags& tags_;
  };

  /// For the time of one [worker] function: aborts when another one of the instance runs for the
  /// same claim, device or sandbox; an empty name is none.
  class Worker {
   public:
    struct Subject {
      std::string_view claim = {};
      std::string_view device = {};
      std::string_view sandbox = {};
    };

    Worker(ThreadTags& tags, const char* function, const Subject& subject);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

   private:
    void enter(const char* function, std::string_view kind, std::string_view name);

    ThreadTags& tags_;
    std::set<std::string> keys_;
  };

 private:
  [[noreturn]] void violated(const char* tag, const char* function, std::string_view other) const;

  const std::string& instance_;
  std::atomic<const char*> control_{nullptr};
  Mutex mutex_;
  std::set<std::string> running_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::module
