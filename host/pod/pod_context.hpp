// SPDX-License-Identifier: Apache-2.0
//
// What the work of pod/ shares. Internal to pod/, but PodParts, which app/ fills in.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/claim/attacher.hpp"
#include "host/claim/journal.hpp"
#include "host/claim/work_queue.hpp"
#include "host/pod/live_sandboxes.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::pod {

struct PodSettings {
  using Duration = std::chrono::milliseconds;
  /// What an attach has when nobody waits for its answer, and a detach always.
  Duration background_budget = std::chrono::seconds(30);
  /// The runtime's budget when it did not say: NRI's request timeout.
  Duration unknown_budget = std::chrono::seconds(2);
  /// First and longest pause between attempts that nobody waits for; doubled, with jitter.
  Duration retry_first = std::chrono::milliseconds(500);
  Duration retry_longest = std::chrono::seconds(60);
  /// From the end of a sandbox until the claim is looked up in the API: kubelet unprepares most claims by then.
  Duration join_delay = std::chrono::seconds(2);
  /// Between two audits (audit.hpp) at least.
  Duration audit_pause = std::chrono::seconds(60);
};

/// What pod/ works with; all outlive the last event and the stop of the queue.
struct PodParts {
  claim::WorkQueue& queue;
  claim::Journal& journal;
  const claim::Attacher& attacher;
  telemetry::Log& log;
  /// A claim was attached or detached. [any]
  std::function<void(const claim::Record&)> changed;
  /// For people, on the claim. [any]
  std::function<void(const claim::ClaimRef&, std::string reason, std::string message)> warn;
  /// Who may use the claim now, as the API says; NOT_FOUND when it is gone. Blocks. [worker]
  std::function<Result<std::vector<module::Consumer>>(const claim::ClaimRef&)> consumers;
};

/// Claims of which something is going on, each once. Any thread.
class ClaimSet {
 public:
  /// Null when the claim is in it already; else it is until the last copy of the answer goes.
  [[nodiscard]] static std::shared_ptr<void> enter(const std::shared_ptr<ClaimSet>& set,
                                                   const std::string& uid) {
    const MutexLock lock(set->mutex_);
    if (!set->uids_.insert(uid).second) return nullptr;
    return {set.get(), [set, uid](void*) {
              const MutexLock leaving(set->mutex_);
              set->uids_.erase(uid);
            }};
  }

 private:
  Mutex mutex_;
  std::set<std::string> uids_ DRASRIOV_GUARDED_BY(mutex_);
};

struct PodContext {
  const PodSettings settings;
  const PodParts parts;
  LiveSandboxes& live;
  const std::shared_ptr<ClaimSet> joining = std::make_shared<ClaimSet>();
};

/// `pod ns/name`: how messages name a pod.
[[nodiscard]] inline std::string describe(const module::Pod& pod) {
  return "pod " + pod.namespace_ + "/" + pod.name;
}

}  // namespace drasriov::pod
