// SPDX-License-Identifier: Apache-2.0
//
// Where "builtin:NAME" modules are. Reads the file system; any thread.
#pragma once

#include <filesystem>

#include "host/base/result.hpp"

namespace drasriov::app {

/// `configured` when it is given; else, seen from the executable's directory,
/// ../lib/dra-driver-sriov/modules (installed) or modules (build tree), whichever is there.
/// NOT_FOUND when neither is.
[[nodiscard]] Result<std::filesystem::path> builtin_directory(
    const std::filesystem::path& configured, const std::filesystem::path& executable);

/// The file of this process.
[[nodiscard]] Result<std::filesystem::path> own_executable();

}  // namespace drasriov::app
