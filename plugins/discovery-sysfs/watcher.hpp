// SPDX-License-Identifier: Apache-2.0
//
// Watcher: one thread that listens to an EventSource and gives one notice for each burst of events.
// It reports what an operator should hear through its notices, on its own thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

#include "debouncer.hpp"
#include "descriptor.hpp"
#include "event_source.hpp"

namespace drasriov::discovery_sysfs {

class Watcher {
 public:
  /// All are called on the watcher's thread.
  struct Notices {
    std::function<void()> changed;                        ///< a scan may give something new
    std::function<void()> overflow;                       ///< events were lost; changed follows
    std::function<void(int error_number)> source_failed;  ///< no further events; changed follows
  };

  Watcher(std::unique_ptr<EventSource> source, Debouncer debouncer);
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { stop(); }

  /// What has come since the source was opened is not lost. REQUIRES: not running.
  [[nodiscard]] sdk::Status start(Notices notices);
  /// Counts as an event, also one that comes before start(). Any thread.
  void poke() noexcept;
  /// Returns when the thread has ended. Idempotent.
  void stop() noexcept;

 private:
  void run();
  void take_events();

  std::unique_ptr<EventSource> source_;
  Debouncer debouncer_;
  Notices notices_;
  const Descriptor wake_;
  bool source_alive_ = true;  // the thread's
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace drasriov::discovery_sysfs
