// SPDX-License-Identifier: Apache-2.0
#include "host/claim/claim_runner.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/claim/allocation.hpp"
#include "host/claim/prepare_task.hpp"
#include "host/claim/runner_context.hpp"
#include "host/claim/undo.hpp"

namespace drasriov::claim {
namespace {

/// Nobody waits for it, but it holds a thread.
constexpr std::chrono::seconds kConsumersBudget(5);

}  // namespace

ClaimRunner::ClaimRunner(RunnerSettings settings, RunnerParts parts)
    : context_(std::make_unique<RunnerContext>(std::move(settings), std::move(parts))) {}

ClaimRunner::~ClaimRunner() = default;

void ClaimRunner::tell_status(const Record& record) {
  context_->outbox.status(record);
  context_->outbox.deliver();
}

void ClaimRunner::tell_warning(const ClaimRef& claim, std::string reason, std::string message) {
  context_->outbox.warning(claim, std::move(reason), std::move(message));
  context_->outbox.deliver();
}

Result<std::vector<module::Consumer>> ClaimRunner::consumers_of(const ClaimRef& claim) const {
  const auto object =
      context_->parts.cluster.get(cluster::resource_claims(), {claim.namespace_, claim.name},
                                  Deadline::after(kConsumersBudget));
  if (!object) return object.error();
  auto decoded = decode_claim(*object, claim, context_->settings.plan.driver_name);
  if (!decoded) return decoded.error();
  return std::move(decoded->consumers);
}

void ClaimRunner::prepare(ClaimRef claim, Deadline deadline, Prepared done) {
  if (auto ok = check_claim_ref(claim); !ok) return done(std::move(ok).error());
  prepare_claim(*context_, std::move(claim), deadline, std::move(done));
}

void ClaimRunner::unprepare(ClaimRef claim, Deadline deadline, Unprepared done) {
  if (auto ok = check_claim_ref(claim); !ok) return done(std::move(ok));
  unprepare_claim(*context_, std::move(claim), deadline, std::move(done));
}

}  // namespace drasriov::claim
