// SPDX-License-Identifier: Apache-2.0
#include "host/app/claim_reports.hpp"

#include <utility>

namespace drasriov::app {

void ClaimReports::status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) {
  const std::string name = claim.to_string();
  for (const claim::DeviceStatus& device : devices) {
    log_.info((device.ready ? "device is ready"
                            : "device is not ready: " + device.reason + ": " + device.message),
              {{telemetry::key::kClaim, name}, {telemetry::key::kDevice, device.device}});
  }
}

void ClaimReports::forgotten(const claim::ClaimRef& claim) {
  const std::string name = claim.to_string();
  log_.info("claim is unprepared", {{telemetry::key::kClaim, name}});
}

void ClaimReports::event(const claim::ClaimRef& claim, bool warning, std::string reason,
                         std::string message) {
  const std::string name = claim.to_string();
  const std::string text = reason + ": " + message;
  if (warning) {
    log_.warning(text, {{telemetry::key::kClaim, name}});
  } else {
    log_.info(text, {{telemetry::key::kClaim, name}});
  }
}

void ClaimReports::held_changed(claim::HeldSnapshot held) {
  control_.set_held(std::move(held));
}

}  // namespace drasriov::app
