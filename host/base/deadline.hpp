// SPDX-License-Identifier: Apache-2.0
//
// Deadline: a point of the monotonic clock by which a call must have returned. Every call that can block takes one.
// A value; any thread.
#pragma once

#include <chrono>

namespace drasriov {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  /// Never expires.
  static constexpr Deadline infinite() noexcept { return Deadline(Clock::time_point::max()); }
  static Deadline after(Clock::duration budget) noexcept { return Deadline(Clock::now() + budget); }
  static constexpr Deadline at(Clock::time_point when) noexcept { return Deadline(when); }

  [[nodiscard]] constexpr Clock::time_point when() const noexcept { return when_; }
  [[nodiscard]] constexpr bool is_infinite() const noexcept {
    return when_ == Clock::time_point::max();
  }
  [[nodiscard]] bool expired() const noexcept { return !is_infinite() && Clock::now() >= when_; }

  /// Time left, never negative; duration::max() when infinite.
  [[nodiscard]] Clock::duration remaining() const noexcept {
    if (is_infinite()) return Clock::duration::max();
    const auto now = Clock::now();
    return now >= when_ ? Clock::duration::zero() : when_ - now;
  }

  /// The same deadline moved earlier, to leave time for an answer.
  [[nodiscard]] Deadline earlier_by(Clock::duration margin) const noexcept {
    return is_infinite() ? *this : Deadline(when_ - margin);
  }

  [[nodiscard]] static constexpr Deadline earliest(Deadline a, Deadline b) noexcept {
    return a.when_ < b.when_ ? a : b;
  }

 private:
  explicit constexpr Deadline(Clock::time_point when) noexcept : when_(when) {}
  Clock::time_point when_;
};

}  // namespace drasriov
