// SPDX-License-Identifier: Apache-2.0
#include "timed_calls.hpp"

#include <pthread.h>

#include <utility>

namespace drasriov::kernel_modules {

TimedCalls::~TimedCalls() {
  for (const auto& [key, running] : running_) {
    running->thread.join();
  }
}

void TimedCalls::reap(const std::string& key, const std::shared_ptr<Running>& running) {
  const auto found = running_.find(key);
  if (found != running_.end() && found->second == running) {
    running->thread.join();  // done: it needs the lock no more
    running_.erase(found);
  }
}

bool TimedCalls::run(const std::string& key, Clock::time_point deadline,
                     std::function<void()> work) {
  std::unique_lock lock(mutex_);
  for (auto found = running_.find(key); found != running_.end(); found = running_.find(key)) {
    const std::shared_ptr<Running> earlier = found->second;
    if (!changed_.wait_until(lock, deadline, [&] { return earlier->done; })) {
      return false;
    }
    reap(key, earlier);
  }
  const auto running = std::make_shared<Running>();
  running_.emplace(key, running);
  running->thread = std::thread([this, running, work = std::move(work)] {
    (void)::pthread_setname_np(::pthread_self(), "drasriov-kernel");
    work();
    const std::lock_guard guard(mutex_);
    running->done = true;
    changed_.notify_all();
  });
  if (!changed_.wait_until(lock, deadline, [&] { return running->done; })) {
    return false;
  }
  reap(key, running);
  return true;
}

}  // namespace drasriov::kernel_modules
