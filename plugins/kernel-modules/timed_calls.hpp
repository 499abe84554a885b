// SPDX-License-Identifier: Apache-2.0
//
// TimedCalls: kernel calls that may block without end, given a deadline. A write to unbind waits in
// the kernel until the last process has closed the device, and holds the device's lock meanwhile:
// no signal ends it. So each such call runs in a thread of its own, which the caller leaves when
// time is over. Any thread may call; the destructor waits for calls that are still in the kernel.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace drasriov::kernel_modules {

class TimedCalls {
 public:
  using Clock = std::chrono::steady_clock;

  TimedCalls() = default;
  TimedCalls(const TimedCalls&) = delete;
  TimedCalls& operator=(const TimedCalls&) = delete;
  ~TimedCalls();

  /// Runs work, one at a time for a key: an earlier one that is still in the kernel is waited for
  /// first. False when deadline passed: work then goes on, or was never begun. It must own all that
  /// it uses.
  [[nodiscard]] bool run(const std::string& key, Clock::time_point deadline,
                         std::function<void()> work);

 private:
  struct Running {
    std::thread thread;
    bool done = false;
  };

  /// Takes a call that is done out of the table, unless another caller did.
  void reap(const std::string& key, const std::shared_ptr<Running>& running);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Running>> running_;
};

}  // namespace drasriov::kernel_modules
