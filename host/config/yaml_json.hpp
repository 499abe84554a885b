// SPDX-License-Identifier: Apache-2.0
//
// A YAML node as JSON, with the types of YAML's core schema (1.2): what a module's configuration is
// handed over as. Pure; any thread.
#pragma once

#include <yaml-cpp/node/node.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/base/result.hpp"
#include "host/config/environment.hpp"

namespace drasriov::config {

/// Maps and lists are converted whole; plain scalars become null, boolean, number or string, quoted
/// ones strings; "${…}" is expanded unless `environment` is null. An error begins with
/// "line:column: ": a key that is no text or stands twice, a tag, a number that JSON has none for,
/// more than 64 levels or 100,000 nodes (aliases count each time).
[[nodiscard]] Result<nlohmann::json> yaml_to_json(const YAML::Node& node,
                                                  const Environment* environment);

/// Levels of maps and lists in a document; far more than the API or a configuration has, and little
/// enough for code that descends by recursion.
inline constexpr int kDeepestYaml = 64;

/// The error of a document that goes deeper there.
[[nodiscard]] Error too_deep(const YAML::Mark& mark);

/// "12:3", counted from 1; where a message about `node` points.
[[nodiscard]] std::string position(const YAML::Node& node);

/// Whether the scalar was written without quotes, so that its type follows from its text.
[[nodiscard]] bool is_plain(const YAML::Node& node);

}  // namespace drasriov::config
