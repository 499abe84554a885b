// SPDX-License-Identifier: Apache-2.0
#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <set>

#include "host/doctor/check_list.hpp"

namespace drasriov::doctor {
namespace {

struct Capability {
  unsigned number;
  std::string_view name;
  std::string_view purpose;
  Severity severity;
  bool for_netconf = false;  ///< only where the driver attaches networks
};

constexpr std::array kCapabilities = {
    Capability{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "enter network namespaces of pods", Severity::kError,
               true},
    Capability{CAP_NET_ADMIN, "CAP_NET_ADMIN", "configure and move network devices",
               Severity::kError},
    Capability{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE",
               "let CNI plugins write into the node's directories", Severity::kWarning, true},
    Capability{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "see files of other processes' namespaces",
               Severity::kInfo},
    Capability{CAP_SYS_MODULE, "CAP_SYS_MODULE", "load vfio and vhost modules", Severity::kInfo},
};

bool loaded(const Kernel& kernel, std::string_view name) {
  const auto module = std::ranges::find(kernel.modules, name, &KernelModule::name);
  return module != kernel.modules.end() && (module->loaded || module->builtin);
}

/// Drivers that give a VF to user space: such a VF has no network interface.
constexpr std::array<std::string_view, 3> kUserSpaceDrivers = {"vfio-pci", "uio_pci_generic",
                                                               "igb_uio"};

/// "0000:11:10.2" → "0000-11-10-2"
std::string device_name(std::string address) {
  std::ranges::replace(address, ':', '-');
  std::ranges::replace(address, '.', '-');
  return address;
}

void check_virtual_functions(const Facts& facts, Findings& out) {
  // A VF in a pod's network namespace shows no interface here: other VFs of its driver may, and the journal knows it.
  std::set<std::string> network_drivers;
  for (const PhysicalFunction& pf : facts.pfs) network_drivers.insert(pf.driver);
  for (const VirtualFunction& vf : facts.vfs) {
    if (vf.has_interface) network_drivers.insert(vf.driver);
  }
  std::set<std::string> held;
  for (const ClaimFile& claim : facts.claims)
    held.insert(claim.devices.begin(), claim.devices.end());

  std::vector<std::string> unbound;
  for (const VirtualFunction& vf : facts.vfs) {
    if (held.contains(device_name(vf.address))) continue;
    const bool user_space =
        std::ranges::find(kUserSpaceDrivers, vf.driver) != kUserSpaceDrivers.end();
    if (!vf.driver_override.empty() && vf.driver_override != vf.driver) {
      out.push_back({"vf-driver-unexpected", Severity::kWarning,
                     "VF " + vf.address + " has driver_override " + vf.driver_override +
                         " and is bound to " + (vf.driver.empty() ? "no driver" : vf.driver),
                     "cat /sys/bus/pci/devices/" + vf.address + "/driver_override",
                     "clear it (echo > driver_override) and bind the VF again (echo " + vf.address +
                         " > /sys/bus/pci/drivers_probe)"});
    } else if (vf.driver.empty()) {
      unbound.push_back(vf.address);
    } else if (!user_space && !vf.has_interface && !network_drivers.contains(vf.driver)) {
      out.push_back({"vf-driver-unexpected", Severity::kWarning,
                     "VF " + vf.address + " is bound to " + vf.driver +
                         ", which is no network driver of this machine and none for user space",
                     "lspci -nnk -s " + vf.address,
                     "bind the VF to its kernel driver, or exclude it with a SriovResourceFilter"});
    }
  }
  if (!unbound.empty()) {
    out.push_back({"vf-driver-unexpected", Severity::kInfo,
                   "no driver is bound to " + join_some(unbound),
                   "lspci -nnk -s " + unbound.front(),
                   "load the VF's kernel driver; claims for user space drivers work as it is"});
  }
}

}  // namespace

void check_roots(const Facts& facts, Findings& out) {
  for (const Directory& directory : facts.directories) {
    const bool root = directory.use == DirectoryUse::kRoot;
    const bool ours = root || directory.use == DirectoryUse::kNetns;
    if (!ours || directory.readable) continue;
    // The runtime makes the folder of namespaces with the first pod.
    const bool not_yet = !root && !directory.exists;
    out.push_back(
        {"root-unreadable",
         root ? Severity::kError : (not_yet ? Severity::kInfo : Severity::kWarning),
         directory.name + " " + directory.path + ": " + directory.error, "ls -ld " + directory.path,
         "mount the host's directory there, or set " + directory.name + " in the configuration"});
  }
  if (!facts.host_visible) {
    out.push_back(
        {"host-files-hidden", Severity::kInfo,
         "the host's files cannot be seen: runtime and kubelet configuration and the list "
         "of kernel modules were not looked at",
         "ls /proc/1/root/etc",
         "run doctor on the host, in a pod with hostPID, or with --host-root DIR"});
  }
}

void check_permissions(const Facts& facts, Findings& out) {
  const Permissions& permissions = facts.permissions;
  if (permissions.known) {
    for (const Capability& capability : kCapabilities) {
      if ((permissions.capabilities >> capability.number & 1U) != 0) continue;
      if (capability.for_netconf && !facts.setup.uses_netconf) continue;
      out.push_back(
          {"capability-missing", capability.severity,
           "this process lacks " + std::string(capability.name) + ", needed to " +
               std::string(capability.purpose),
           "grep CapEff /proc/self/status",
           "add it to kubeletPlugin.extraCapabilities in the chart's values; on a host run "
           "doctor as root"});
    }
  }
  struct Limit {
    std::string_view what;
    std::uint64_t value;
    std::uint64_t least;
    std::string_view check;
    std::string_view fix;
  };
  const std::array limits = {
      Limit{"open files of a process", permissions.open_files, 1024, "ulimit -n",
            "raise LimitNOFILE of the container runtime"},
      Limit{"inotify instances of a user", permissions.inotify_instances, 128,
            "sysctl fs.inotify.max_user_instances", "sysctl -w fs.inotify.max_user_instances=512"},
      Limit{"inotify watches of a user", permissions.inotify_watches, 8192,
            "sysctl fs.inotify.max_user_watches", "sysctl -w fs.inotify.max_user_watches=65536"}};
  for (const Limit& limit : limits) {
    if (limit.value == 0 || limit.value >= limit.least) continue;  // 0: not known
    out.push_back({"limits-low", Severity::kWarning,
                   "limit of " + std::string(limit.what) + " is " + std::to_string(limit.value) +
                       ", less than " + std::to_string(limit.least),
                   std::string(limit.check), std::string(limit.fix)});
  }
}

void check_iommu(const Facts& facts, Findings& out) {
  const Kernel& kernel = facts.kernel;
  const Severity severity = facts.setup.uses_binding ? Severity::kWarning : Severity::kInfo;
  if (kernel.noiommu_mode) {
    out.push_back({"noiommu-mode", severity,
                   "vfio's no-IOMMU mode is on: a pod with a VF on vfio-pci can read and write all "
                   "memory of the node",
                   "cat /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
                   "turn the IOMMU on and remove enable_unsafe_noiommu_mode from /etc/modprobe.d"});
    return;
  }
  if (kernel.iommu_groups > 0) return;
  std::string fix = "turn on the IOMMU (VT-d, AMD-Vi, SMMU) in the firmware";
  std::string problem = "there are no IOMMU groups: vfio-pci cannot be used";
  if (kernel.cpu_vendor == "GenuineIntel" &&
      kernel.command_line.find("intel_iommu=on") == std::string::npos) {
    fix += " and add intel_iommu=on to the kernel's command line";
    problem += "; intel_iommu=on is not on the kernel's command line";
  } else if (kernel.command_line.find("iommu=off") != std::string::npos) {
    fix += " and remove iommu=off from the kernel's command line";
    problem += "; the kernel's command line has iommu=off";
  }
  out.push_back({"iommu-off", severity, problem, "ls /sys/kernel/iommu_groups; cat /proc/cmdline",
                 fix + ", then reboot. Claims without driver: vfio-pci work as it is"});
}

void check_kernel_modules(const Facts& facts, Findings& out) {
  const Kernel& kernel = facts.kernel;
  for (const KernelModule& module : kernel.modules) {
    if (module.loaded || module.builtin || module.loadable) continue;
    // Without the list only what runs is known: a module that is not loaded may be there.
    if (!kernel.modules_listed) continue;
    const bool vhost = module.name == "vhost_net" || module.name == "tun";
    // The type 1 driver is for x86 and ARM with an IOMMU; without groups nothing would use it.
    if (module.name == "vfio_iommu_type1" && kernel.iommu_groups == 0) continue;
    out.push_back(
        {"vfio-module-missing", facts.setup.uses_binding ? Severity::kWarning : Severity::kInfo,
         "kernel " + kernel.release + " has no module " + module.name + ": " +
             (vhost ? "addVhostMount" : "driver: vfio-pci") + " in claims fails",
         "modinfo " + module.name,
         "install the package with the kernel's extra modules (for example kernel-modules-extra, "
         "linux-modules-extra-" +
             kernel.release + ")"});
  }
  if (!kernel.modules_listed && !loaded(kernel, "vfio_pci")) {
    out.push_back({"vfio-module-missing", Severity::kInfo,
                   "vfio_pci is not loaded, and /lib/modules/" + kernel.release +
                       "/modules.dep cannot be read: it is not known whether it can be loaded",
                   "ls /lib/modules/" + kernel.release,
                   "run depmod -a on the host, or load vfio-pci at boot through "
                   "/etc/modules-load.d"});
  }
}

void check_devices(const Facts& facts, Findings& out) {
  std::uint64_t all = 0;
  for (const PhysicalFunction& pf : facts.pfs) all += pf.vfs;
  if (facts.pfs.empty() && facts.vfs.empty()) {
    out.push_back(
        {"no-sriov-device", Severity::kWarning, "no network device of this machine has SR-IOV",
         "lspci -vv | grep -B20 'Single Root I/O Virtualization'",
         "turn SR-IOV on in the firmware of machine and card; without such a card keep the "
         "driver off this node (nodeSelector)"});
  }
  for (const PhysicalFunction& pf : facts.pfs) {
    if (pf.total_vfs > 0 && pf.vfs == 0) {
      out.push_back(
          {"pf-without-vfs", all == 0 ? Severity::kWarning : Severity::kInfo,
           "PF " + pf.address + " can have " + std::to_string(pf.total_vfs) + " VFs and has none",
           "cat /sys/bus/pci/devices/" + pf.address + "/sriov_numvfs",
           "echo N > /sys/bus/pci/devices/" + pf.address +
               "/sriov_numvfs, or let the node operator do it; the driver makes no VFs"});
    }
    if (!pf.autoprobe) {
      out.push_back({"autoprobe-off", Severity::kInfo,
                     "PF " + pf.address + ": new VFs get no driver (sriov_drivers_autoprobe is 0)",
                     "cat /sys/bus/pci/devices/" + pf.address + "/sriov_drivers_autoprobe",
                     "echo 1 > sriov_drivers_autoprobe before the VFs are made, unless user space "
                     "drivers are wanted"});
    }
  }
  check_virtual_functions(facts, out);
}

}  // namespace drasriov::doctor
