// SPDX-License-Identifier: Apache-2.0
#include "host/claim/netconf_turns.hpp"

namespace drasriov::claim {

NetconfTurns::Turn NetconfTurns::shared(Deadline deadline) {
  const MutexLock lock(mutex_);
  while (running_ < 0) {
    if (!changed_.wait_until(mutex_, deadline.when()) && running_ < 0) return Turn(nullptr);
  }
  ++running_;
  return Turn(this);
}

NetconfTurns::Turn NetconfTurns::alone() {
  const MutexLock lock(mutex_);
  if (running_ != 0) return Turn(nullptr);
  running_ = -1;
  return Turn(this);
}

void NetconfTurns::end() {
  const MutexLock lock(mutex_);
  if (running_ < 0) {
    running_ = 0;
    changed_.notify_all();
  } else {
    --running_;
  }
}

}  // namespace drasriov::claim
