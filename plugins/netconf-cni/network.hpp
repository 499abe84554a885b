// SPDX-License-Identifier: Apache-2.0
//
// Network: spec.config of a NetworkAttachmentDefinition, a single plugin or a list, and what of it
// each plugin reads on its standard input (CNI specification 1.1, sections 1 and 3). Pure values;
// any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::netconf_cni {

using Json = nlohmann::json;

/// What a definition may have at most. The API server takes 1.5 MiB of a whole object.
inline constexpr std::size_t kMostConfigBytes = std::size_t{1} << 20U;

/// A JSON object of at most `most_bytes` and 64 levels, or kInvalidArgument: "`what` is no JSON
/// object: …".
[[nodiscard]] sdk::Result<Json> parse_object(std::string_view text, std::string_view what,
                                             std::size_t most_bytes);

/// Whether a CNI version is `floor` or newer. REQUIRES: both are of those that we speak.
[[nodiscard]] bool at_least(std::string_view version, std::string_view floor);
/// 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0.
[[nodiscard]] bool is_spoken(std::string_view version);

struct Network {
  std::string name;
  std::string version;  ///< one that is_spoken()
  bool disable_check = false;
  bool disable_gc = false;
  std::vector<Json> plugins;  ///< as written; never empty, each with a `type`

  /// kInvalidArgument, naming the key.
  [[nodiscard]] static sdk::Result<Network> read(std::string_view config_json);

  [[nodiscard]] std::string type(std::size_t plugin) const;
  /// Every executable that an ADD needs: the plugins', and those of their `ipam`.
  [[nodiscard]] std::vector<std::string> executables() const;
};

/// What the runtime adds to each plugin's configuration.
struct Additions {
  std::string device_id;  ///< PCI address; empty in STATUS and GC
  Json capability_args = Json::object();
  Json previous_result;  ///< null = none
};

/// The standard input of one plugin: its configuration with name, cniVersion, deviceID, pciBusID,
/// prevResult and the runtimeConfig of those capabilities that it declares.
[[nodiscard]] Json plugin_input(const Network& network, std::size_t plugin, const Additions& add);

/// CNI specification, "CNI_CONTAINERID", "CNI_IFNAME" and "name": kInvalidArgument.
[[nodiscard]] sdk::Status check_names(const Network& network, std::string_view container_id,
                                      std::string_view interface_name);

}  // namespace drasriov::netconf_cni
