// SPDX-License-Identifier: Apache-2.0
//
// ClaimRunner::recover(): what an earlier process, or an earlier boot, left.
#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "host/claim/claim_specs.hpp"
#include "host/claim/runner_context.hpp"
#include "host/claim/undo.hpp"

namespace drasriov::claim {
namespace {

constexpr std::string_view kCallId = "recover";

/// Counts the undos that recover() waits for. Shared with them: those that are late outlive the
/// call.
class Pending {
 public:
  void add() DRASRIOV_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    ++count_;
  }
  void done() DRASRIOV_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (--count_ == 0) changed_.notify_all();
  }
  void wait(Deadline deadline) DRASRIOV_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (count_ > 0 && changed_.wait_until(mutex_, deadline.when())) {
    }
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::size_t count_ DRASRIOV_GUARDED_BY(mutex_) = 0;
};

/// The pod's token, waited for on this thread; recovery is the only place where that is right, as
/// nothing is served yet.
WorkQueue::Reservation wait_for_pod(WorkQueue& queue, const std::optional<std::string>& pod_uid) {
  if (!pod_uid) return {};
  std::promise<WorkQueue::Reservation> promise;
  auto granted = [&promise](Result<WorkQueue::Reservation> pod) {
    promise.set_value(pod ? std::move(*pod) : WorkQueue::Reservation());
  };
  auto pod = queue.reserve({pod_key(*pod_uid)}, "recovery", Deadline::infinite(), granted);
  return pod ? std::move(*pod) : promise.get_future().get();
}

/// A record of another boot. Nothing of it is on the machine: what was prepared keeps its record,
/// for the interface names and for the leases of its attachments, until kubelet prepares or
/// unprepares the claim; the rest goes.
void forget_boot(RunnerContext& context, const module::Call& call, const Record& record) {
  const auto pod = wait_for_pod(context.parts.queue, record.pod_uid);
  if (auto ok = remove_specs(context, call, record); !ok) {
    context.outbox.warning(record.claim, "CdiFailed", ok.error().to_string());
  }
  if (record.state == RecordState::kPrepared || has_attachments(record)) return;
  if (auto ok = context.parts.journal.erase(record.claim.uid); !ok) {
    context.outbox.warning(record.claim, "JournalFailed", ok.error().to_string());
  }
}

/// Ids of the documents that have an owner. nullopt when a record in quarantine cannot be read: any
/// document may be its.
std::optional<std::set<std::string, std::less<>>> owned_documents(const Journal& journal) {
  std::set<std::string, std::less<>> owned;
  const auto add = [&owned](const Record& record) {
    owned.insert(record.claim.uid);
    if (record.pod_uid) owned.insert(*record.pod_uid);
  };
  for (const RecordPtr& record : journal.all()) {
    if (record->state == RecordState::kPrepared && !journal.is_stale(*record)) add(*record);
  }
  for (const Quarantined& bad : journal.quarantined()) {
    if (bad.claimed == nullptr) return std::nullopt;
    if (!journal.is_stale(*bad.claimed)) add(*bad.claimed);
  }
  return owned;
}

Status remove_orphans(RunnerContext& context, const module::Call& call) {
  module::CdiWriter& cdi = *context.parts.modules.cdi;
  const std::string kind = cdi_kind(context.settings.plan.driver_name);
  const auto ids = cdi.list_specs(call, kind);
  if (!ids) return ids.error().with_context("CDI documents");
  const auto owned = owned_documents(context.parts.journal);
  if (!owned) return {};
  Status first;
  for (const std::string& id : *ids) {
    if (owned->contains(id)) continue;
    if (auto ok = cdi.remove_spec(call, kind, id); !ok && first)
      first = ok.error().with_context("CDI documents");
  }
  return first;
}

/// Drops a record of another boot whose claim is gone. REQUIRES: the claim's token.
void forget_if_gone(RunnerContext& context, const std::string& uid) {
  Journal& journal = context.parts.journal;
  const RecordPtr record = journal.find(uid);
  if (record == nullptr || !journal.is_stale(*record) || has_attachments(*record)) return;
  const auto object = context.parts.cluster.get(cluster::resource_claims(),
                                                {record->claim.namespace_, record->claim.name},
                                                Deadline::after(context.settings.call_budget));
  // decode_claim(): NOT_FOUND is another UID, a new claim of the same name.
  const auto claim = object
                         ? decode_claim(*object, record->claim, context.settings.plan.driver_name)
                         : Result<ClaimObject>(object.error());
  if (claim || claim.error().code() != Code::kNotFound) return;
  if (auto ok = journal.erase(uid); !ok) {
    context.outbox.warning(record->claim, "JournalFailed", ok.error().to_string());
  } else {
    context.outbox.forgotten(record->claim);
  }
}

/// Looks for such records until none is left.
void watch_stale_records(RunnerContext& context) {
  WorkQueue& queue = context.parts.queue;
  const auto records = context.parts.journal.all();
  const bool any = std::ranges::any_of(
      records, [&](const RecordPtr& record) { return context.parts.journal.is_stale(*record); });
  if (!any) return;
  // False = the driver is stopping; the next start watches again.
  (void)queue.post_at(WorkQueue::Clock::now() + context.settings.stale_check, [&context, &queue] {
    if (queue.stopping()) return;
    for (const RecordPtr& record : context.parts.journal.all()) {
      if (!context.parts.journal.is_stale(*record)) continue;
      const std::string& uid = record->claim.uid;
      // A claim that is busy is being prepared or unprepared: no longer stale, or gone, by itself.
      auto granted = [](const Result<WorkQueue::Reservation>&) {};
      const auto claim =
          queue.reserve({claim_key(uid)}, "look-up of claim " + record->claim.to_string(),
                        Deadline::after(WorkQueue::Clock::duration::zero()), granted);
      if (claim) forget_if_gone(context, uid);
    }
    context.outbox.deliver();
    watch_stale_records(context);
  });
}

}  // namespace

Status ClaimRunner::recover(Deadline deadline) {
  RunnerContext& context = *context_;
  Journal& journal = context.parts.journal;
  module::Call call;
  call.deadline = deadline;
  call.id = kCallId;

  for (const Quarantined& bad : journal.quarantined()) {
    if (!bad.fresh) continue;
    context.outbox.warning(bad.claimed ? bad.claimed->claim : ClaimRef{"", "", bad.uid},
                           "RecordQuarantined", bad.reason);
  }

  const auto pending = std::make_shared<Pending>();
  std::vector<RecordPtr> prepared;
  for (const RecordPtr& record : journal.all()) {
    if (journal.is_stale(*record)) {
      forget_boot(context, call, *record);
    } else if (record->state == RecordState::kPrepared) {
      prepared.push_back(record);
    } else {
      pending->add();
      undo_in_background(context, record->claim.uid, [pending] { pending->done(); });
    }
  }
  pending->wait(deadline);
  call.deadline = Deadline::after(context.settings.undo_budget);

  Status first;
  for (const RecordPtr& record : prepared) {
    const auto pod = wait_for_pod(context.parts.queue, record->pod_uid);
    if (auto ok = write_specs(context, call, *record); !ok && first) {
      first = ok.error().with_context("claim " + record->claim.to_string());
    }
    context.outbox.recovered(*record);  // the process may have died before it was written
  }
  if (context.parts.modules.cdi != nullptr) {
    if (auto ok = remove_orphans(context, call); !ok && first) first = std::move(ok);
  }
  context.outbox.deliver();
  watch_stale_records(context);
  return first;
}

}  // namespace drasriov::claim
