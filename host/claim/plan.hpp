// SPDX-License-Identifier: Apache-2.0
//
// Plan: what preparing a claim will do, decided before anything is touched. Every input error ends
// here. Pure functions of values and of the modules' own pure answers (claim_fields,
// check_parameters, handles); any thread, no locks held.
//
//   resolve()          allocation + configuration + inventory  → what each device is asked to be
//   networks_of()      the NetworkAttachmentDefinitions that the caller reads now
//   make_plan()        + their contents + what the node's other claims hold → Plan
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/claim/allocation.hpp"
#include "host/claim/claim_service.hpp"
#include "host/claim/vf_config.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/device/inventory.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::claim {

struct PlanSettings {
  std::string driver_name;
  std::string pool_name;  ///< the node's name
  std::string interface_prefix = "vfnet";
  /// Namespaces besides the claim's own whose NetworkAttachmentDefinitions may be used; "*" = any.
  std::vector<std::string> net_attach_def_namespaces;
};

/// One allocated device and what the configuration makes of it.
struct ResolvedDevice {
  AllocatedDevice allocated;
  VfConfig config;           ///< net_attach_def_namespace is filled in when there is a name
  device::Device published;  ///< as discovery shows it at rest
};

/// A binding module that takes part in a device.
struct ChainLink {
  std::string instance;
  std::string parameters_json;  ///< VfConfig.modules.<instance> or "{}"
  friend bool operator==(const ChainLink&, const ChainLink&) = default;
};

struct DevicePlan {
  AllocatedDevice allocated;
  std::string interface_name;       ///< empty for adminAccess
  std::string net_attach_def_name;  ///< as in the configuration
  std::string config_json;          ///< effective VfConfig
  std::string netconf_json;         ///< CNI configuration verbatim; empty = no network step
  device::Device published;
  std::vector<ChainLink> chain;  ///< in call order
  friend bool operator==(const DevicePlan&, const DevicePlan&) = default;
};

struct Plan {
  ClaimRef claim;
  std::vector<module::Consumer> consumers;
  std::optional<std::string> pod_uid;  ///< set when exactly one pod reserves the claim
  std::vector<DevicePlan> devices;     ///< in the order of the allocation

  /// Whether a binding module takes part: only then the intent has to be durable before the first
  /// call.
  [[nodiscard]] bool changes_machine() const;
  [[nodiscard]] bool has_network() const;
  friend bool operator==(const Plan&, const Plan&) = default;
};

/// Who holds a device that this claim was given.
struct Holder {
  ClaimRef claim;
  std::string state;  ///< as HeldDevice::state
  std::string cause;  ///< why it still holds it, when it should not; may be empty
};

/// What the node's other claims use; only what concerns this claim's devices and pods.
struct Surroundings {
  std::map<std::string, Holder, std::less<>> holders;  ///< by device name
  std::map<std::string, ClaimRef, std::less<>>
      interface_names;  ///< of the other claims of these pods
  std::map<std::string, std::string, std::less<>>
      previous_names;  ///< this claim's own before a reboot, by device name
};

/// spec.config by NetworkAttachmentDefinition.
using Networks = std::map<cluster::ObjectKey, std::string>;

/// Errors: INVALID_ARGUMENT and FAILED_PRECONDITION for input, naming request and device; NOT_FOUND
/// for a device that is not on this node; UNAVAILABLE when discovery failed to read it.
[[nodiscard]] Result<std::vector<ResolvedDevice>> resolve(const ClaimObject& claim,
                                                          const std::vector<ConfigEntry>& configs,
                                                          const device::Inventory& inventory,
                                                          const PlanSettings& settings,
                                                          const module::Modules& modules);

[[nodiscard]] std::set<cluster::ObjectKey> networks_of(const std::vector<ResolvedDevice>& devices);

/// spec.config of a NetworkAttachmentDefinition, verbatim. INVALID_ARGUMENT when it is no JSON
/// object with a "type" or "plugins".
[[nodiscard]] Result<std::string> network_config(const nlohmann::json& net_attach_def);

/// Errors: FAILED_PRECONDITION for a device that another claim holds (UNAVAILABLE while that claim
/// is being undone); INVALID_ARGUMENT for two equal interface names. REQUIRES: `networks` holds all
/// of networks_of(devices).
[[nodiscard]] Result<Plan> make_plan(const ClaimObject& claim, std::vector<ResolvedDevice> devices,
                                     const Networks& networks, const Surroundings& surroundings,
                                     const PlanSettings& settings, const module::Modules& modules);

/// The claim fields of all binding modules, beside VfConfig's own.
[[nodiscard]] ModuleFields module_fields(const module::Modules& modules);

/// `request "main", device 0000-08-00-2`: how messages name one device of a claim.
[[nodiscard]] std::string describe(const AllocatedDevice& device);

}  // namespace drasriov::claim
