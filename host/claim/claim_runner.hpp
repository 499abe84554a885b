// SPDX-License-Identifier: Apache-2.0
//
// ClaimRunner: prepares and unprepares the claims of this node: plan, durable intent, modules, CDI
// documents, durable answer; undo in reverse. Owned by app/; any thread. Nothing blocks the caller:
// work runs on the WorkQueue, serial for a claim and for a device, parallel otherwise.
//
// Start:  Journal::open → ClaimRunner → recover() → serve the DRA socket.
// Stop:   close the DRA socket → WorkQueue::stop() (what waits is answered UNAVAILABLE) → destroy.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "host/claim/attacher.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/hook_file.hpp"
#include "host/claim/journal.hpp"
#include "host/claim/plan.hpp"
#include "host/claim/work_queue.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/device/inventory.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

struct RunnerSettings {
  using Duration = std::chrono::milliseconds;

  PlanSettings plan;
  /// The driver's, which the hook of a claim with a network step is told.
  std::filesystem::path data_directory;
  /// For a caller without a deadline; kubelet gives 45 s (DRA specification, rule R12).
  Duration call_budget = std::chrono::seconds(40);
  /// Kept back from the caller's deadline for undoing and answering.
  Duration answer_margin = std::chrono::seconds(5);
  /// How long a claim with a network step waits for the container runtime.
  Duration runtime_wait = std::chrono::seconds(30);
  /// What an undo has at least, also when the call's time is over.
  Duration undo_budget = std::chrono::seconds(5);
  /// First and longest pause between attempts inside a call; doubled, with jitter.
  Duration retry_first = std::chrono::milliseconds(50);
  Duration retry_longest = std::chrono::seconds(2);
  /// The same for a claim that could not be undone.
  Duration undo_retry_first = std::chrono::seconds(1);
  Duration undo_retry_longest = std::chrono::seconds(60);
  /// How often a record of an earlier boot is looked up in the API, to be dropped when its claim is
  /// gone: kubelet may have lost its memory of it (DRA specification, rule R22).
  Duration stale_check = std::chrono::minutes(10);
};

/// Success when the container runtime is connected and has told its live sandboxes: from then on a
/// pod's network is attached in time. Else UNAVAILABLE with what is missing. [any], returns at
/// once.
using RuntimeGate = std::function<Status()>;

/// Reads a NetworkAttachmentDefinition. [any]
using NetworkReader = std::function<Result<cluster::Json>(const cluster::ObjectKey&, Deadline)>;

/// What the runner works with; all outlive it.
struct RunnerParts {
  WorkQueue& queue;
  Journal& journal;
  const module::Modules& modules;
  const Attacher& attacher;
  const HookFile& hook;
  cluster::ClusterApi& cluster;
  NetworkReader networks;
  /// The newest inventory, never null. [any]
  std::function<device::InventorySnapshot()> inventory;
  RuntimeGate runtime;
  ClaimEvents& events;
  /// A claim was unprepared whose record was in quarantine, but could be read: nobody detached what it says. [any]
  std::function<void(const Record&)> quarantine_released = [](const Record&) {};
};

struct RunnerContext;

class ClaimRunner final : public ClaimService {
 public:
  ClaimRunner(RunnerSettings settings, RunnerParts parts);
  /// REQUIRES: the queue has stopped.
  ~ClaimRunner() override;
  ClaimRunner(const ClaimRunner&) = delete;
  ClaimRunner& operator=(const ClaimRunner&) = delete;

  /// Finishes or undoes what an earlier process left: records that are not final are undone, lost
  /// CDI documents rewritten, those of nobody removed, what another boot left is forgotten. What is
  /// not undone by `deadline` goes on behind, its devices blocked. Called once, after the first
  /// inventory, before any prepare. Errors: the CDI documents cannot be listed or written; the
  /// runner works all the same, and each claim will say so.
  [[nodiscard]] Status recover(Deadline deadline);

  /// Tells what became of a claim's devices, from pod/: its status, or a warning for people. Not on the path of an answer.
  void tell_status(const Record& record);
  void tell_warning(const ClaimRef& claim, std::string reason, std::string message);

  /// Who may use the claim now, as the API says. Blocks. [worker] Errors: those of the API and of decode_claim();
  /// NOT_FOUND also for another claim of the same name.
  [[nodiscard]] Result<std::vector<module::Consumer>> consumers_of(const ClaimRef& claim) const;

  void prepare(ClaimRef claim, Deadline deadline, Prepared done) override;
  void unprepare(ClaimRef claim, Deadline deadline, Unprepared done) override;

 private:
  std::unique_ptr<RunnerContext> context_;
};

}  // namespace drasriov::claim
