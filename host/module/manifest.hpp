// SPDX-License-Identifier: Apache-2.0
//
// Manifest: what a module says about itself in its ELF note (sdk/include/drasriov/abi/module.h),
// and whether this host can take it. Values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::module {

struct AbiVersion {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  /// "1.0"
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const AbiVersion&, const AbiVersion&) = default;
};

struct Manifest {
  AbiVersion abi;       ///< of the headers it was built with
  AbiVersion min_host;  ///< the oldest host that it works with
  std::string name;
  std::string version;
  std::string vendor;
  std::string license;
  std::vector<std::string> capabilities;  ///< "discovery/1", in the module's order
  std::string compiler;
  std::string sanitizer = "none";  ///< "none", "address" or "thread"
};

/// What a module must agree with.
struct HostAbi {
  AbiVersion abi;
  std::string_view sanitizer;

  /// This binary's own.
  [[nodiscard]] static HostAbi of_this_build() noexcept;
};

/// INVALID_ARGUMENT, naming the key, for JSON that is damaged, incomplete or of another schema.
/// Unknown keys are ignored: a newer SDK may say more.
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view note);

/// FAILED_PRECONDITION when the module was built for another major, for a newer host, or with
/// another sanitizer.
[[nodiscard]] Status check_compatible(const Manifest& manifest, const HostAbi& host);

/// FAILED_PRECONDITION, naming what is missing, when a module offers less than the configuration
/// expects of it.
[[nodiscard]] Status check_offered(const std::vector<std::string>& offered,
                                   const std::vector<std::string>& expected);

/// "discovery/1": [a-z0-9.-]+ '/' [0-9]+.
[[nodiscard]] bool is_capability_id(std::string_view text) noexcept;

/// "a, b and c"
[[nodiscard]] std::string join_names(const std::vector<std::string>& names);

}  // namespace drasriov::module
