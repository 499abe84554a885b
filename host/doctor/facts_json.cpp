// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "host/doctor/facts.hpp"

namespace nlohmann {

template <typename T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    if (value) {
      out = *value;
    } else {
      out = nullptr;
    }
  }
  static void from_json(const json& in, std::optional<T>& value) {
    if (in.is_null()) {
      value.reset();
    } else {
      value = in.get<T>();
    }
  }
};

}  // namespace nlohmann

namespace drasriov::doctor {

NLOHMANN_JSON_SERIALIZE_ENUM(DirectoryUse, {{DirectoryUse::kRoot, "root"},
                                            {DirectoryUse::kNetns, "netns"},
                                            {DirectoryUse::kKubelet, "kubelet"},
                                            {DirectoryUse::kState, "state"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Setup, driver_name, node_name, filter_namespace,
                                                cluster, plugins_directory, registrar_directory,
                                                data_directory, cdi_root, uses_hooks, uses_binding,
                                                uses_netconf)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Directory, name, path, use, exists, readable,
                                                writable, error, on_tmpfs, total_bytes, free_bytes,
                                                total_inodes, free_inodes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Permissions, known, capabilities, open_files,
                                                inotify_instances, inotify_watches)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(KernelModule, name, loaded, builtin, loadable)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Kernel, release, command_line, cpu_vendor,
                                                iommu_groups, noiommu_mode, modules_listed, modules)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PhysicalFunction, address, driver, total_vfs, vfs,
                                                autoprobe)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(VirtualFunction, address, pf, driver,
                                                driver_override, has_interface)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ConfigFile, path, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Runtime, name, version, running, files, nri_enabled,
                                                nri_socket, nri_socket_exists,
                                                nri_request_timeout_ms, cdi_enabled,
                                                cdi_directories)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Hook, path, tried, runs, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Kubelet, running, version, root_directory, dra_gate)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Module, name, file, sha256, passed, required,
                                                problem, hint)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ClaimFile, uid, claim, state, devices, last_error,
                                                damage, quarantined, stale)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Instances, lock_held, owner, processes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ApiAccess, what, code, message)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Cluster, access, filters_elsewhere)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Facts, format, setup, host_visible, directories,
                                                permissions, kernel, pfs, vfs, runtime, hook,
                                                kubelet, modules, claims, instances, cluster)

nlohmann::json facts_to_json(const Facts& facts) {
  return facts;
}

Result<Facts> facts_from_json(const nlohmann::json& json) {
  try {
    auto facts = json.get<Facts>();
    if (!json.contains("format") || facts.format != Facts().format) {
      return Error(Code::kInvalidArgument, "facts: format is not " + std::to_string(Facts().format),
                   "use the driver's version that made the file");
    }
    return facts;
  } catch (const nlohmann::json::exception& e) {
    return Error(Code::kInvalidArgument, std::string("facts: ") + e.what(),
                 "give the file facts.json of a bundle");
  }
}

}  // namespace drasriov::doctor
