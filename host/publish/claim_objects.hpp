// SPDX-License-Identifier: Apache-2.0
//
// What the driver writes about a claim, as API objects: entries of status.devices. Pure functions of values.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/claim/claim_service.hpp"
#include "host/publish/api_time.hpp"
#include "host/publish/event_object.hpp"

namespace drasriov::publish {

/// The configuration to apply (server-side) to the claim's status: all entries of this driver, with conditions Ready and,
/// for a device with a network step, NetworkReady; `data` is the effective VfConfig and nothing else. `previous` is what
/// was applied last (or null): lastTransitionTime is kept where the condition's status is the same.
[[nodiscard]] nlohmann::json claim_status_object(const claim::ClaimRef& claim,
                                                 const std::vector<claim::DeviceStatus>& devices,
                                                 const nlohmann::json& previous, Time now);

/// The entries of `driver` in the status of a claim as the server has it, in the form of claim_status_object(); null when
/// it has none.
[[nodiscard]] nlohmann::json written_status(const nlohmann::json& claim, const std::string& driver);

[[nodiscard]] Subject claim_subject(const claim::ClaimRef& claim);

}  // namespace drasriov::publish
