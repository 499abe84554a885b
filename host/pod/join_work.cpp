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
  JoinWork(const PodContext& context, const std::string& uid, Backoff backoff)
      : ClaimsWork(
            context, {uid}, "look-up of claim " + uid,
            Deadline::after(context.settings.join_delay + 2 * context.settings.background_budget)),
        uid_(uid),
        backoff_(backoff) {}

  void start_later(Backoff::Duration pause) {
    auto self = std::static_pointer_cast<JoinWork>(shared_from_this());
    // False: the driver is stopping.
    (void)context_.parts.queue.post_at(claim::WorkQueue::Clock::now() + pause, [self] {
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
    consumers_ = *std::move(consumers);
    if (!consumers_.empty() && consumers_ != record->consumers) reserve();
  }

  void work(std::vector<claim::Record> records) override {
    if (records.empty() || !is_free(records.front())) return;
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

  // Whoever has the claim for so long prepares or unprepares it, or attaches it.
  void refused(Error /*error*/) override {}

  [[nodiscard]] bool is_free(const claim::Record& record) const {
    return record.state == claim::RecordState::kPrepared &&
           !context_.parts.journal.is_stale(record) && !claim::has_attachments(record);
  }

  void again() {
    auto next = std::make_shared<JoinWork>(context_, uid_, backoff_);
    next->start_later(next->backoff_.next());
  }

  const std::string uid_;
  Backoff backoff_;
  std::vector<module::Consumer> consumers_;
};

}  // namespace

void look_for_joined(const PodContext& context, const std::string& claim_uid) {
  const Backoff backoff(context.settings.retry_first, context.settings.retry_longest);
  std::make_shared<JoinWork>(context, claim_uid, backoff)->start_later(context.settings.join_delay);
}

}  // namespace drasriov::pod
