// SPDX-License-Identifier: Apache-2.0
//
// The result of an ADD: read from a plugin's output, and converted between versions (CNI
// specification 1.1, section 5). Pure; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <string_view>

#include "network.hpp"

namespace drasriov::netconf_cni {

/// Bytes of a plugin's standard output that are read; more is refused.
inline constexpr std::size_t kMostOutputBytes = std::size_t{4} << 20U;

/// Checked: interfaces have names, addresses are CIDR, indexes are in range. A result without
/// cniVersion has the request's. kDataLoss, saying what is wrong.
[[nodiscard]] sdk::Result<Json> read_result(std::string_view output,
                                            std::string_view request_version);

/// REQUIRES: `result` came from read_result(); is_spoken(version).
[[nodiscard]] Json convert_result(Json result, std::string_view version);

}  // namespace drasriov::netconf_cni
