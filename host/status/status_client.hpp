// SPDX-License-Identifier: Apache-2.0
//
// read_status(): what the running driver says of itself, for the commands of the binary. Blocks up to the deadline;
// any thread.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"

namespace drasriov::status {

/// `apiVersion` and `kind` of the document. A later version only adds members; a change that breaks a reader gets a new
/// number.
inline constexpr std::string_view kApiVersion = "status.dra-driver-sriov/v1";
inline constexpr std::string_view kStatusKind = "DriverStatus";

/// The document as the driver of `data_directory` sent it, checked to be a JSON object of kApiVersion and kStatusKind.
///   NOT_FOUND          no driver runs: there is no socket, or nobody listens on it (its process was killed)
///   PERMISSION_DENIED  the socket is root's
///   DEADLINE_EXCEEDED  it does not answer in time
///   DATA_LOSS          the answer is cut short or no such document
///   FAILED_PRECONDITION  it speaks another version
[[nodiscard]] Result<nlohmann::json> read_status(const std::filesystem::path& data_directory,
                                                 Deadline deadline);

}  // namespace drasriov::status
