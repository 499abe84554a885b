// SPDX-License-Identifier: Apache-2.0
//
// Events about what this node has to offer: on filters and on the Node. Pure functions of values.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/device/inventory.hpp"
#include "host/policy/advertise.hpp"
#include "host/publish/event_object.hpp"

namespace drasriov::app {

/// A SriovResourceFilter; its API group is the driver's name. `object` is "namespace/name".
[[nodiscard]] publish::Subject filter_subject(std::string_view driver_name, std::string_view object,
                                              std::string_view uid);

/// One for each filter that loses, however many devices are concerned.
[[nodiscard]] std::set<publish::Event> conflict_events(
    const std::vector<policy::Conflict>& conflicts, std::string_view driver_name);

/// All problems of the inventory in one; nullopt without any.
[[nodiscard]] std::optional<publish::Event> problem_event(std::span<const device::Problem> problems,
                                                          std::string_view node_name);

/// The machine cannot be looked at.
[[nodiscard]] publish::Event scan_event(const Error& error, std::string_view node_name);

/// `instance` is left out, or keeps the driver from starting.
[[nodiscard]] publish::Event module_event(std::string_view instance, const Error& error,
                                          std::string_view node_name);

/// Filters cannot be followed: devices have no resource names, or those of the filters known before.
[[nodiscard]] publish::Event filters_event(const Error& error, std::string_view node_name);

}  // namespace drasriov::app
