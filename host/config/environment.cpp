// SPDX-License-Identifier: Apache-2.0
#include "host/config/environment.hpp"

namespace drasriov::config {

Environment environment_of(const char* const* entries) {
  Environment environment;
  for (; *entries != nullptr; ++entries) {
    const std::string_view entry(*entries);
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

Result<std::string> expand(std::string_view text, const Environment& environment) {
  std::string out;
  for (;;) {
    const auto start = text.find("${");
    out.append(text.substr(0, start));
    if (start == std::string_view::npos) return out;
    text.remove_prefix(start + 2);
    if (out.ends_with('$')) {  // "$${"
      out += '{';
      continue;
    }
    const auto end = text.find('}');
    if (end == std::string_view::npos) {
      return Error(Code::kInvalidArgument, "'${' without '}'",
                   "write $${ where ${ itself is meant");
    }
    const std::string_view name = text.substr(0, end);
    const auto variable = environment.find(name);
    if (variable == environment.end()) {
      return Error(Code::kNotFound, "environment variable '" + std::string(name) + "' is not set",
                   "set it for the driver's container, or write $${ where ${ itself is meant");
    }
    out.append(variable->second);
    text.remove_prefix(end + 1);
  }
}

}  // namespace drasriov::config
