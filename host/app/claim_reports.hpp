// SPDX-License-Identifier: Apache-2.0
//
// ClaimReports: passes on what claims tell: which devices are held to the control thread, events to the log. Owned by
// app/. [any] thread, returns at once.
#pragma once

#include <string>
#include <vector>

#include "host/app/control.hpp"
#include "host/claim/claim_service.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::app {

class ClaimReports final : public claim::ClaimEvents {
 public:
  /// Both outlive this.
  ClaimReports(Control& control, telemetry::Log& log) : control_(control), log_(log) {}

  void status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) override;
  void forgotten(const claim::ClaimRef& claim) override;
  void event(const claim::ClaimRef& claim, bool warning, std::string reason,
             std::string message) override;
  void held_changed(claim::HeldSnapshot held) override;

 private:
  Control& control_;
  telemetry::Log& log_;
};

}  // namespace drasriov::app
