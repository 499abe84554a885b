// SPDX-License-Identifier: Apache-2.0
//
// Where a plugin's executable is: the first regular file of that name in the search path. Reads the
// file system that `root` names; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace drasriov::netconf_cni {

/// Absolute path as seen inside of `root` ("" = this process's own root). kNotFound with a hint;
/// kPermissionDenied when no directory could be looked into.
[[nodiscard]] sdk::Result<std::string> find_plugin(const std::vector<std::string>& dirs,
                                                   std::string_view type, const std::string& root);

}  // namespace drasriov::netconf_cni
