// SPDX-License-Identifier: Apache-2.0
//
// Facts: what is known of a node at one moment, without a judgement. collect() makes them, diagnose() judges them, `bundle`
// writes them: a recorded machine is diagnosed anywhere. Values; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::doctor {

/// What of the configuration the checks look at.
struct Setup {
  std::string driver_name;
  std::string node_name;
  std::string filter_namespace;
  std::string cluster;  ///< "kube" or "dir:PATH"
  std::string plugins_directory;
  std::string registrar_directory;
  std::string data_directory;
  std::string cdi_root;
  bool uses_hooks = false;    ///< an enabled module offers runtime-hooks/1
  bool uses_binding = false;  ///< an enabled module offers binding/1
  bool uses_netconf = false;  ///< an enabled module offers netconf/1
};

enum class DirectoryUse : std::uint8_t {
  kRoot,     ///< read: /sys, /dev, /proc
  kNetns,    ///< read; made by the runtime with the first pod
  kKubelet,  ///< made by kubelet, written by us
  kState,    ///< made by us, written by us
};

struct Directory {
  std::string name;  ///< as in the configuration: "roots.sys"
  std::string path;
  DirectoryUse use = DirectoryUse::kRoot;
  bool exists = false;
  bool readable = false;
  bool writable = false;
  std::string error;  ///< why it is not one of these
  bool on_tmpfs = false;
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t total_inodes = 0;  ///< 0 = the file system does not count them
  std::uint64_t free_inodes = 0;
};

/// Of the process that collects: `kubectl exec` in the driver's container has the driver's.
struct Permissions {
  bool known = false;
  std::uint64_t capabilities = 0;  ///< effective, bit = number of capabilities(7)
  std::uint64_t open_files = 0;    ///< soft limit; 0 = not known
  std::uint64_t inotify_instances = 0;
  std::uint64_t inotify_watches = 0;
};

struct KernelModule {
  std::string name;  ///< with underscores
  bool loaded = false;
  bool builtin = false;
  bool loadable = false;  ///< listed in modules.dep of the running kernel
};

struct Kernel {
  std::string release;
  std::string command_line;
  std::string cpu_vendor;  ///< "GenuineIntel", "AuthenticAMD", empty on other machines
  std::uint64_t iommu_groups = 0;
  bool noiommu_mode = false;    ///< vfio's enable_unsafe_noiommu_mode
  bool modules_listed = false;  ///< modules.dep was readable
  std::vector<KernelModule> modules;
};

struct PhysicalFunction {
  std::string address;
  std::string driver;  ///< empty = none
  std::uint64_t total_vfs = 0;
  std::uint64_t vfs = 0;
  bool autoprobe = true;
};

struct VirtualFunction {
  std::string address;
  std::string pf;
  std::string driver;  ///< empty = none
  std::string driver_override;
  bool has_interface = false;  ///< a network or InfiniBand device in our namespace
};

struct ConfigFile {
  std::string path;   ///< on the host
  std::string error;  ///< why it was not read or not understood; empty = it was
};

/// The container runtime. nullopt = its configuration does not say.
struct Runtime {
  std::string name;     ///< "containerd", "cri-o"; empty = none was seen
  std::string version;  ///< of the Node object; may be empty
  bool running = false;
  std::vector<ConfigFile> files;
  std::optional<bool> nri_enabled;
  std::string nri_socket;
  bool nri_socket_exists = false;
  std::optional<std::int64_t> nri_request_timeout_ms;
  std::optional<bool> cdi_enabled;
  std::optional<std::vector<std::string>> cdi_directories;
};

/// The OCI hook of claims with a network step, run from the host's mount namespace.
struct Hook {
  std::string path;
  bool tried = false;  ///< false = that namespace cannot be entered
  bool runs = false;
  std::string error;  ///< why it does not, or was not tried
};

struct Kubelet {
  bool running = false;
  std::string version;           ///< of the Node object; may be empty
  std::string root_directory;    ///< of its command line; empty = default
  std::optional<bool> dra_gate;  ///< DynamicResourceAllocation, where flags or file name it
};

struct Module {
  std::string name;
  std::string file;
  std::string sha256;  ///< of the file; empty = not readable
  bool passed = false;
  bool required = true;  ///< failurePolicy Fail
  std::string problem;
  std::string hint;
};

/// A file of the journal.
struct ClaimFile {
  std::string uid;
  std::string claim;  ///< "namespace/name"; empty when the record cannot be read
  std::string state;
  std::vector<std::string> devices;  ///< names: "0000-08-00-2"
  std::string last_error;
  std::string damage;  ///< why the record cannot be read
  bool quarantined = false;
  bool stale = false;  ///< made in another boot
};

/// Processes that have the driver's name.
struct Instances {
  bool lock_held = false;
  std::int64_t owner = 0;  ///< process id in the lock file; 0 = none
  std::vector<std::int64_t> processes;
};

/// One thing that the driver asks of the API server.
struct ApiAccess {
  std::string what;     ///< "get nodes/worker-1"
  std::string code;     ///< code_name(): "OK", "PERMISSION_DENIED" …
  std::string message;  ///< empty when it may
};

struct Cluster {
  std::vector<ApiAccess> access;
  std::vector<std::string> filters_elsewhere;  ///< SriovResourceFilters that the driver never sees
};

struct Facts {
  int format = 1;
  Setup setup;
  bool host_visible = false;  ///< the host's root directory could be opened
  std::vector<Directory> directories;
  Permissions permissions;
  Kernel kernel;
  std::vector<PhysicalFunction> pfs;
  std::vector<VirtualFunction> vfs;
  Runtime runtime;
  Hook hook;
  Kubelet kubelet;
  std::vector<Module> modules;
  std::vector<ClaimFile> claims;
  Instances instances;
  Cluster cluster;
};

[[nodiscard]] nlohmann::json facts_to_json(const Facts& facts);
/// INVALID_ARGUMENT for text of another format or shape. A member that is missing has its default: facts of an older
/// driver are read by a newer one.
[[nodiscard]] Result<Facts> facts_from_json(const nlohmann::json& json);

}  // namespace drasriov::doctor
