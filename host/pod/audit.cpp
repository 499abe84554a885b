// SPDX-License-Identifier: Apache-2.0
#include "host/pod/audit.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "host/pod/claims_work.hpp"

namespace drasriov::pod {
namespace {

using Clock = claim::WorkQueue::Clock;

/// Adds that come meanwhile wait: less than the shortest time that a runtime gives.
constexpr std::chrono::milliseconds kCollectBudget(1500);
/// A detach of the claim that comes meanwhile waits.
constexpr std::chrono::seconds kCheckBudget(5);

void add_networks(const claim::Record& record, std::set<std::string>& networks) {
  for (const claim::DeviceRecord& device : record.devices) {
    if (!device.plan.netconf_json.empty()) networks.insert(device.plan.netconf_json);
    for (const claim::Attachment& attachment : device.attachments)
      networks.insert(attachment.config_json);
  }
}

bool is_imported(const claim::Record& record) {
  return claim::has_network(record) &&
         std::ranges::any_of(record.devices, [](const claim::DeviceRecord& device) {
           return device.adopted_edits_json.has_value();
         });
}

/// Whether every attachment on the node is known. What the Go driver attached, and what a record in quarantine said before
/// it was damaged, looks like garbage and may be a pod's.
bool knows_all(const PodContext& context) {
  const auto records = context.parts.journal.all();
  return context.parts.journal.quarantined().empty() &&
         std::ranges::none_of(records,
                              [](const claim::RecordPtr& record) { return is_imported(*record); });
}

/// CHECKs the claims one after the other: a node's worth of plugins at once would be in everybody's way.
class CheckWork final : public ClaimsWork {
 public:
  CheckWork(Audit::Context context, std::vector<std::string> uids)
      : ClaimsWork(*context, {uids.back()}, "check of claim " + uids.back(),
                   Deadline::after(context->settings.background_budget)),
        shared_(std::move(context)),
        uids_(std::move(uids)) {}

  static void start(const Audit::Context& context, std::vector<std::string> uids) {
    if (!uids.empty()) std::make_shared<CheckWork>(context, std::move(uids))->reserve();
  }

 private:
  void work(std::vector<claim::Record> records) override {
    if (!records.empty() && records.front().state == claim::RecordState::kPrepared &&
        !context_.parts.journal.is_stale(records.front()))
      check(records.front());
    next();
  }
  // Whoever has the claim for so long changes it.
  void refused(Error /*error*/) override { next(); }

  void check(const claim::Record& record) {
    module::Call call;
    const std::string id = "check/" + record.claim.uid;
    call.id = id;
    call.deadline = Deadline::after(kCheckBudget);
    const Status ok = context_.parts.attacher.check(call, record);
    if (ok) return;
    const std::string claim = record.claim.to_string();
    if (ok.error().code() == Code::kDeadlineExceeded)
      return context_.parts.log.warning(ok.error().with_context("not checked"),
                                        {{telemetry::key::kClaim, claim}});
    context_.parts.warn(
        record.claim, "CheckFailed",
        "its network is not as it was attached; nothing was changed: " + ok.error().to_string());
    context_.parts.log.error(ok.error(), {{telemetry::key::kClaim, claim}});
  }

  void next() {
    if (context_.parts.queue.stopping()) return;
    uids_.pop_back();
    start(shared_, std::move(uids_));
  }

  const Audit::Context shared_;
  std::vector<std::string> uids_;  ///< of those that are left, this one last
};

std::vector<std::string> attached_claims(const PodContext& context) {
  std::vector<std::string> uids;
  for (const claim::RecordPtr& record : context.parts.journal.all()) {
    if (claim::has_attachments(*record)) uids.push_back(record->claim.uid);
  }
  return uids;
}

}  // namespace

void Audit::soon(const Context& context) {
  const MutexLock lock(mutex_);
  if (waiting_) return;
  // False: the driver is stopping.
  waiting_ =
      context->parts.queue.post_at(std::max(Clock::now(), not_before_),
                                   [self = shared_from_this(), context] { self->run(context); });
}

void Audit::remember(const claim::Record& gone) {
  const MutexLock lock(mutex_);
  add_networks(gone, networks_);
}

void Audit::run(const Context& context) {
  if (context->parts.queue.stopping()) return;
  {
    // Before it looks: who asks from now on is not sure to be seen by this one.
    const MutexLock lock(mutex_);
    waiting_ = false;
    not_before_ = Clock::now() + context->settings.audit_pause;
  }
  if (!collect(*context)) {
    {
      const MutexLock lock(mutex_);
      not_before_ = Clock::now() + context->settings.retry_first;
    }
    return soon(context);
  }
  CheckWork::start(context, attached_claims(*context));
}

bool Audit::collect(const PodContext& context) {
  if (!knows_all(context)) {
    context.parts.log.info(
        "what CNI plugins keep of pods that are gone is not looked for: a claim's record is "
        "damaged, or a claim of the Go driver is left");
    return true;
  }
  std::set<std::string> networks;
  {
    const MutexLock lock(mutex_);
    networks = networks_;
  }
  for (const claim::RecordPtr& record : context.parts.journal.all())
    add_networks(*record, networks);
  module::Call call;
  call.id = "gc";
  call.deadline = Deadline::after(kCollectBudget);
  const Status ok = context.parts.attacher.collect_garbage(call, networks);
  if (!ok && ok.error().code() == Code::kAborted) return false;
  if (!ok) {
    context.parts.log.warning(ok.error().with_context(
        "what CNI plugins keep of pods that are gone could not all be released"));
    return true;
  }
  const MutexLock lock(mutex_);
  for (const std::string& network : networks) networks_.erase(network);
  return true;
}

}  // namespace drasriov::pod
