// SPDX-License-Identifier: Apache-2.0
//
// The directories for vhost-user sockets on the node: <socketDir>/<claim UID>/<device>. A container
// may put anything into its own, so nothing of it is followed. Stateless; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <filesystem>
#include <string_view>

#include "settings.hpp"

namespace drasriov::mount_vhost {

/// kInvalidArgument when socket_dir is no absolute path, or one of the names could leave it.
[[nodiscard]] sdk::Result<std::filesystem::path> socket_directory(
    const std::filesystem::path& socket_dir, std::string_view claim_uid,
    std::string_view device_name);

/// Made with owner, mode and label; one that is there gets them again. Errors name the path.
[[nodiscard]] sdk::Status make_socket_directory(const Settings& settings,
                                                const std::filesystem::path& directory);

/// With all that is in it, and the claim's when this was its last. Success when it is not there. kFailedPrecondition when the
/// claim's directory is none that this module has made: a link, or somebody else's; nothing is removed then.
/// REQUIRES: `directory` is of socket_directory().
[[nodiscard]] sdk::Status remove_socket_directory(const std::filesystem::path& directory);

}  // namespace drasriov::mount_vhost
