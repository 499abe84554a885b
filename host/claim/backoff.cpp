// SPDX-License-Identifier: Apache-2.0
#include "host/claim/backoff.hpp"

#include <algorithm>
#include <random>

namespace drasriov::claim {

Backoff::Duration Backoff::next() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const auto pause = next_;
  next_ = std::min(next_ * 2, longest_);
  const double factor = std::uniform_real_distribution<double>(0.75, 1.25)(random);
  return std::chrono::duration_cast<Duration>(pause * factor);
}

}  // namespace drasriov::claim
