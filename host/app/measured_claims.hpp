// SPDX-License-Identifier: Apache-2.0
//
// MeasuredClaims: another ClaimService, with its answers counted and timed in the metric drasriov_claim_seconds (labels:
// operation and outcome). Owned by app/, between the endpoint and the runner. [any] thread.
#pragma once

#include "host/claim/claim_service.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::app {

class MeasuredClaims final : public claim::ClaimService {
 public:
  /// Both outlive this and every answer.
  MeasuredClaims(claim::ClaimService& claims, telemetry::Metrics& metrics)
      : claims_(claims),
        metrics_(metrics) {}

  void prepare(claim::ClaimRef claim, Deadline deadline, Prepared done) override;
  void unprepare(claim::ClaimRef claim, Deadline deadline, Unprepared done) override;

 private:
  claim::ClaimService& claims_;
  telemetry::Metrics& metrics_;
};

}  // namespace drasriov::app
