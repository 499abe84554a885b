// SPDX-License-Identifier: Apache-2.0
#include "host/claim/plan.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/names.hpp"
#include "host/claim/find_binding.hpp"
#include "host/device/pci_address.hpp"

namespace drasriov::claim {
namespace {

using Json = nlohmann::json;

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Error invalid(std::string message, std::string hint = {}) {
  return Error(Code::kInvalidArgument, std::move(message), std::move(hint));
}

Error refused(std::string message, std::string hint = {}) {
  return Error(Code::kFailedPrecondition, std::move(message), std::move(hint));
}

bool applies(const ConfigEntry& entry, std::string_view request) {
  return entry.requests.empty() ||
         std::ranges::any_of(entry.requests, [&](const std::string& name) {
           return name == request || name == base_request(request);
         });
}

VfConfig merged(const std::vector<ConfigEntry>& configs, std::string_view request) {
  VfConfig config;
  for (const ConfigEntry& entry : configs) {
    if (applies(entry, request)) apply(entry.patch, config);
  }
  return config;
}

Result<device::Device> find_device(const AllocatedDevice& wanted,
                                   const device::Inventory& inventory, std::string_view pool_name) {
  if (wanted.pool != pool_name) {
    return refused(
        "it is of pool " + in_quotes(wanted.pool) + ", this node's pool is " + in_quotes(pool_name),
        "the pool is the node's name: correct nodeName of the driver if it is not "
        "kubelet's, else delete the pod, so that the scheduler chooses again");
  }
  const device::Device* found = inventory.find(wanted.device);
  if (found != nullptr && found->kind == "vf") return *found;
  for (const device::Problem& problem : inventory.problems()) {
    const auto address = device::PciAddress::parse(problem.object);
    if (address && address->device_name() == wanted.device) {
      return Error(Code::kUnavailable, "discovery could not read it: " + problem.message);
    }
  }
  return Error(Code::kNotFound, "there is no such virtual function on this node",
               "the number of virtual functions was changed after the claim was allocated; delete "
               "the pod, so that the "
               "scheduler chooses again");
}

bool owns(const module::Binding& binding, std::string_view field) {
  return std::ranges::find(binding.claim_fields(), field) != binding.claim_fields().end();
}

/// A field or parameters that nobody carries out are an error: silence would look like success.
Status check_owners(const VfConfig& config, const module::Modules& modules) {
  for (const std::string& field : requested_module_fields(config)) {
    if (std::ranges::none_of(modules.binding, [&](const module::Binding* binding) {
          return owns(*binding, field);
        })) {
      return refused("VfConfig." + field + " is set, but no enabled module carries it out",
                     "enable a module that owns this field, or remove the field");
    }
  }
  for (const auto& [instance, parameters] : config.modules) {
    const module::Binding* binding = find_binding(modules, instance);
    if (binding == nullptr) {
      return refused("VfConfig.modules." + instance + ": no enabled binding module has this name",
                     "the names are those of `modules` in the driver's configuration");
    }
    if (auto ok = binding->check_parameters(parameters); !ok) {
      return ok.error().with_context("VfConfig.modules." + instance);
    }
  }
  return {};
}

Status check_network(const VfConfig& config, std::string_view claim_namespace,
                     const PlanSettings& settings, const module::Modules& modules) {
  if (config.net_attach_def_name.empty()) return {};
  if (modules.netconf == nullptr) {
    return refused(
        "VfConfig.netAttachDefName is set, but no enabled module offers netconf/1",
        "enable netconf-cni, or remove the field where another component attaches the network");
  }
  if (modules.runtime_hooks.empty()) {
    return refused(
        "VfConfig.netAttachDefName is set, but no enabled module offers runtime-hooks/1",
        "enable runtime-nri: without it nobody learns when the pod's network namespace is there");
  }
  const std::string& wanted = config.net_attach_def_namespace;
  const auto& allowed = settings.net_attach_def_namespaces;
  if (wanted != claim_namespace && std::ranges::find(allowed, wanted) == allowed.end() &&
      std::ranges::find(allowed, "*") == allowed.end()) {
    return Error(Code::kPermissionDenied,
                 "VfConfig.netAttachDefNamespace " + in_quotes(wanted) +
                     " is neither the claim's namespace nor allowed",
                 "add it to netAttachDefNamespaces in the driver's configuration");
  }
  return {};
}

/// adminAccess looks at a device that others may be using: it is shown, never changed.
Status check_admin(const VfConfig& config) {
  if (requested_module_fields(config).empty() && config.modules.empty() &&
      config.net_attach_def_name.empty())
    return {};
  return refused(
      "the request has adminAccess, which only shows the device, but its VfConfig asks to change "
      "it",
      "name the other requests in the `requests` of that configuration entry");
}

Status check_holder(const AllocatedDevice& device, const Surroundings& surroundings) {
  const auto found = surroundings.holders.find(device.device);
  // adminAccess claims no exclusivity (KEP-5018). A share of a device does: this driver publishes
  // no device that could be prepared for two claims at once.
  if (device.admin_access || found == surroundings.holders.end()) return {};
  const Holder& holder = found->second;
  std::string message = "it is held by claim " + holder.claim.to_string() + " (" +
                        holder.claim.uid + "), " + holder.state;
  if (!holder.cause.empty()) message += ": " + holder.cause;
  if (holder.state == "Undoing") {
    return Error(Code::kUnavailable, std::move(message),
                 "it is freed as soon as it could be put back as it was found");
  }
  return refused(std::move(message), "the device was allocated twice; delete one of the two pods");
}

/// Interfaces that a sandbox has before ours: the loopback, and the cluster's network, which every runtime calls eth0.
constexpr std::array<std::string_view, 2> kNamesOfTheSandbox = {"lo", "eth0"};

bool is_of_the_sandbox(std::string_view name) {
  return std::ranges::find(kNamesOfTheSandbox, name) != kNamesOfTheSandbox.end();
}

/// Gives every device its interface name: what the configuration says, else the one it had before,
/// else the first <prefix><index> that nobody in the pod uses.
Status assign_names(const std::vector<ResolvedDevice>& devices, const Surroundings& surroundings,
                    const std::string& prefix, std::vector<DevicePlan>& plans) {
  std::map<std::string, std::string, std::less<>> used;  // name → by whom
  for (const auto& [name, claim] : surroundings.interface_names)
    used.emplace(name, "claim " + claim.to_string());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const std::string& name = devices[i].config.if_name;
    if (devices[i].allocated.admin_access || name.empty()) continue;
    // Without a network nobody uses the name.
    if (is_of_the_sandbox(name) && !devices[i].config.net_attach_def_name.empty()) {
      return invalid(describe(devices[i].allocated) + ": VfConfig.ifName " + in_quotes(name) +
                         " is the name of an interface that every pod has",
                     "choose another one, like net1, or leave ifName out");
    }
    const auto [other, fresh] = used.emplace(name, describe(devices[i].allocated));
    if (!fresh) {
      return invalid(
          describe(devices[i].allocated) + ": interface name " + in_quotes(name) +
              " is already taken in the pod by " + other->second,
          "leave ifName out for a request of several devices, or give each request its own name");
    }
    plans[i].interface_name = name;
  }
  std::size_t index = 0;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const AllocatedDevice& device = devices[i].allocated;
    if (device.admin_access || !plans[i].interface_name.empty()) continue;
    const auto previous = surroundings.previous_names.find(device.device);
    std::string name =
        previous == surroundings.previous_names.end() ? std::string() : previous->second;
    while (name.empty() || used.contains(name) || is_of_the_sandbox(name))
      name = prefix + std::to_string(index++);
    if (!is_interface_name(name)) {
      return refused(
          describe(device) + ": default interface name " + in_quotes(name) + " is not valid",
          "shorten defaultInterfacePrefix in the driver's configuration");
    }
    used.emplace(name, describe(device));
    plans[i].interface_name = std::move(name);
  }
  return {};
}

std::vector<ChainLink> choose_chain(const Plan& plan, const DevicePlan& device,
                                    const VfConfig& config, const module::Modules& modules) {
  std::vector<ChainLink> chain;
  if (device.allocated.admin_access) return chain;
  const auto requested = requested_module_fields(config);
  for (module::Binding* binding : modules.binding) {
    const auto given = config.modules.find(binding->instance());
    ChainLink link{binding->instance(), given == config.modules.end() ? "{}" : given->second};
    const bool field_set =
        given != config.modules.end() ||
        std::ranges::any_of(requested, [&](const auto& field) { return owns(*binding, field); });
    module::BindingRequest request;
    request.claim_namespace = plan.claim.namespace_;
    request.claim_name = plan.claim.name;
    request.claim_uid = plan.claim.uid;
    request.request = device.allocated.request;
    request.device = &device.published;
    request.config_json = device.config_json;
    request.parameters_json = link.parameters_json;
    request.netconf_json = device.netconf_json;
    request.consumers = &plan.consumers;
    if (binding->handles(request, field_set)) chain.push_back(std::move(link));
  }
  return chain;
}

}  // namespace

bool Plan::changes_machine() const {
  return std::ranges::any_of(devices,
                             [](const DevicePlan& device) { return !device.chain.empty(); });
}

bool Plan::has_network() const {
  return std::ranges::any_of(devices,
                             [](const DevicePlan& device) { return !device.netconf_json.empty(); });
}

std::string describe(const AllocatedDevice& device) {
  return "request " + in_quotes(device.request) + ", device " + device.device;
}

ModuleFields module_fields(const module::Modules& modules) {
  ModuleFields fields;
  for (const module::Binding* binding : modules.binding) {
    fields.insert(binding->claim_fields().begin(), binding->claim_fields().end());
  }
  return fields;
}

Result<std::vector<ResolvedDevice>> resolve(const ClaimObject& claim,
                                            const std::vector<ConfigEntry>& configs,
                                            const device::Inventory& inventory,
                                            const PlanSettings& settings,
                                            const module::Modules& modules) {
  if (claim.consumers.empty()) {
    return refused("status.reservedFor is empty: no pod may use it",
                   "the scheduler reserves a claim for its pods; the pod was deleted, or its "
                   "nodeName was set by hand");
  }
  if (modules.cdi == nullptr) {
    return refused("no enabled module offers cdi/1, so containers would not get their devices",
                   "enable the module cdi");
  }
  std::vector<ResolvedDevice> resolved;
  resolved.reserve(claim.devices.size());
  std::set<std::string_view> seen;
  for (const AllocatedDevice& wanted : claim.devices) {
    if (!seen.insert(wanted.device).second) {
      return refused(describe(wanted) + ": it is allocated twice to this claim",
                     "one device serves one request; ask for it once");
    }
    auto found = find_device(wanted, inventory, settings.pool_name);
    if (!found) return found.error().with_context(describe(wanted));
    ResolvedDevice device{wanted, merged(configs, wanted.request), std::move(*found)};
    VfConfig& config = device.config;
    if (!config.net_attach_def_name.empty() && config.net_attach_def_namespace.empty()) {
      config.net_attach_def_namespace = claim.ref.namespace_;
    }
    Status ok = wanted.admin_access ? check_admin(config) : check_owners(config, modules);
    if (ok) ok = check_network(config, claim.ref.namespace_, settings, modules);
    if (!ok) return ok.error().with_context(describe(wanted));
    resolved.push_back(std::move(device));
  }
  return resolved;
}

std::set<cluster::ObjectKey> networks_of(const std::vector<ResolvedDevice>& devices) {
  std::set<cluster::ObjectKey> keys;
  for (const ResolvedDevice& device : devices) {
    if (device.config.net_attach_def_name.empty()) continue;
    keys.insert({device.config.net_attach_def_namespace, device.config.net_attach_def_name});
  }
  return keys;
}

Result<std::string> network_config(const Json& net_attach_def) {
  const auto spec = net_attach_def.is_object() ? net_attach_def.find("spec") : net_attach_def.end();
  const bool has_spec =
      net_attach_def.is_object() && spec != net_attach_def.end() && spec->is_object();
  const auto config = has_spec ? spec->find("config") : Json::const_iterator();
  if (!has_spec || config == spec->end() || !config->is_string() ||
      config->get_ref<const std::string&>().empty()) {
    return invalid(
        "spec.config is missing or empty",
        "this driver reads the CNI configuration from the object, not from a file on the node");
  }
  const auto& text = config->get_ref<const std::string&>();
  const Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return invalid("spec.config is not valid JSON");
  if (!parsed.is_object() || (!parsed.contains("type") && !parsed.contains("plugins"))) {
    return invalid("spec.config is not a CNI configuration",
                   "want an object with \"type\", or a list with \"plugins\"");
  }
  return text;
}

Result<Plan> make_plan(const ClaimObject& claim, std::vector<ResolvedDevice> devices,
                       const Networks& networks, const Surroundings& surroundings,
                       const PlanSettings& settings, const module::Modules& modules) {
  Plan plan;
  plan.claim = claim.ref;
  plan.consumers = claim.consumers;
  plan.pod_uid = claim.pod_uid();
  plan.devices.resize(devices.size());
  for (const ResolvedDevice& device : devices) {
    if (auto ok = check_holder(device.allocated, surroundings); !ok) {
      return ok.error().with_context(describe(device.allocated));
    }
  }
  if (auto ok = assign_names(devices, surroundings, settings.interface_prefix, plan.devices); !ok) {
    return std::move(ok).error();
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    DevicePlan& planned = plan.devices[i];
    VfConfig& config = devices[i].config;
    config.if_name = planned.interface_name;
    planned.allocated = std::move(devices[i].allocated);
    planned.published = std::move(devices[i].published);
    planned.net_attach_def_name = config.net_attach_def_name;
    planned.config_json = to_json(config, settings.driver_name);
    if (planned.config_json.size() > kMaxParameterBytes) {
      return invalid(describe(planned.allocated) + ": the merged VfConfig has " +
                         std::to_string(planned.config_json.size()) + " bytes, the API takes " +
                         std::to_string(kMaxParameterBytes),
                     "shorten the parameters of `modules`");
    }
    if (!config.net_attach_def_name.empty()) {
      planned.netconf_json =
          networks.at({config.net_attach_def_namespace, config.net_attach_def_name});
    }
    planned.chain = choose_chain(plan, planned, config, modules);
  }
  return plan;
}

}  // namespace drasriov::claim
