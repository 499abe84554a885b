// SPDX-License-Identifier: Apache-2.0
//
// Debouncer: turns a burst of events into one notice, `quiet` after its last event, but never later
// than `cap` after its first. Pure: time is handed in. Used by one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace drasriov::discovery_sysfs {

class Debouncer {
 public:
  using Clock = std::chrono::steady_clock;

  /// REQUIRES: 0 <= quiet <= cap.
  Debouncer(Clock::duration quiet, Clock::duration cap) : quiet_(quiet), cap_(cap) {}

  void event(Clock::time_point now) {
    if (!pending_) {
      pending_ = true;
      first_ = now;
    }
    last_ = now;
  }

  /// When the pending notice is to be given; nothing while there is none.
  [[nodiscard]] std::optional<Clock::time_point> due() const {
    if (!pending_) {
      return std::nullopt;
    }
    return std::min(last_ + quiet_, first_ + cap_);
  }

  /// True once, when the pending notice is due: the next event begins a new burst.
  [[nodiscard]] bool take(Clock::time_point now) {
    if (!pending_ || now < *due()) {
      return false;
    }
    pending_ = false;
    return true;
  }

 private:
  Clock::duration quiet_;
  Clock::duration cap_;
  bool pending_ = false;
  Clock::time_point first_;
  Clock::time_point last_;
};

}  // namespace drasriov::discovery_sysfs
