// SPDX-License-Identifier: Apache-2.0
//
// From what an operator wrote to a Configuration, and back to text. Pure but for load()'s one file;
// any thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"

namespace drasriov::config {

inline constexpr std::string_view kDefaultFile = "/etc/dra-driver-sriov/config.yaml";

/// Everything that has a say, weakest first: defaults, file, environment, flags.
struct Sources {
  std::filesystem::path file = kDefaultFile;
  bool file_required = false;  ///< it was named: not being there is an error
  Environment environment;
  std::map<std::string, std::string, std::less<>> flags;  ///< by Setting::flag, without "--"
};

/// The whole configuration, checked. An error says where the wrong value was written:
/// "FILE:line:column: key: …", "environment variable X: …" or "flag --x: …". An empty environment
/// variable counts as not set.
[[nodiscard]] Result<Configuration> load(const Sources& sources);

/// The file's part of load(): `text` of the file `name` over what `configuration` holds.
[[nodiscard]] Status apply_file(Configuration& configuration, std::string_view text,
                                std::string_view name, const Environment& environment);

/// The modules that a configuration without `modules` has: every in-tree module of this build, in
/// call order.
[[nodiscard]] std::vector<ModuleEntry> default_modules();

/// A file that gives this configuration again.
[[nodiscard]] std::string to_yaml(const Configuration& configuration);

}  // namespace drasriov::config
