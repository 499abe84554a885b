// SPDX-License-Identifier: Apache-2.0
//
// Audit: what is done when driver and runtime have compared notes. The netconf module releases what it keeps of attachments
// that nobody knows (CNI's GC), and is asked whether the known ones are as they were made (CNI's CHECK): what is not in
// order is told, nothing is repaired. Nobody waits for it: GC begins only while nothing is attached or detached and has a
// short deadline, and CHECKs run one after the other. Owned by SandboxGate, shared with its work; any thread.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "host/base/thread_annotations.hpp"
#include "host/claim/record.hpp"
#include "host/claim/work_queue.hpp"
#include "host/pod/pod_context.hpp"

namespace drasriov::pod {

class Audit : public std::enable_shared_from_this<Audit> {
 public:
  using Context = std::shared_ptr<const PodContext>;

  /// One soon; not earlier than settings.audit_pause after the last one, whoever asked for it.
  void soon(const Context& context) DRASRIOV_EXCLUDES(mutex_);
  /// Its networks are collected next time though no record names them any more.
  void remember(const claim::Record& gone) DRASRIOV_EXCLUDES(mutex_);

 private:
  void run(const Context& context) DRASRIOV_EXCLUDES(mutex_);
  /// False: something is being attached or detached.
  [[nodiscard]] bool collect(const PodContext& context) DRASRIOV_EXCLUDES(mutex_);

  Mutex mutex_;
  bool waiting_ DRASRIOV_GUARDED_BY(mutex_) = false;
  claim::WorkQueue::Clock::time_point not_before_ DRASRIOV_GUARDED_BY(mutex_);
  std::set<std::string> networks_ DRASRIOV_GUARDED_BY(mutex_);  ///< remembered configurations
};

}  // namespace drasriov::pod
