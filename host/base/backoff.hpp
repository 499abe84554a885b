// SPDX-License-Identifier: Apache-2.0
//
// Backoff: pauses between attempts: `first`, doubled up to `longest`, of each between a half and all, so that what failed
// together does not come again together. A value; one thread at a time.
#pragma once

#include <chrono>

namespace drasriov {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  /// REQUIRES: 0 ms <= first <= longest
  Backoff(Duration first, Duration longest) : first_(first), next_(first), longest_(longest) {}

  [[nodiscard]] Duration next();
  /// After an attempt that succeeded.
  void reset() noexcept { next_ = first_; }

 private:
  Duration first_;
  Duration next_;
  Duration longest_;
};

/// Between a half and all of `longest`. [any]
[[nodiscard]] Backoff::Duration jittered(Backoff::Duration longest);

}  // namespace drasriov
