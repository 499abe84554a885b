// SPDX-License-Identifier: Apache-2.0
#include "host/pod/join_work.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "host/base/backoff.hpp"
#include "host/pod/attach_work.hpp"
#include "host/pod/claims_work.hpp"

namespace drasriov::pod {
namespace {

class JoinWork final : public ClaimsWork {
 public:
  JoinWork(const PodContext& context, const std::string& uid, Backoff backoff,
           Backoff::Duration pause, std::shared_ptr<void> once)
      : ClaimsWork(context, {uid}, "look-up of claim " + uid,
                   Deadline::after(pause + 2 * context.settings.background_budget)),
        uid_(uid),
        backoff_(backoff),
        pause_(pause),
        once_(std::move(once)) {}

  void start() {
    auto self = std::static_pointer_cast<JoinWork>(shared_from_this());
    // False: the driver is stopping.
    (void)context_.parts.queue.post_at(claim::WorkQueue::Clock::now() + pause_, [self] {
      if (!self->context_.parts.queue.stopping()) self->ask();
    });
  }

 private:
  /// Without the claim's token: the API may take its time.
  void ask() {
    const claim::RecordPtr record = context_.parts.journal.find(uid_);
    if (record == nullptr || !is_free(*record)) return;
    auto consumers = context_.parts.consumers(record->claim);
    if (!consumers && consumers.error().code() == Code::kNotFound) return;
    if (!consumers) return again();
    seen_ = record->consumers;
    consumers_ = *std::move(consumers);
    if (!consumers_.empty() && consumers_ != seen_) reserve();
  }

  void work(std::vector<claim::Record> records) override {
    if (records.empty() || !is_free(records.front())) return;
    // It was prepared meanwhile, and may know better than what was read before.
    if (records.front().consumers != seen_) return again();
    auto record = std::make_shared<claim::Record>(std::move(records.front()));
    record->consumers = consumers_;
    if (auto ok = context_.parts.journal.write(record); !ok) {
      context_.parts.log.error(ok.error(), {{telemetry::key::kClaim, record->claim.to_string()}});
      return again();
    }
    for (const module::Sandbox& sandbox : context_.live.all()) {
      const bool joined = std::ranges::any_of(consumers_, [&](const module::Consumer& consumer) {
        return consumer.resource == "pods" && consumer.uid == sandbox.pod.uid;
      });
      if (!joined || !context_.parts.attacher.has_namespace(sandbox)) continue;
      attach_pod(context_, Occasion::kMissed, sandbox,
                 Deadline::after(context_.settings.background_budget), {});
    }
  }

  void refused(Error /*error*/) override {
    if (!context_.parts.queue.stopping()) again();
  }

  [[nodiscard]] bool is_free(const claim::Record& record) const {
    return record.state == claim::RecordState::kPrepared &&
           !context_.parts.journal.is_stale(record) && !claim::has_attachments(record);
  }

  void again() {
    const Backoff::Duration pause = backoff_.next();
    std::make_shared<JoinWork>(context_, uid_, backoff_, pause, once_)->start();
  }

  const std::string uid_;
  Backoff backoff_;
  const Backoff::Duration pause_;
  const std::shared_ptr<void> once_;
  std::vector<module::Consumer> seen_;       ///< in the record when the API was asked
  std::vector<module::Consumer> consumers_;  ///< as the API says
};

}  // namespace

void look_for_joined(const PodContext& context, const std::string& claim_uid) {
  auto once = ClaimSet::enter(context.joining, claim_uid);
  if (!once) return;
  const Backoff backoff(context.settings.retry_first, context.settings.retry_longest);
  std::make_shared<JoinWork>(context, claim_uid, backoff, context.settings.join_delay,
                             std::move(once))
      ->start();
}

}  // namespace drasriov::pod
