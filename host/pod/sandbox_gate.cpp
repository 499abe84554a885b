// SPDX-License-Identifier: Apache-2.0
#include "host/pod/sandbox_gate.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "host/base/fault_point.hpp"
#include "host/pod/attach_work.hpp"
#include "host/pod/audit.hpp"
#include "host/pod/detach_work.hpp"
#include "host/pod/join_work.hpp"

namespace drasriov::pod {
namespace {

using Kind = module::RuntimeEvent::Kind;

/// By when to answer: what the runtime waits, less 15 % or 200 ms for the way back. An answer that comes later than the
/// runtime's limit counts for it as success.
Deadline answer_by(const PodContext& context, std::chrono::nanoseconds budget) {
  using std::chrono::nanoseconds;
  if (fault_leaves_out("attach.answer_by")) return Deadline::infinite();
  if (budget <= nanoseconds::zero()) budget = context.settings.unknown_budget;
  const nanoseconds margin =
      std::max<nanoseconds>(budget * 15 / 100, std::chrono::milliseconds(200));
  return Deadline::after(std::max(budget - margin, budget / 2));
}

bool all_attached(const PodContext& context, const std::vector<claim::RecordPtr>& records,
                  std::string_view sandbox_id) {
  return std::ranges::all_of(records, [&](const claim::RecordPtr& record) {
    return record->state == claim::RecordState::kPrepared &&
           !context.parts.journal.is_stale(*record) && claim::attached_to(*record, sandbox_id) &&
           context.parts.attacher.has_marker(*record);
  });
}

bool in_sandbox(const claim::Record& record, std::string_view sandbox_id) {
  return std::ranges::any_of(record.devices, [&](const claim::DeviceRecord& device) {
    return std::ranges::any_of(device.attachments, [&](const claim::Attachment& attachment) {
      return attachment.sandbox_id == sandbox_id;
    });
  });
}

/// Whether something of the record has to be taken back: it was on its way in or out when the process ended, it is of
/// another boot, or its sandbox is gone. A sandbox that the runtime does not name may live all the same (it names none that
/// it is just making), so its namespace decides.
bool is_left_over(const PodContext& context, const claim::Record& record) {
  if (context.parts.journal.is_stale(record) || is_unfinished(record))
    return claim::has_attachments(record);
  return std::ranges::any_of(record.devices, [&](const claim::DeviceRecord& device) {
    return std::ranges::any_of(device.attachments, [&](const claim::Attachment& attachment) {
      return context.live.any_synchronised() && !context.live.contains(attachment.sandbox_id) &&
             !context.parts.attacher.is_alive(attachment);
    });
  });
}

/// Answers when the last of several detaches has ended.
class LastOf {
 public:
  LastOf(std::size_t count, module::RuntimeEvents::Reply reply)
      : left_(count),
        reply_(std::move(reply)) {}
  void ended(const Status& status) DRASRIOV_EXCLUDES(mutex_) {
    Status first;
    {
      const MutexLock lock(mutex_);
      if (!status && first_) first_ = status;
      if (--left_ > 0) return;
      first = first_;
    }
    reply_(first);
  }

 private:
  Mutex mutex_;
  std::size_t left_ DRASRIOV_GUARDED_BY(mutex_);
  Status first_ DRASRIOV_GUARDED_BY(mutex_);
  const module::RuntimeEvents::Reply reply_;
};

}  // namespace

SandboxGate::SandboxGate(const claim::Journal& journal,
                         std::function<bool(std::string_view)> to_import)
    : journal_(journal),
      to_import_(std::move(to_import)),
      audit_(std::make_shared<Audit>()) {}

SandboxGate::~SandboxGate() = default;

SandboxGate::Context SandboxGate::context() const {
  const MutexLock lock(mutex_);
  return context_;
}

void SandboxGate::serve(PodSettings settings, PodParts parts) {
  auto context = std::make_shared<const PodContext>(PodContext{settings, std::move(parts), live_});
  {
    const MutexLock lock(mutex_);
    context_ = std::move(context);
  }
  reconcile();
}

void SandboxGate::released(const claim::Record& quarantined) {
  audit_->remember(quarantined);
  // Before a runtime has told its sandboxes: with that.
  const Context context = this->context();
  if (context && live_.any_synchronised()) audit_->soon(context);
}

Status SandboxGate::runtime_ready() const {
  if (live_.any_synchronised()) return {};
  return Error(
      Code::kUnavailable,
      "the container runtime is not connected, or has not told its sandboxes yet",
      "check that NRI is enabled in the runtime and that its socket is mounted into the driver");
}

std::uint64_t SandboxGate::submit(module::RuntimeEvent event, Reply reply) {
  std::uint64_t id = 0;
  {
    const MutexLock lock(mutex_);
    id = ++last_event_;
    std::erase_if(attaching_, [](const auto& entry) { return entry.second.expired(); });
  }
  switch (event.kind) {
    case Kind::kSynchronised:
      live_.synchronised(event.source, std::move(event.sandboxes));
      reply({});
      reconcile();
      break;
    case Kind::kDisconnected:
      live_.disconnected(event.source);
      reply({});
      break;
    case Kind::kRunPodSandbox:
    case Kind::kCreateContainer:
      live_.started(event.source, event.sandbox);
      start(id, event, std::move(reply));
      break;
    case Kind::kStopPodSandbox:
    case Kind::kRemovePodSandbox:
      live_.stopped(event.sandbox.pod.sandbox_id);
      stop(event.sandbox, std::move(reply));
      break;
    default: reply(Error(Code::kUnimplemented, "unknown event of the container runtime")); break;
  }
  return id;
}

void SandboxGate::cancel(std::uint64_t event_id) {
  std::shared_ptr<AttachHandle> attaching;
  {
    const MutexLock lock(mutex_);
    const auto found = attaching_.find(event_id);
    if (found == attaching_.end()) return;
    attaching = found->second.lock();
    attaching_.erase(found);
  }
  if (attaching) attaching->cancel();
}

void SandboxGate::start(std::uint64_t id, const module::RuntimeEvent& event, Reply reply) {
  const module::Sandbox& sandbox = event.sandbox;
  const auto bad = journal_.quarantined_network_of(sandbox.pod.uid);
  if (bad && !fault_leaves_out("gate.quarantine")) {
    return reply(Error(Code::kDataLoss,
                       describe(sandbox.pod) + ": the driver's record of claim " +
                           bad->to_string() + " is damaged, its network cannot be attached",
                       "delete the pod: the claim is then released and prepared anew"));
  }
  const auto records = journal_.network_claims_of(sandbox.pod.uid);
  const Context context = this->context();
  if (!context) {
    if (records.empty() && !(to_import_ && to_import_(sandbox.pod.uid))) return reply({});
    return reply(Error(
        Code::kUnavailable,
        describe(sandbox.pod) + ": the SR-IOV driver is starting and cannot attach its network yet",
        "kubelet tries again by itself"));
  }
  if (all_attached(*context, records, sandbox.pod.sandbox_id)) return reply({});
  if (sandbox.netns_path.empty()) {
    return reply(Error(Code::kFailedPrecondition,
                       describe(sandbox.pod) + ": it uses the host's network, and its claim " +
                           records.front()->claim.to_string() + " has a network to attach",
                       "remove hostNetwork from the pod, or netAttachDefName from the claim"));
  }
  const auto occasion =
      event.kind == Kind::kRunPodSandbox ? Occasion::kSandboxStart : Occasion::kContainerStart;
  auto handle =
      attach_pod(*context, occasion, sandbox, answer_by(*context, event.budget), std::move(reply));
  const MutexLock lock(mutex_);
  attaching_.emplace(id, std::move(handle));
}

void SandboxGate::stop(const module::Sandbox& sandbox, Reply reply) {
  const std::string& id = sandbox.pod.sandbox_id;
  const Context context = this->context();
  // Not serving, or not any more: the next serve() finds that the sandbox is gone.
  if (!context || context->parts.queue.stopping()) return reply({});
  std::vector<std::string> uids;
  for (const claim::RecordPtr& record : context->parts.journal.network_claims_of(sandbox.pod.uid)) {
    if (in_sandbox(*record, id)) {
      uids.push_back(record->claim.uid);
    } else {
      look_for_joined(*context, record->claim.uid);
    }
  }
  if (uids.empty()) return reply({});
  const auto last = std::make_shared<LastOf>(uids.size(), std::move(reply));
  for (const std::string& uid : uids) {
    const auto wanted = [id](const claim::Record& record) { return in_sandbox(record, id); };
    detach_claim(*context, uid, wanted, [last](const Status& status) { last->ended(status); });
  }
}

void SandboxGate::reconcile() {
  const Context context = this->context();
  if (!context || fault_leaves_out("gate.reconcile")) return;
  // False: the driver is stopping, the next start does it.
  (void)context->parts.queue.post([context, audit = audit_] {
    const auto left_over = [context](const claim::Record& record) {
      return is_left_over(*context, record);
    };
    for (const claim::RecordPtr& record : context->parts.journal.all()) {
      if (claim::has_attachments(*record)) {
        if (left_over(*record)) detach_claim(*context, record->claim.uid, left_over, {});
      } else if (claim::has_network(*record)) {
        // Who left it may have done so in an earlier process, or while nobody listened.
        look_for_joined(*context, record->claim.uid);
      }
    }
    for (const module::Sandbox& sandbox : context->live.all()) {
      const auto records = context->parts.journal.network_claims_of(sandbox.pod.uid);
      if (all_attached(*context, records, sandbox.pod.sandbox_id)) continue;
      // Runtimes also list sandboxes that are stopped and not yet removed.
      if (!context->parts.attacher.has_namespace(sandbox)) continue;
      attach_pod(*context, Occasion::kMissed, sandbox,
                 Deadline::after(context->settings.background_budget), {});
    }
    if (context->live.any_synchronised()) audit->soon(context);
  });
}

}  // namespace drasriov::pod
