// SPDX-License-Identifier: Apache-2.0
//
// VfConfig: the opaque parameters that a DeviceClass or a claim gives this driver. Decoded
// strictly, merged field by field. Pure functions of values; any thread.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::claim {

/// What the API server allows for one `opaque.parameters`, and for `status.devices[].data`.
inline constexpr std::size_t kMaxParameterBytes = 10240;
/// Deeper parameters are refused before anything recursive looks at them.
inline constexpr int kMaxParameterDepth = 16;

/// The effective configuration of one device. The default value means: leave the device as it is,
/// no network step.
struct VfConfig {
  std::string driver;                    ///< "" as it is, "default", or a kernel driver's name
  std::string if_name;                   ///< "" = <prefix><index>
  std::string net_attach_def_name;       ///< "" = no network step
  std::string net_attach_def_namespace;  ///< "" = the claim's
  bool add_vhost_mount = false;
  /// Further fields, which a binding module declared as its claim fields: JSON text by field name.
  std::map<std::string, std::string, std::less<>> module_fields;
  /// Parameters of modules: a JSON object as text by instance name.
  std::map<std::string, std::string, std::less<>> modules;

  friend bool operator==(const VfConfig&, const VfConfig&) = default;
};

/// One configuration entry: the fields that it names. A field that is present wins over an earlier
/// entry's also when it is empty, so that a claim can say `driver: ""` over its class.
struct VfConfigPatch {
  std::optional<std::string> driver;
  std::optional<std::string> if_name;
  std::optional<std::string> net_attach_def_name;
  std::optional<std::string> net_attach_def_namespace;
  std::optional<bool> add_vhost_mount;
  std::map<std::string, std::string, std::less<>> module_fields;
  std::map<std::string, std::string, std::less<>> modules;

  friend bool operator==(const VfConfigPatch&, const VfConfigPatch&) = default;
};

/// Fields beside VfConfig's own that decode_vf_config() takes: the claim fields of the enabled
/// binding modules.
using ModuleFields = std::set<std::string, std::less<>>;

/// Decodes `parameters` of {apiVersion: "<driver_name>/v1alpha1", kind: VfConfig, …}. `path` is
/// where it stands in the claim and opens every message. A field that is null counts as absent, as
/// everywhere in the Kubernetes API. Errors: INVALID_ARGUMENT with the path of the field: too large
/// or deep, not an object, unknown field, wrong type, other apiVersion or kind, a value that is no
/// driver's, interface's or object's name.
[[nodiscard]] Result<VfConfigPatch> decode_vf_config(const nlohmann::json& parameters,
                                                     std::string_view driver_name,
                                                     const ModuleFields& module_fields,
                                                     const std::string& path);

/// Lays `patch` over `config`, field by field; `modules` instance by instance.
void apply(const VfConfigPatch& patch, VfConfig& config);

/// The whole configuration as JSON text, every field present, keys in a fixed order: what binding
/// modules are told and what status.devices[].data shows.
[[nodiscard]] std::string to_json(const VfConfig& config, std::string_view driver_name);

/// Names of the fields that ask for something (differ from the default) and that only a module can
/// carry out: "driver", "addVhostMount" and module_fields.
[[nodiscard]] std::set<std::string, std::less<>> requested_module_fields(const VfConfig& config);

}  // namespace drasriov::claim
