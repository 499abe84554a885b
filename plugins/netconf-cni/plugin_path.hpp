// SPDX-License-Identifier: Apache-2.0
//
// Where a plugin's executable is: the first regular file of that name in the search path. Reads the
// file system that `root` names ("" = this process's own root); any thread.
#pragma once

#include <sys/stat.h>

#include <drasriov/sdk/result.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace drasriov::netconf_cni {

/// stat(2) of what `path` names inside of `root`, whose absolute links lead there too. 0, or an errno.
[[nodiscard]] int stat_inside(const std::string& root, const std::string& path,
                              struct stat& status);

/// Absolute path as seen inside of `root`. kNotFound with a hint;
/// kPermissionDenied when no directory could be looked into.
[[nodiscard]] sdk::Result<std::string> find_plugin(const std::vector<std::string>& dirs,
                                                   std::string_view type, const std::string& root);

}  // namespace drasriov::netconf_cni
