// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "host/doctor/check_list.hpp"
#include "host/dra/socket_path.hpp"

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

struct Version {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
};

/// "v1.34.2+k3s1", "containerd://2.1.4", "cri-o://1.34.0"
std::optional<Version> parse_version(std::string_view text) {
  const auto digit = text.find_first_of("0123456789");
  if (digit == std::string_view::npos) return std::nullopt;
  text.remove_prefix(digit);
  Version version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  return minor.ec == std::errc() ? std::optional(version) : std::nullopt;
}

bool is_crio(const Runtime& runtime) {
  return runtime.name == "cri-o";
}

/// What a runtime of this version does when its configuration is silent. nullopt: depends on a version that is not known.
std::optional<bool> default_of(const Runtime& runtime, Version since) {
  const auto version = parse_version(runtime.version);
  if (!version) return std::nullopt;
  return *version >= since;
}

std::string config_of(const Runtime& runtime) {
  for (const ConfigFile& file : runtime.files) {
    if (file.error.empty()) return file.path;
  }
  return is_crio(runtime) ? "/etc/crio/crio.conf.d/90-dra.conf" : "/etc/containerd/config.toml";
}

std::string dump_command(const Runtime& runtime) {
  return is_crio(runtime) ? "crio config" : "containerd config dump";
}

std::string restart(const Runtime& runtime) {
  return ", then systemctl restart " + std::string(is_crio(runtime) ? "crio" : "containerd");
}

/// /var/run is a link to /run on every current distribution.
std::string without_var(const std::string& path) {
  const std::string text = fs::path(path).lexically_normal().native();
  return text.starts_with("/var/run/") ? text.substr(4) : text;
}

const Directory* find_directory(const Facts& facts, std::string_view name) {
  const auto found = std::ranges::find(facts.directories, name, &Directory::name);
  return found == facts.directories.end() ? nullptr : &*found;
}

/// `written`: whether the driver makes entries in it.
void check_directory_of_kubelet(const Facts& facts, std::string_view name, bool written,
                                Findings& out) {
  const Directory* directory = find_directory(facts, name);
  if (directory == nullptr) return;
  if (!directory->exists) {
    out.push_back({"kubelet-directory-missing", Severity::kError,
                   directory->name + " " + directory->path + ": " + directory->error,
                   "ls -ld " + directory->path,
                   "kubelet makes it: start kubelet, mount its directory into the pod, and set " +
                       directory->name + " if kubelet has another --root-dir"});
  } else if (written && !directory->writable) {
    out.push_back({"state-not-writable", Severity::kError,
                   directory->name + " " + directory->path + ": " + directory->error,
                   "ls -ld " + directory->path + "; grep " + directory->path + " /proc/mounts",
                   "run the driver as root and mount the directory writable"});
  }
}

}  // namespace

void check_runtime_config(const Facts& facts, Findings& out) {
  const Runtime& runtime = facts.runtime;
  if (runtime.name.empty()) {
    out.push_back(
        {"runtime-not-found", Severity::kWarning,
         "neither containerd nor CRI-O is running or configured on this node",
         "ps -C containerd,crio",
         "start the container runtime; another runtime needs NRI and CDI to be checked by "
         "hand"});
    return;
  }
  for (const ConfigFile& file : runtime.files) {
    if (file.error.empty()) continue;
    out.push_back({"runtime-config-unreadable", Severity::kWarning, file.path + ": " + file.error,
                   dump_command(runtime),
                   "correct the file: what it says of NRI and CDI was not looked at"});
  }
}

void check_nri(const Facts& facts, Findings& out) {
  const Runtime& runtime = facts.runtime;
  // Without a module that follows sandboxes nothing connects to NRI.
  const bool needed = facts.setup.uses_hooks;
  const auto severity = [needed](Severity wanted) { return needed ? wanted : Severity::kInfo; };
  const std::string line = is_crio(runtime)
                               ? "[crio.nri] enable_nri = true"
                               : "[plugins.\"io.containerd.nri.v1.nri\"] disable = false, "
                                 "disable_connections = false";
  const auto enabled = runtime.nri_enabled
                           ? runtime.nri_enabled
                           : default_of(runtime, is_crio(runtime) ? Version{1, 30} : Version{2, 0});
  if (enabled == false || (!enabled && !runtime.nri_socket_exists)) {
    out.push_back({"nri-disabled", severity(Severity::kError),
                   runtime.name + " has NRI " + (enabled ? "off" : "off, as far as can be seen") +
                       ": pods start without their network interface" +
                       (needed ? "" : " if a claim names a network attachment"),
                   dump_command(runtime) + " | grep -A8 nri",
                   "in " + config_of(runtime) + " set " + line + restart(runtime)});
    return;
  }
  if (!runtime.nri_socket_exists) {
    out.push_back(
        {"nri-socket-missing", severity(Severity::kError),
         "NRI is on in " + runtime.name + ", but there is no socket " + runtime.nri_socket,
         "ls -l " + runtime.nri_socket,
         "restart " + runtime.name +
             " so that it takes its configuration; in the pod mount "
             "the directory, not the socket"});
  }
  constexpr std::int64_t kEnough = 10'000;
  constexpr std::int64_t kDefault = 2'000;
  const std::int64_t timeout = runtime.nri_request_timeout_ms.value_or(kDefault);
  if (timeout < kEnough) {
    out.push_back(
        {"nri-timeout-short", severity(Severity::kWarning),
         runtime.name + " waits " + std::to_string(timeout) +
             " ms for an NRI plugin, then drops it and starts the pod without network; "
             "attaching several interfaces can take longer",
         dump_command(runtime) + " | grep request_timeout",
         "in " + config_of(runtime) + " set " +
             (is_crio(runtime) ? "[crio.nri] nri_plugin_request_timeout = \"10s\""
                               : "[plugins.\"io.containerd.nri.v1.nri\"] plugin_request_timeout = "
                                 "\"10s\"") +
             restart(runtime)});
  }
}

void check_cdi(const Facts& facts, Findings& out) {
  const Runtime& runtime = facts.runtime;
  const std::string section = is_crio(runtime)
                                  ? "[crio.runtime]"
                                  : "[plugins.\"io.containerd.cri.v1.runtime\"] (format "
                                    "version 3; in version 2 "
                                    "\"io.containerd.grpc.v1.cri\")";
  // CRI-O has no switch: every version that this driver supports reads CDI.
  const std::optional<bool> enabled =
      is_crio(runtime)
          ? std::optional(true)
          : (runtime.cdi_enabled ? runtime.cdi_enabled : default_of(runtime, Version{2, 0}));
  if (enabled != true) {
    out.push_back(
        {"cdi-disabled", enabled ? Severity::kError : Severity::kWarning,
         runtime.name +
             (enabled ? " has CDI off"
                      : " of unknown version does not say "
                        "whether CDI is on (1.7: off)") +
             ": containers start without their devices and no error says so",
         dump_command(runtime) + " | grep -i cdi",
         "in " + config_of(runtime) + " set " + section + " enable_cdi = true" + restart(runtime)});
    return;
  }
  const std::vector<std::string> directories =
      runtime.cdi_directories.value_or(std::vector<std::string>{"/etc/cdi", "/var/run/cdi"});
  const std::string root = without_var(facts.setup.cdi_root);
  const bool read = std::ranges::any_of(
      directories, [&root](const std::string& each) { return without_var(each) == root; });
  if (!read) {
    out.push_back({"cdi-directory-not-read", Severity::kError,
                   runtime.name + " reads CDI specs from " + join_some(directories) +
                       ", not from cdiRoot " + facts.setup.cdi_root,
                   dump_command(runtime) + " | grep cdi_spec_dirs",
                   "set cdiRoot to one of these, or in " + config_of(runtime) + " add it to " +
                       section + " cdi_spec_dirs" + restart(runtime)});
  }
}

void check_hook(const Facts& facts, Findings& out) {
  const Hook& hook = facts.hook;
  // The driver puts it there at its start, and takes it away with the last claim.
  const bool needed =
      facts.setup.uses_hooks && (facts.instances.lock_held || !facts.claims.empty());
  if (!needed || hook.runs) return;
  out.push_back(
      {"hook-not-runnable", Severity::kError,
       "the container runtime cannot run " + hook.path + ": " + hook.error +
           "; containers of a claim with a network do not start",
       "nsenter --target 1 --mount " + hook.path + " --check; findmnt --target " + hook.path,
       "restart the driver, which puts it there; where programs may not run (noexec, a label of "
       "SELinux), set hookDir to another directory of the node"});
}

void check_kubelet(const Facts& facts, Findings& out) {
  const Kubelet& kubelet = facts.kubelet;
  const Setup& setup = facts.setup;
  // In a pod the data directory alone is mounted, and what is above it is the read-only image's.
  const Directory* data = find_directory(facts, "data directory");
  const bool data_directory_is_made = data == nullptr || !data->exists;
  check_directory_of_kubelet(facts, "kubeletPluginsDirectory", data_directory_is_made, out);
  check_directory_of_kubelet(facts, "kubeletRegistrarDirectory", true, out);
  for (const auto& path :
       {dra::dra_socket_path(setup.data_directory),
        dra::registration_socket_path(setup.registrar_directory, setup.driver_name)}) {
    if (path) continue;
    out.push_back(
        {"socket-path-too-long", Severity::kError, path.error().message(),
         "dra-driver-sriov run --print-config",
         "shorten driverName or the directory: a unix socket's path has at most 107 bytes"});
  }
  if (!kubelet.running) {
    out.push_back({"kubelet-not-running", facts.host_visible ? Severity::kWarning : Severity::kInfo,
                   "no process kubelet is seen", "systemctl status kubelet",
                   "start kubelet; in a pod without hostPID, or where kubelet is part of another "
                   "program (k3s), this says nothing"});
  } else if (!kubelet.root_directory.empty()) {
    const fs::path root = kubelet.root_directory;
    for (const auto& [configured, expected, key] :
         {std::tuple{setup.plugins_directory, root / "plugins", "kubeletPluginsDirectory"},
          std::tuple{setup.registrar_directory, root / "plugins_registry",
                     "kubeletRegistrarDirectory"}}) {
      if (fs::path(configured).lexically_normal() == expected.lexically_normal()) continue;
      out.push_back({"kubelet-directory-differs", Severity::kError,
                     "kubelet runs with --root-dir " + kubelet.root_directory + ", but " + key +
                         " is " + configured,
                     "ps -o args= -C kubelet",
                     "set " + std::string(key) + " to " + expected.native() +
                         " and mount that directory at the same path"});
    }
  }
  if (const auto version = parse_version(kubelet.version); version && *version < Version{1, 34}) {
    out.push_back({"kubelet-too-old", Severity::kError,
                   "kubelet is " + kubelet.version + "; resource.k8s.io/v1 needs 1.34",
                   "kubectl get node " + setup.node_name,
                   "update the node to Kubernetes 1.34.4 or later"});
  }
  if (kubelet.dra_gate == false) {
    out.push_back({"dra-disabled", Severity::kError,
                   "kubelet runs with the feature gate DynamicResourceAllocation off",
                   "grep -A5 featureGates /var/lib/kubelet/config.yaml; ps -o args= -C kubelet",
                   "remove the gate from kubelet's configuration and restart kubelet"});
  }
}

void check_state(const Facts& facts, Findings& out) {
  constexpr std::uint64_t kMebibyte = 1U << 20U;
  for (const Directory& directory : facts.directories) {
    const bool state = directory.use == DirectoryUse::kState;
    if (!state && directory.use != DirectoryUse::kKubelet) continue;
    if (!directory.exists) {
      // The driver makes its own directories; check_kubelet speaks of kubelet's.
      continue;
    }
    if (state && !directory.writable) {
      out.push_back({"state-not-writable", Severity::kError,
                     directory.name + " " + directory.path + ": " + directory.error,
                     "ls -ld " + directory.path + "; grep " + directory.path + " /proc/mounts",
                     "run the driver as root and mount the directory writable"});
    }
    if (directory.total_bytes != 0 && directory.free_bytes < 64 * kMebibyte) {
      out.push_back({"disk-space-low",
                     directory.free_bytes < kMebibyte ? Severity::kError : Severity::kWarning,
                     directory.path + " has " + std::to_string(directory.free_bytes / 1024) +
                         " KiB free: claims cannot be recorded on a full file system",
                     "df -h " + directory.path, "free space on that file system"});
    }
    if (directory.total_inodes != 0 && directory.free_inodes < 1024) {
      out.push_back({"inodes-low",
                     directory.free_inodes < 16 ? Severity::kError : Severity::kWarning,
                     directory.path + " has " + std::to_string(directory.free_inodes) +
                         " inodes free: each claim needs two files",
                     "df -i " + directory.path, "remove files from that file system"});
    }
  }
}

}  // namespace drasriov::doctor
