// SPDX-License-Identifier: Apache-2.0
#include "host/pod/attach_work.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/base/fault_point.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/pod/claims_work.hpp"
#include "host/pod/detach_work.hpp"

namespace drasriov::pod {
namespace {

using Reply = module::RuntimeEvents::Reply;
using Clock = claim::WorkQueue::Clock;

/// The one answer; whoever comes first gives it.
class Answer {
 public:
  explicit Answer(Reply reply) : reply_(std::move(reply)) {}

  /// False when it was given before.
  bool give(const Status& status) DRASRIOV_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (given_) return false;
      given_ = true;
    }
    if (reply_) reply_(status);
    return true;
  }

 private:
  const Reply reply_;
  Mutex mutex_;
  bool given_ DRASRIOV_GUARDED_BY(mutex_) = false;
};

std::vector<std::string> claims_of(const PodContext& context, const module::Pod& pod) {
  std::vector<std::string> uids;
  for (const claim::RecordPtr& record : context.parts.journal.network_claims_of(pod.uid))
    uids.push_back(record->claim.uid);
  return uids;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

/// Runtimes make 64 digits; what is much shorter may be a part of any word.
constexpr std::size_t kShortestSandboxId = 32;

class AttachWork final : public ClaimsWork, public AttachHandle {
 public:
  AttachWork(const PodContext& context, Occasion occasion, const module::Sandbox& sandbox,
             Deadline answer_by, Backoff backoff, Reply reply)
      : ClaimsWork(context, claims_of(context, sandbox.pod), "attach of " + describe(sandbox.pod),
                   answer_by),
        occasion_(occasion),
        sandbox_(sandbox),
        answer_by_(answer_by),
        backoff_(backoff),
        answer_(std::move(reply)),
        is_cancelled_([this] { return cancelled_.load(); }) {}

  void start() {
    if (occasion_ != Occasion::kMissed) {
      // At stop() it is due at once: the answer then is that the driver is stopping, and what hangs is called off.
      const bool armed = queue().post_at(answer_by_.when(), [self = shared()] { self->expire(); });
      if (!armed) return refused(Error(Code::kUnavailable, "the driver is stopping"));
    }
    reserve();
  }
  void start_later(Backoff::Duration pause) {
    // False: the driver is stopping.
    (void)queue().post_at(Clock::now() + pause, [self = shared()] {
      if (!self->queue().stopping()) self->start();
    });
  }

  void cancel() override {
    cancelled_.store(true);
    give(Error(Code::kAborted, "the container runtime waits no longer"));
  }

 private:
  [[nodiscard]] std::shared_ptr<AttachWork> shared() {
    return std::static_pointer_cast<AttachWork>(shared_from_this());
  }
  [[nodiscard]] claim::WorkQueue& queue() const { return context_.parts.queue; }
  [[nodiscard]] bool is_live() const { return context_.live.contains(sandbox_.pod.sandbox_id); }

  bool give(const Status& status) {
    if (status) return answer_.give(status);
    return answer_.give(status.error().with_context(describe(sandbox_.pod)));
  }

  void expire() {
    const auto error = queue().stopping()
                           ? Error(Code::kUnavailable, "the driver is stopping")
                           : Error(Code::kDeadlineExceeded,
                                   "its SR-IOV interface could not be attached within the "
                                   "container runtime's time limit",
                                   "raise the runtime's NRI plugin_request_timeout to 30s, and "
                                   "look for what the CNI plugin waits for");
    if (give(error)) cancelled_.store(true);
  }

  void work(std::vector<claim::Record> records) override {
    const auto started = Clock::now();
    std::vector<claim::Record*> begun;
    const Status ok = attach_all(records, begun);
    // Answered first; only then is anything taken back. An answer that came too late has taken the sandbox down.
    const bool in_time = give(fault_leaves_out("attach.refusal") ? Status() : ok);
    const bool keep = occasion_ == Occasion::kSandboxStart ? in_time : is_live();
    if (ok && keep) return tell(begun, Clock::now() - started);
    take_back(begun);
    if (ok) return;
    complain(records, ok.error());
    if (occasion_ == Occasion::kMissed) again();
  }

  [[nodiscard]] std::vector<std::string> more_keys() const override {
    return {claim::sandbox_key(sandbox_.pod.sandbox_id)};
  }

  void refused(Error error) override {
    give(error);
    if (occasion_ == Occasion::kMissed) again();
  }

  /// `begun`: those that this call has attached, or started to.
  Status attach_all(std::vector<claim::Record>& records, std::vector<claim::Record*>& begun) {
    for (claim::Record& record : records) {
      if (cancelled_.load())
        return Error(Code::kDeadlineExceeded, "the time for attaching is over");
      if (!claim::has_network(record)) continue;
      if (claim::attached_to(record, sandbox_.pod.sandbox_id)) {
        if (auto ok = context_.parts.attacher.keep_marker(record); !ok)
          return ok.error().with_context(name(record));
        continue;
      }
      if (occasion_ == Occasion::kMissed && (is_elsewhere(record) || is_imported(record))) continue;
      if (auto ok = check(record); !ok) return ok.error().with_context(name(record));
      const module::Call call = make_call(answer_by_, &is_cancelled_);
      if (auto ok = context_.parts.attacher.detach(call, record); !ok)
        return ok.error().with_context(name(record));
      begun.push_back(&record);
      if (auto ok = context_.parts.attacher.attach(call, sandbox_, record); !ok)
        return ok.error().with_context(name(record));
    }
    return {};
  }

  static std::string name(const claim::Record& record) {
    return "claim " + record.claim.to_string();
  }

  /// Whether another live sandbox of the pod has it: which of the two is the newer one, only the runtime's next event says.
  [[nodiscard]] bool is_elsewhere(const claim::Record& record) const {
    return std::ranges::any_of(record.devices, [&](const claim::DeviceRecord& device) {
      return std::ranges::any_of(device.attachments, [&](const claim::Attachment& attachment) {
        return attachment.state == claim::AttachmentState::kAttached &&
               context_.live.contains(attachment.sandbox_id);
      });
    });
  }

  /// Whether the Go driver has prepared the claim, and attached it to the sandbox if that is an old one. An add would fail
  /// there, and taking it back would take the interface out of a pod that runs.
  static bool is_imported(const claim::Record& record) {
    return !claim::has_attachments(record) &&
           std::ranges::any_of(record.devices, [](const claim::DeviceRecord& device) {
             return device.adopted_edits_json.has_value();
           });
  }

  /// Whether this sandbox may have the claim's devices.
  [[nodiscard]] Status check(const claim::Record& record) const {
    if (context_.parts.journal.is_stale(record)) {
      return Error(Code::kUnavailable, "it was not prepared again since the node was rebooted",
                   "kubelet prepares it before it starts the pod anew");
    }
    if (record.state != claim::RecordState::kPrepared) {
      return Error(Code::kUnavailable,
                   "it is not prepared (" + std::string(claim::state_name(record.state)) + ")" +
                       (record.last_error.empty() ? "" : ": " + record.last_error));
    }
    if (occasion_ == Occasion::kContainerStart && is_imported(record)) {
      return Error(
          Code::kFailedPrecondition,
          "its sandbox was started under the Go driver, of whose interfaces nothing is known",
          "delete the pod: a new one is attached as any other");
    }
    for (const claim::DeviceRecord& device : record.devices) {
      for (const claim::Attachment& attachment : device.attachments) {
        // The same pod in a new sandbox takes over from the old one, which is on its way out.
        if (attachment.pod_uid == sandbox_.pod.uid ||
            attachment.state == claim::AttachmentState::kDetaching ||
            !context_.live.contains(attachment.sandbox_id))
          continue;
        return Error(
            Code::kFailedPrecondition,
            "device " + device.plan.allocated.device + " is attached to pod " +
                attachment.pod_namespace + "/" + attachment.pod_name + " (sandbox " +
                attachment.sandbox_id + ")",
            "a claim with a network serves one pod at a time: use a ResourceClaimTemplate");
      }
    }
    return {};
  }

  [[nodiscard]] module::Call make_call(Deadline deadline,
                                       const std::function<bool()>* cancelled) const {
    module::Call call;
    call.deadline = deadline;
    call.id = sandbox_.pod.sandbox_id;
    call.cancelled = cancelled;
    return call;
  }

  void tell(const std::vector<claim::Record*>& attached, Clock::duration took) const {
    const auto milliseconds =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    for (const claim::Record* record : attached) {
      context_.parts.log.info(
          "attached, " + milliseconds + " ms",
          {{telemetry::key::kPod, sandbox_.pod.namespace_ + "/" + sandbox_.pod.name},
           {telemetry::key::kClaim, record->claim.to_string()}});
      context_.parts.changed(*record);
    }
  }

  void take_back(const std::vector<claim::Record*>& begun) const {
    for (auto record = begun.rbegin(); record != begun.rend(); ++record) {
      const auto deadline = Deadline::after(context_.settings.background_budget);
      auto ok = context_.parts.attacher.detach(make_call(deadline, nullptr), **record);
      if (ok) {
        context_.parts.changed(**record);
        continue;
      }
      context_.parts.warn(
          (*record)->claim, "DetachFailed",
          note("it is tried again, and the device stays blocked: " + ok.error().to_string()));
      detach_later(context_, (*record)->claim.uid);
    }
  }

  void complain(const std::vector<claim::Record>& records, const Error& error) const {
    const std::string text = describe(sandbox_.pod) + ": " + error.to_string();
    context_.parts.log.error(text, {{telemetry::key::kCall, sandbox_.pod.sandbox_id}});
    for (const claim::Record& record : records)
      context_.parts.warn(record.claim, "AttachFailed", note(text));
  }

  /// The text of an event: without what is new with each sandbox of the pod, so that the same failure in the next one is
  /// the same event and counts.
  [[nodiscard]] std::string note(std::string text) const {
    if (!sandbox_.netns_path.empty()) replace_all(text, sandbox_.netns_path, "<netns>");
    const std::string& id = sandbox_.pod.sandbox_id;
    if (id.size() >= kShortestSandboxId) replace_all(text, id, "<sandbox>");
    return text;
  }

  /// Until the sandbox is gone: a pod that runs without its network is only waiting for it.
  void again() {
    if (queue().stopping() || !is_live() || !context_.parts.attacher.has_namespace(sandbox_))
      return;
    auto backoff = backoff_;
    const auto pause = backoff.next();
    const auto deadline = Deadline::after(pause + context_.settings.background_budget);
    std::make_shared<AttachWork>(context_, occasion_, sandbox_, deadline, backoff, Reply())
        ->start_later(pause);
  }

  const Occasion occasion_;
  const module::Sandbox sandbox_;
  const Deadline answer_by_;
  const Backoff backoff_;
  Answer answer_;
  std::atomic<bool> cancelled_{false};
  const std::function<bool()> is_cancelled_;
};

}  // namespace

std::weak_ptr<AttachHandle> attach_pod(const PodContext& context, Occasion occasion,
                                       const module::Sandbox& sandbox, Deadline answer_by,
                                       Reply reply) {
  const Backoff backoff(context.settings.retry_first, context.settings.retry_longest);
  auto work = std::make_shared<AttachWork>(context, occasion, sandbox, answer_by, backoff,
                                           std::move(reply));
  work->start();
  return work;
}

}  // namespace drasriov::pod
