// SPDX-License-Identifier: Apache-2.0
//
// The rules by which container runtimes read a CDI spec file, applied before we write one: a file
// that breaks one of them is refused as a whole, and with it every container that names one of its
// devices. Pure functions of text; any thread.
//
// Deliberately not shared with the code of the host that builds the documents: a guard that uses
// what it guards finds nothing. Rules: CDI specification 1.1.0, and the readers of the runtimes
// from library 0.5 to 1.1.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <string_view>

namespace drasriov::cdi {

/// INVALID_ARGUMENT unless `kind` is "<vendor>/<class>" in CDI's grammar. Two characters at least
/// in each part: one makes readers up to library 1.1.0 crash. Safe in a file name but for the '/'.
[[nodiscard]] sdk::Status check_kind(std::string_view kind);

/// INVALID_ARGUMENT with the path and the broken rule ("devices[0].containerEdits.env[1]: …")
/// unless `spec_json` is a CDI document of kind `kind` that every runtime reads which knows its
/// cdiVersion. The version must be the lowest that the contents allow, because older runtimes
/// refuse newer files.
[[nodiscard]] sdk::Status check_spec(std::string_view spec_json, std::string_view kind);

}  // namespace drasriov::cdi
