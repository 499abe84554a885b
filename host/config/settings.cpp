// SPDX-License-Identifier: Apache-2.0
#include "host/config/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "host/base/names.hpp"

namespace drasriov::config {
namespace {

namespace fs = std::filesystem;

Error invalid(std::string_view text, std::string_view expected, std::string hint = {}) {
  std::string message = "'";
  message.append(text).append("' is not ").append(expected);
  return {Code::kInvalidArgument, std::move(message), std::move(hint)};
}

// One pair of functions for each kind of member; the member is a template argument, so that the
// table below holds plain function pointers.

template <auto Member>
std::string get_text(const Configuration& c) {
  return c.*Member;
}

template <auto Member>
Status set_dns_subdomain(Configuration& c, std::string_view text) {
  if (!is_dns_subdomain(text)) {
    return invalid(text, "a DNS subdomain name",
                   "lower-case letters, digits, '-' and '.', for example node-1");
  }
  c.*Member = text;
  return {};
}

template <auto Member>
Status set_dns_label(Configuration& c, std::string_view text) {
  if (!is_dns_label(text)) {
    return invalid(text, "a DNS label",
                   "1-63 lower-case letters, digits and '-', a letter or digit at both ends");
  }
  c.*Member = text;
  return {};
}

Status set_driver_name(Configuration& c, std::string_view text) {
  constexpr std::size_t kLongest = 63;  // resource.k8s.io/v1: spec.driver of a ResourceSlice
  if (!is_dns_subdomain(text) || text.size() > kLongest) {
    return invalid(
        text, "a driver name",
        "a DNS subdomain name of at most 63 characters, for example sriovnetwork.openshift.io");
  }
  c.driver_name = text;
  return {};
}

template <auto Member>
std::string get_path(const Configuration& c) {
  return (c.*Member).native();
}

Result<fs::path> absolute_path(std::string_view text) {
  if (!text.starts_with('/')) {
    return invalid(text, "an absolute path",
                   "begin it with '/': the driver has no directory of its own to start from");
  }
  fs::path path = fs::path(text).lexically_normal();
  return path.has_filename() || path == path.root_path()
             ? path
             : path.parent_path();  // without a trailing '/'
}

template <auto Member>
Status set_path(Configuration& c, std::string_view text) {
  auto path = absolute_path(text);
  if (!path) return path.error();
  c.*Member = *std::move(path);
  return {};
}

template <auto Member>
std::string get_root(const Configuration& c) {
  return (c.roots.*Member).native();
}

template <auto Member>
Status set_root(Configuration& c, std::string_view text) {
  auto path = absolute_path(text);
  if (!path) return path.error();
  c.roots.*Member = *std::move(path);
  return {};
}

template <auto Member>
std::string get_integer(const Configuration& c) {
  return std::to_string(c.*Member);
}

template <auto Member, int Least, int Greatest>
Status set_integer(Configuration& c, std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < Least ||
      value > Greatest) {
    return invalid(
        text, "a whole number from " + std::to_string(Least) + " to " + std::to_string(Greatest));
  }
  c.*Member = value;
  return {};
}

template <auto Member>
std::string get_number(const Configuration& c) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), c.*Member).ptr};
}

template <auto Member>
Status set_positive_number(Configuration& c, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value <= 0) {
    return invalid(text, "a number above 0");
  }
  c.*Member = value;
  return {};
}

template <auto Member>
std::string get_switch(const Configuration& c) {
  return c.*Member ? "true" : "false";
}

template <auto Member>
Status set_switch(Configuration& c, std::string_view text) {
  if (text != "true" && text != "false") return invalid(text, "true or false");
  c.*Member = text == "true";
  return {};
}

/// The texts of an enumeration, in the order of its values.
template <auto Member, const auto& Names>
std::string get_choice(const Configuration& c) {
  return std::string(Names[static_cast<std::size_t>(c.*Member)]);
}

template <auto Member, const auto& Names>
Status set_choice(Configuration& c, std::string_view text) {
  const auto it = std::ranges::find(Names, text);
  if (it == Names.end()) {
    std::string expected = "one of";
    for (const std::string_view name : Names) expected.append(" ").append(name);
    return invalid(text, expected);
  }
  using Choice = std::remove_reference_t<decltype(c.*Member)>;
  c.*Member = static_cast<Choice>(it - Names.begin());
  return {};
}

constexpr std::array<std::string_view, 2> kAdvertiseNames = {"all", "filtered"};
constexpr std::array<std::string_view, 2> kLogFormatNames = {"text", "json"};

constexpr std::string_view kDirectoryCluster = "dir:";

std::string get_cluster(const Configuration& c) {
  return c.cluster_directory.empty()
             ? "kube"
             : std::string(kDirectoryCluster) + c.cluster_directory.native();
}

Status set_cluster(Configuration& c, std::string_view text) {
  if (text == "kube") {
    c.cluster_directory.clear();
    return {};
  }
  if (!text.starts_with(kDirectoryCluster)) return invalid(text, "kube or dir:PATH");
  auto path = absolute_path(text.substr(kDirectoryCluster.size()));
  if (!path) return path.error();
  c.cluster_directory = *std::move(path);
  return {};
}

Status set_interface_prefix(Configuration& c, std::string_view text) {
  constexpr std::size_t kLongest = 12;  // three digits of index fit into an interface name of 15
  if (!is_interface_name(text) || text.size() > kLongest) {
    return invalid(text, "a prefix of interface names",
                   "1-12 characters without '/', ':' or white space");
  }
  c.default_interface_prefix = text;
  return {};
}

Status set_nri_index(Configuration& c, std::string_view text) {
  if (text.size() != 2 || !std::ranges::all_of(text, [](char d) { return d >= '0' && d <= '9'; })) {
    return invalid(text, "an NRI plugin index",
                   "two digits, for example 42: NRI calls plugins in that order");
  }
  c.nri_plugin_index = text;
  return {};
}

template <auto Member>
Status set_address(Configuration& c, std::string_view text) {
  // It is resolved when the port is opened; here only what would change the meaning of
  // "address:port" is refused.
  if (text.empty() || text.find_first_of(" \t/[]") != std::string_view::npos) {
    return invalid(text, "an address to listen on", "for example 127.0.0.1, 0.0.0.0 or ::");
  }
  c.*Member = text;
  return {};
}

using C = Configuration;
using Type = Setting::Type;

constexpr std::array kSettings = {
    Setting{"driverName", "driver-name", "", "NAME",
            "driver name: in slices, claims, the CDI kind and the socket paths", Type::kText,
            set_driver_name, get_text<&C::driver_name>},
    Setting{"nodeName", "node-name", "NODE_NAME", "NAME",
            "name of this machine's Node object; the name of its pool", Type::kText,
            set_dns_subdomain<&C::node_name>, get_text<&C::node_name>},
    Setting{"namespace", "namespace", "NAMESPACE", "NAME",
            "namespace of the SriovResourceFilter objects", Type::kText,
            set_dns_label<&C::namespace_>, get_text<&C::namespace_>},
    Setting{"cluster", "cluster", "", "kube|dir:PATH",
            "where API objects live: the API server, or YAML files in a directory", Type::kText,
            set_cluster, get_cluster},
    Setting{"kubeconfig", "kubeconfig", "KUBECONFIG", "FILE",
            "credentials for the API server; without it those of the pod", Type::kText,
            set_path<&C::kubeconfig>, get_path<&C::kubeconfig>},
    Setting{"kubeApiQps", "kube-api-qps", "KUBE_API_QPS", "N", "API requests a second, on average",
            Type::kNumber, set_positive_number<&C::kube_api_qps>, get_number<&C::kube_api_qps>},
    Setting{"kubeApiBurst", "kube-api-burst", "KUBE_API_BURST", "N", "API requests at once",
            Type::kInteger, set_integer<&C::kube_api_burst, 1, 100000>,
            get_integer<&C::kube_api_burst>},
    Setting{"advertise", "advertise", "", "all|filtered",
            "publish every VF, or only those that a SriovResourceFilter matches", Type::kText,
            set_choice<&C::advertise, kAdvertiseNames>, get_choice<&C::advertise, kAdvertiseNames>},
    Setting{"roots.sys", "", "", "DIR", "sysfs; a captured tree is a machine too", Type::kText,
            set_root<&Roots::sys>, get_root<&Roots::sys>},
    Setting{"roots.dev", "", "", "DIR", "device nodes", Type::kText, set_root<&Roots::dev>,
            get_root<&Roots::dev>},
    Setting{"roots.proc", "", "", "DIR", "procfs", Type::kText, set_root<&Roots::proc>,
            get_root<&Roots::proc>},
    Setting{"roots.netns", "", "", "DIR", "named network namespaces", Type::kText,
            set_root<&Roots::netns>, get_root<&Roots::netns>},
    Setting{"kubeletPluginsDirectory", "kubelet-plugins-directory-path",
            "KUBELET_PLUGINS_DIRECTORY_PATH", "DIR",
            "the driver's data and its DRA socket are in DIR/<driver name>", Type::kText,
            set_path<&C::kubelet_plugins_directory>, get_path<&C::kubelet_plugins_directory>},
    Setting{"kubeletRegistrarDirectory", "kubelet-registrar-directory-path",
            "KUBELET_REGISTRAR_DIRECTORY_PATH", "DIR",
            "where kubelet looks for registration sockets", Type::kText,
            set_path<&C::kubelet_registrar_directory>, get_path<&C::kubelet_registrar_directory>},
    Setting{"cdiRoot", "cdi-root", "CDI_ROOT", "DIR", "CDI specs are written there", Type::kText,
            set_path<&C::cdi_root>, get_path<&C::cdi_root>},
    Setting{"moduleDirectory", "module-directory", "", "DIR",
            "of builtin modules; without it beside the executable", Type::kText,
            set_path<&C::module_directory>, get_path<&C::module_directory>},
    Setting{"hookDir", "hook-dir", "", "DIR",
            "of the OCI hook, for the container runtime under the same path; without it the data "
            "directory",
            Type::kText, set_path<&C::hook_directory>, get_path<&C::hook_directory>},
    Setting{"healthcheckPort", "healthcheck-port", "HEALTHCHECK_PORT", "PORT",
            "of the gRPC health service: -1 off, 0 any free port", Type::kInteger,
            set_integer<&C::healthcheck_port, -1, 65535>, get_integer<&C::healthcheck_port>},
    Setting{"healthcheckAddress", "healthcheck-address", "", "ADDRESS",
            "address of the gRPC health service", Type::kText, set_address<&C::healthcheck_address>,
            get_text<&C::healthcheck_address>},
    Setting{"metricsPort", "metrics-port", "METRICS_PORT", "PORT",
            "of the metrics over HTTP (GET /metrics): -1 off, 0 any free port", Type::kInteger,
            set_integer<&C::metrics_port, -1, 65535>, get_integer<&C::metrics_port>},
    Setting{"metricsAddress", "metrics-address", "", "ADDRESS", "address of the metrics over HTTP",
            Type::kText, set_address<&C::metrics_address>, get_text<&C::metrics_address>},
    Setting{"defaultInterfacePrefix", "default-interface-prefix", "DEFAULT_INTERFACE_PREFIX",
            "TEXT",
            "interfaces without a name in their claim become TEXT0, TEXT1 and so on in the pod",
            Type::kText, set_interface_prefix, get_text<&C::default_interface_prefix>},
    Setting{"nriPluginName", "nri-plugin-name", "NRI_PLUGIN_NAME", "NAME",
            "name given to the container runtime", Type::kText, set_dns_label<&C::nri_plugin_name>,
            get_text<&C::nri_plugin_name>},
    Setting{"nriPluginIndex", "nri-plugin-idx", "NRI_PLUGIN_IDX", "NN",
            "place among the runtime's plugins, two digits", Type::kText, set_nri_index,
            get_text<&C::nri_plugin_index>},
    Setting{"verbosity", "v", "V", "N",
            "0-9; 4 adds how decisions were made, 6 requests and answers", Type::kInteger,
            set_integer<&C::verbosity, 0, 9>, get_integer<&C::verbosity>},
    Setting{"logFormat", "log-format", "LOG_FORMAT", "text|json", "of the log on standard error",
            Type::kText, set_choice<&C::log_format, kLogFormatNames>,
            get_choice<&C::log_format, kLogFormatNames>},
    Setting{"insecureDev", "insecure-dev", "", "true|false",
            "for development: load modules that other users may write", Type::kBoolean,
            set_switch<&C::insecure_dev>, get_switch<&C::insecure_dev>},
};

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting_by_key(std::string_view key) {
  const auto* const it = std::ranges::find(kSettings, key, &Setting::key);
  return it == kSettings.end() ? nullptr : it;
}

const Setting* find_setting_by_flag(std::string_view flag) {
  const auto* const it = std::ranges::find(kSettings, flag, &Setting::flag);
  return it == kSettings.end() || flag.empty() ? nullptr : it;
}

}  // namespace drasriov::config
