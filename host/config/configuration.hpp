// SPDX-License-Identifier: Apache-2.0
//
// Configuration: what the file, the environment and the flags say, validated. A value, built once
// at start; any thread. Names and defaults: docs/configuration.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace drasriov::config {

/// Where this machine's trees are. Nothing else in the program spells these paths.
struct Roots {
  std::filesystem::path sys = "/sys";
  std::filesystem::path dev = "/dev";
  std::filesystem::path proc = "/proc";
  std::filesystem::path netns = "/var/run/netns";
};

enum class FailurePolicy {
  kFail,    ///< the driver does not start without the module
  kIgnore,  ///< it starts, warns and counts
};

/// One entry of `modules`, in call order.
struct ModuleEntry {
  std::string name;    ///< instance name, DNS label, unique
  std::string module;  ///< "builtin:NAME" or an absolute path
  bool enabled = true;
  std::vector<std::string> capabilities;  ///< expected; the file must offer at least these
  FailurePolicy failure_policy = FailurePolicy::kFail;
  std::string config_json = "{}";  ///< checked against the module's schema when it is loaded
  std::string sha256;              ///< 64 hexadecimal digits or empty
};

enum class Advertise {
  kAll,       ///< every VF
  kFiltered,  ///< only VFs that a SriovResourceFilter matches
};

enum class LogFormat { kText, kJson };

struct Configuration {
  std::string driver_name = "sriovnetwork.openshift.io";
  std::string node_name;
  std::string namespace_ = "dra-sriov-driver";  ///< where SriovResourceFilters live
  std::filesystem::path cluster_directory;      ///< of `cluster: dir:PATH`; empty = `cluster: kube`
  std::filesystem::path kubeconfig;             ///< empty = in-cluster
  double kube_api_qps = 5;
  int kube_api_burst = 10;
  Advertise advertise = Advertise::kAll;

  Roots roots;
  std::filesystem::path kubelet_plugins_directory = "/var/lib/kubelet/plugins";
  std::filesystem::path kubelet_registrar_directory = "/var/lib/kubelet/plugins_registry";
  std::filesystem::path cdi_root = "/var/run/cdi";
  std::filesystem::path
      module_directory;  ///< of builtin modules; empty = beside the executable (see app/)
  std::filesystem::path hook_directory;  ///< empty = data_directory()

  int healthcheck_port =
      -1;  ///< -1 off, 0 any free port, else the TCP port on loopback or `healthcheck_address`
  std::string healthcheck_address = "127.0.0.1";
  int metrics_port = -1;  ///< the same for `GET /metrics`
  std::string metrics_address = "127.0.0.1";
  std::string default_interface_prefix = "vfnet";
  std::string nri_plugin_name = "dra-driver-sriov";
  std::string nri_plugin_index = "42";
  /// Namespaces besides the claim's own whose NetworkAttachmentDefinitions may be used; "*" = any.
  std::vector<std::string> net_attach_def_namespaces;

  int verbosity = 0;  ///< 0-9; from 4 on debug lines
  LogFormat log_format = LogFormat::kText;
  bool insecure_dev = false;  ///< relaxes the ownership rules of module files

  std::vector<ModuleEntry>
      modules;  ///< in call order; load() fills in default_modules() for a file without the key

  /// <plugins dir>/<driver name>
  [[nodiscard]] std::filesystem::path data_directory() const {
    return kubelet_plugins_directory / driver_name;
  }
  /// Where the OCI hook is, for the container runtime under the same path.
  [[nodiscard]] std::filesystem::path effective_hook_directory() const {
    return hook_directory.empty() ? data_directory() : hook_directory;
  }
};

}  // namespace drasriov::config
