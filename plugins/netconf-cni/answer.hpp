// SPDX-License-Identifier: Apache-2.0
//
// What a plugin that ended says: success, or an error with a hint for what real plugins are known to
// fail at (CNI specification 1.1, section 5 "Error"). Pure; any thread.
#pragma once

#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>

namespace drasriov::netconf_cni {

/// CNI error code 3: there is nothing to clean up.
inline constexpr int kContainerUnknown = 3;

struct PluginFailure {
  int code = 0;  ///< of the CNI specification; 0 = the plugin named none
  sdk::Error error;
};

/// A DEL that failed because there is nothing left to take back, which is success.
[[nodiscard]] bool nothing_to_delete(const PluginFailure& failure);

/// REQUIRES: the program did not exit with 0.
[[nodiscard]] PluginFailure read_failure(const sdk::ExecResult& ended);

/// At most `most` bytes of it, printable ASCII and single spaces only: plugins write anything.
[[nodiscard]] std::string excerpt(std::string_view text, std::size_t most);

}  // namespace drasriov::netconf_cni
