// SPDX-License-Identifier: Apache-2.0
#include "host/pod/detach_work.hpp"

#include <algorithm>
#include <utility>

#include "host/base/backoff.hpp"
#include "host/pod/claims_work.hpp"
#include "host/pod/join_work.hpp"

namespace drasriov::pod {
namespace {

using Done = std::function<void(const Status&)>;

class DetachWork final : public ClaimsWork {
 public:
  DetachWork(const PodContext& context, const std::string& uid, Wanted wanted, Backoff backoff,
             Done done)
      : ClaimsWork(context, {uid}, "detach of claim " + uid,
                   Deadline::after(context.settings.background_budget)),
        uid_(uid),
        wanted_(std::move(wanted)),
        backoff_(backoff),
        done_(std::move(done)) {}

  void start() { reserve(); }
  void start_later(Backoff::Duration pause) {
    auto self = std::static_pointer_cast<DetachWork>(shared_from_this());
    // False: the driver is stopping. The record is durable, the next start goes on.
    (void)context_.parts.queue.post_at(claim::WorkQueue::Clock::now() + pause, [self] {
      if (!self->context_.parts.queue.stopping()) self->start();
    });
  }

 private:
  void work(std::vector<claim::Record> records) override {
    // Undoing: the runner takes it back and comes again by itself. That of another boot it has forgotten.
    if (records.empty() || !claim::has_attachments(records.front()) || !wanted_(records.front()))
      return finish({});
    claim::Record& record = records.front();
    const bool stale = context_.parts.journal.is_stale(record);
    if (record.state != claim::RecordState::kPrepared && !stale) return finish({});
    module::Call call;
    const std::string id = "detach/" + uid_;
    call.id = id;
    call.deadline = Deadline::after(context_.settings.background_budget);
    Status ok = context_.parts.attacher.detach(call, record);
    if (ok) {
      context_.parts.log.info("detached", {{telemetry::key::kClaim, record.claim.to_string()}});
      if (!stale) context_.parts.changed(record);
      look_for_joined(context_, uid_);
    } else {
      context_.parts.warn(
          record.claim, "DetachFailed",
          "it is tried again, and the device stays blocked: " + ok.error().to_string());
      context_.parts.log.error(ok.error(), {{telemetry::key::kClaim, record.claim.to_string()}});
    }
    finish(ok);
  }

  void refused(Error error) override { finish(std::move(error)); }

  void finish(const Status& status) {
    if (!status) {
      // Wanted as before: where the first write failed, the record says Attached as if nothing had been tried.
      auto next = std::make_shared<DetachWork>(context_, uid_, wanted_, backoff_, Done());
      next->start_later(next->backoff_.next());
    }
    if (done_) done_(status);
  }

  const std::string uid_;
  const Wanted wanted_;
  Backoff backoff_;
  const Done done_;
};

Backoff fresh_backoff(const PodContext& context) {
  return {context.settings.retry_first, context.settings.retry_longest};
}

}  // namespace

bool is_unfinished(const claim::Record& record) {
  return std::ranges::any_of(record.devices, [](const claim::DeviceRecord& device) {
    return std::ranges::any_of(device.attachments, [](const claim::Attachment& attachment) {
      return attachment.state != claim::AttachmentState::kAttached;
    });
  });
}

void detach_claim(const PodContext& context, const std::string& claim_uid, Wanted wanted,
                  Done done) {
  std::make_shared<DetachWork>(context, claim_uid, std::move(wanted), fresh_backoff(context),
                               std::move(done))
      ->start();
}

void detach_later(const PodContext& context, const std::string& claim_uid) {
  auto backoff = fresh_backoff(context);
  const auto pause = backoff.next();
  std::make_shared<DetachWork>(context, claim_uid, is_unfinished, backoff, Done())
      ->start_later(pause);
}

}  // namespace drasriov::pod
