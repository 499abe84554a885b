// SPDX-License-Identifier: Apache-2.0
#include "host/app/measured_claims.hpp"

#include <array>
#include <chrono>
#include <string_view>
#include <utility>

namespace drasriov::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Gives the answer to `done`, and then, when nobody waits any more, to the metrics.
template <typename Answer>
std::function<void(Answer)> measured(telemetry::Metrics& metrics, std::string_view operation,
                                     std::function<void(Answer)> done) {
  return [&metrics, operation, done = std::move(done), began = Clock::now()](Answer answer) {
    const std::chrono::duration<double> took = Clock::now() - began;
    const std::array<telemetry::Label, 2> labels{
        telemetry::Label{"operation", operation},
        telemetry::Label{"outcome", answer.ok() ? "ok" : "failed"}};
    done(std::move(answer));
    metrics.histogram_observe("drasriov_claim_seconds", labels, took.count());
  };
}

}  // namespace

void MeasuredClaims::prepare(claim::ClaimRef claim, Deadline deadline, Prepared done) {
  claims_.prepare(std::move(claim), deadline, measured(metrics_, "prepare", std::move(done)));
}

void MeasuredClaims::unprepare(claim::ClaimRef claim, Deadline deadline, Unprepared done) {
  claims_.unprepare(std::move(claim), deadline, measured(metrics_, "unprepare", std::move(done)));
}

}  // namespace drasriov::app
