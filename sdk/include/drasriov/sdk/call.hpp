// SPDX-License-Identifier: Apache-2.0
//
// Call: what accompanies a call of the host: by when it must have returned, whether anybody still
// waits, which log lines are its own. Borrowed: lives until the called function returns; any
// thread.
#pragma once

#include <drasriov/abi/host.h>
#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/view.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace drasriov::sdk {
inline namespace abi_v1 {

class Call {
 public:
  using Clock = std::chrono::steady_clock;

  Call(const drasriov_host_table* table, const drasriov_call* call) noexcept
      : table_(table),
        call_(call) {}

  /// Clock::time_point::max() = no deadline.
  [[nodiscard]] Clock::time_point deadline() const noexcept {
    const std::int64_t nanoseconds = call_ == nullptr || !DRASRIOV_HAS(table_, call_deadline_ns)
                                         ? INT64_MAX
                                         : table_->call_deadline_ns(call_);
    return nanoseconds == INT64_MAX ? Clock::time_point::max()
                                    : Clock::time_point(std::chrono::nanoseconds(nanoseconds));
  }

  /// Time left, never negative; duration::max() without a deadline.
  [[nodiscard]] Clock::duration remaining() const noexcept {
    const Clock::time_point end = deadline();
    if (end == Clock::time_point::max()) {
      return Clock::duration::max();
    }
    const Clock::time_point now = Clock::now();
    return now >= end ? Clock::duration::zero() : end - now;
  }

  /// Nobody waits for the result any more: stop, undo nothing, return check().
  [[nodiscard]] bool cancelled() const noexcept {
    return call_ != nullptr && DRASRIOV_HAS(table_, call_is_cancelled) &&
           table_->call_is_cancelled(call_) != 0;
  }

  /// kCancelled or kDeadlineExceeded when it is time to stop; the cheap test inside a long loop.
  [[nodiscard]] Status check() const {
    if (cancelled()) {
      return Error(Code::kCancelled, "the call was cancelled");
    }
    if (remaining() == Clock::duration::zero()) {
      return Error(Code::kDeadlineExceeded, "the call's deadline has passed");
    }
    return {};
  }

  /// Correlation id.
  [[nodiscard]] std::string_view id() const noexcept {
    return call_ == nullptr || !DRASRIOV_HAS(table_, call_id) ? std::string_view()
                                                              : from_abi(table_->call_id(call_));
  }

  [[nodiscard]] const drasriov_call* handle() const noexcept { return call_; }

 private:
  const drasriov_host_table* table_;
  const drasriov_call* call_;
};

}  // namespace abi_v1
}  // namespace drasriov::sdk
