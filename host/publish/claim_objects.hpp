// SPDX-License-Identifier: Apache-2.0
//
// What the driver writes about a claim, as API objects: entries of status.devices and events. Pure functions of values.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/claim/claim_service.hpp"

namespace drasriov::publish {

using Time = std::chrono::system_clock::time_point;

/// RFC 3339 in UTC with whole seconds (metav1.Time), "2026-01-02T03:04:05Z".
[[nodiscard]] std::string api_time(Time time);
/// With microseconds (metav1.MicroTime), "2026-01-02T03:04:05.000000Z".
[[nodiscard]] std::string api_micro_time(Time time);

/// The configuration to apply (server-side) to the claim's status: all entries of this driver, with conditions Ready and,
/// for a device with a network step, NetworkReady; `data` is the effective VfConfig and nothing else. `previous` is what
/// was applied last (or null): lastTransitionTime is kept where the condition's status is the same.
[[nodiscard]] nlohmann::json claim_status_object(const claim::ClaimRef& claim,
                                                 const std::vector<claim::DeviceStatus>& devices,
                                                 const nlohmann::json& previous, Time now);

/// Who reports an event.
struct Reporter {
  std::string controller;  ///< the driver's name
  std::string instance;    ///< the node's name
};

/// An events.k8s.io/v1 Event regarding the claim, seen `count` times between `first` and `last`.
[[nodiscard]] nlohmann::json claim_event_object(const Reporter& reporter,
                                                const claim::ClaimRef& claim, bool warning,
                                                std::string_view reason, std::string_view note,
                                                Time first, Time last, int count);

}  // namespace drasriov::publish
