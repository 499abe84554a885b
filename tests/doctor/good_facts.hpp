// SPDX-License-Identifier: Apache-2.0
//
// Facts of a node on which nothing is wrong.
#pragma once

#include "host/doctor/facts.hpp"

namespace drasriov::doctor {

inline Directory good_directory(std::string name, std::string path, DirectoryUse use) {
  Directory directory;
  directory.name = std::move(name);
  directory.path = std::move(path);
  directory.use = use;
  directory.exists = directory.readable = directory.writable = true;
  directory.total_bytes = directory.free_bytes = 10ULL << 30U;
  directory.total_inodes = directory.free_inodes = 1'000'000;
  return directory;
}

inline Facts good_facts() {
  Facts facts;
  facts.setup = {"sriovnetwork.openshift.io",
                 "worker-1",
                 "dra-sriov-driver",
                 "kube",
                 "/var/lib/kubelet/plugins",
                 "/var/lib/kubelet/plugins_registry",
                 "/var/lib/kubelet/plugins/sriovnetwork.openshift.io",
                 "/var/run/cdi",
                 true,
                 true,
                 true};
  facts.host_visible = true;
  facts.directories = {
      good_directory("roots.sys", "/sys", DirectoryUse::kRoot),
      good_directory("roots.netns", "/var/run/netns", DirectoryUse::kNetns),
      good_directory("kubeletPluginsDirectory", "/var/lib/kubelet/plugins", DirectoryUse::kKubelet),
      good_directory("kubeletRegistrarDirectory", "/var/lib/kubelet/plugins_registry",
                     DirectoryUse::kKubelet),
      good_directory("data directory", "/var/lib/kubelet/plugins/sriovnetwork.openshift.io",
                     DirectoryUse::kState),
      good_directory("cdiRoot", "/var/run/cdi", DirectoryUse::kState)};
  facts.permissions = {true, (1ULL << 41U) - 1, 1'048'576, 128, 65'536};
  facts.kernel.release = "6.12.95";
  facts.kernel.command_line = "quiet intel_iommu=on";
  facts.kernel.cpu_vendor = "GenuineIntel";
  facts.kernel.iommu_groups = 17;
  facts.kernel.modules_listed = true;
  facts.kernel.modules = {{"vfio", true, false, true},
                          {"vfio_pci", false, false, true},
                          {"vfio_iommu_type1", false, true, false},
                          {"vhost_net", false, false, true},
                          {"tun", true, false, false}};
  facts.pfs = {{"0000:11:00.0", "igb", 7, 2, true}};
  facts.vfs = {{"0000:11:10.0", "0000:11:00.0", "igbvf", "", true},
               {"0000:11:10.2", "0000:11:00.0", "vfio-pci", "vfio-pci", false}};
  facts.runtime.name = "containerd";
  facts.runtime.version = "containerd://2.1.4";
  facts.runtime.running = true;
  facts.runtime.files = {{"/etc/containerd/config.toml", ""}};
  facts.runtime.nri_socket = "/var/run/nri/nri.sock";
  facts.runtime.nri_socket_exists = true;
  facts.runtime.nri_request_timeout_ms = 10'000;
  facts.hook = {"/var/lib/kubelet/plugins/sriovnetwork.openshift.io/dra-driver-sriov-hook", true,
                true, ""};
  facts.kubelet = {true, "v1.34.4", "/var/lib/kubelet", std::nullopt};
  facts.modules = {{"cdi", "/m/cdi.so", "aa", true, true, "", ""}};
  facts.claims = {{"u1", "ns/c1", "Prepared", {"0000-11-10-2"}, "", "", false, false}};
  facts.instances = {true, 4711, {4711}};
  facts.cluster.access = {{"get nodes/worker-1", "OK", ""}, {"get resourceclaims", "OK", ""}};
  return facts;
}

}  // namespace drasriov::doctor
