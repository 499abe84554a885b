// SPDX-License-Identifier: Apache-2.0
//
// NetconfTurns: adds and dels of the netconf module run beside each other, a garbage collection runs alone: the CNI
// specification asks for it. Owned by Attacher; [worker].
#pragma once

#include "host/base/deadline.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::claim {

class NetconfTurns {
 public:
  /// A turn that was granted; ends with its life.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : turns_(other.turns_) { other.turns_ = nullptr; }
    Turn& operator=(Turn&&) = delete;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->end();
    }
    explicit operator bool() const noexcept { return turns_ != nullptr; }

   private:
    friend class NetconfTurns;
    explicit Turn(NetconfTurns* turns) : turns_(turns) {}
    NetconfTurns* turns_;
  };

  /// For an add or a del: waits while a collection runs. None when that takes beyond the deadline.
  [[nodiscard]] Turn shared(Deadline deadline) DRASRIOV_EXCLUDES(mutex_);
  /// For a collection. None while anything runs: it does not wait, and nobody waits for one that has not begun.
  [[nodiscard]] Turn alone() DRASRIOV_EXCLUDES(mutex_);

 private:
  void end() DRASRIOV_EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  int running_ DRASRIOV_GUARDED_BY(mutex_) = 0;  ///< adds and dels; -1 = a collection
};

}  // namespace drasriov::claim
