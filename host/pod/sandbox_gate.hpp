// SPDX-License-Identifier: Apache-2.0
//
// SandboxGate: hears the container runtime through runtime-hooks modules, and lets no pod run without its network: a
// sandbox or container of a pod whose claim has a network step waits until the devices are in the sandbox, or is refused
// within the runtime's own time limit. What it missed while it was away it makes up for when the runtime tells its
// sandboxes. Pods without such a claim pass at the cost of one lookup. Owned by app/; [any] thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/claim/journal.hpp"
#include "host/module/interfaces.hpp"
#include "host/pod/live_sandboxes.hpp"
#include "host/pod/pod_context.hpp"

namespace drasriov::pod {

class AttachHandle;
class Audit;

class SandboxGate final : public module::RuntimeEvents {
 public:
  /// `journal` outlives the last event: it says which pods have a claim with a network. All others pass at any time.
  /// `to_import`: whether a pod may have a claim that comes into the journal only before serve().
  explicit SandboxGate(const claim::Journal& journal,
                       std::function<bool(std::string_view pod_uid)> to_import = {});
  ~SandboxGate() override;

  /// Claims are attached and detached from now on; before it, and when the queue has stopped, pods that need it are
  /// refused. Makes up for what was missed: devices of sandboxes that are gone are taken back, those of live ones attached.
  void serve(PodSettings settings, PodParts parts) DRASRIOV_EXCLUDES(mutex_);

  /// A claim was unprepared whose record was in quarantine: nobody has detached what it says. [any]
  void released(const claim::Record& quarantined) DRASRIOV_EXCLUDES(mutex_);

  /// Success while a runtime is connected and has told its live sandboxes.
  [[nodiscard]] Status runtime_ready() const;

  [[nodiscard]] std::uint64_t submit(module::RuntimeEvent event, Reply reply) override
      DRASRIOV_EXCLUDES(mutex_);
  void cancel(std::uint64_t event_id) override DRASRIOV_EXCLUDES(mutex_);

 private:
  using Context = std::shared_ptr<const PodContext>;

  [[nodiscard]] Context context() const DRASRIOV_EXCLUDES(mutex_);
  void start(std::uint64_t id, const module::RuntimeEvent& event, Reply reply)
      DRASRIOV_EXCLUDES(mutex_);
  void stop(const module::Sandbox& sandbox, Reply reply) DRASRIOV_EXCLUDES(mutex_);
  /// Compares the records with the live sandboxes, on the queue.
  void reconcile() DRASRIOV_EXCLUDES(mutex_);

  const claim::Journal& journal_;
  const std::function<bool(std::string_view)> to_import_;
  LiveSandboxes live_;
  const std::shared_ptr<Audit> audit_;
  mutable Mutex mutex_;
  Context context_ DRASRIOV_GUARDED_BY(mutex_);
  std::uint64_t last_event_ DRASRIOV_GUARDED_BY(mutex_) = 0;
  /// Those that are gone are forgotten with the next event.
  std::map<std::uint64_t, std::weak_ptr<AttachHandle>> attaching_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::pod
