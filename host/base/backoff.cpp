// SPDX-License-Identifier: Apache-2.0
#include "host/base/backoff.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

namespace drasriov {

Backoff::Duration Backoff::next() {
  const auto pause = next_;
  next_ = std::min(next_ * 2, longest_);
  return jittered(pause);
}

Backoff::Duration jittered(Backoff::Duration longest) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<std::int64_t> pick(longest.count() / 2, longest.count());
  return Backoff::Duration(pick(random));
}

}  // namespace drasriov
