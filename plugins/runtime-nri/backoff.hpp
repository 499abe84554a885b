// SPDX-License-Identifier: Apache-2.0
//
// Backoff: how long to wait before the next try to connect. Pure. A value; one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace drasriov::runtime_nri {

/// The first wait, doubled with each failure up to the last; of that between a half and all, so that
/// the plugins of a node do not come back to a restarted runtime at one moment.
class Backoff {
 public:
  explicit Backoff(std::uint32_t seed,
                   std::chrono::milliseconds first = std::chrono::milliseconds(200),
                   std::chrono::milliseconds last = std::chrono::seconds(5))
      : random_(seed),
        first_(first),
        last_(last) {}

  [[nodiscard]] std::chrono::milliseconds next() {
    const auto longest = next_;
    next_ = std::min(2 * next_, last_);
    return std::chrono::milliseconds(
        std::uniform_int_distribution<std::int64_t>(longest.count() / 2, longest.count())(random_));
  }
  /// After a connection that served.
  void reset() noexcept { next_ = first_; }

 private:
  std::minstd_rand random_;
  std::chrono::milliseconds first_;
  std::chrono::milliseconds last_;
  std::chrono::milliseconds next_ = first_;
};

}  // namespace drasriov::runtime_nri
