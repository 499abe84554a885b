// SPDX-License-Identifier: Apache-2.0
//
// Backoff: growing pauses between attempts: `first` doubled up to `longest`, each times 0.75-1.25, so that what failed
// together does not come again together. A value; one thread at a time.
#pragma once

#include <chrono>

namespace drasriov::claim {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  Backoff(Duration first, Duration longest) : next_(first), longest_(longest) {}
  [[nodiscard]] Duration next();

 private:
  Duration next_;
  Duration longest_;
};

}  // namespace drasriov::claim
