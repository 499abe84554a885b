// SPDX-License-Identifier: Apache-2.0
//
// A file of API objects: YAML (several documents) or JSON, read to JSON with the types of
// YAML 1.2's core schema and written back as block YAML. Free functions; any thread.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::cluster {

/// Whether the folder's reader looks at a file of that name: *.yaml, *.yml, *.json, not hidden.
[[nodiscard]] bool is_object_file(std::string_view name);

/// The documents of `text`, empty ones left out; `v1` Lists are taken apart. The error names line
/// and column.
[[nodiscard]] Result<std::vector<nlohmann::json>> parse_documents(const std::string& text);

/// The documents as YAML, separated by "---".
[[nodiscard]] std::string print_documents(const std::vector<nlohmann::json>& documents);

}  // namespace drasriov::cluster
