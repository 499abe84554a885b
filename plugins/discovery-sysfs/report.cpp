// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <string>

#include "pci.hpp"

namespace drasriov::discovery_sysfs {
namespace {

// Of the driver's own domain; the host qualifies them.
constexpr std::string_view kVendor = "vendor";
constexpr std::string_view kDeviceId = "deviceID";
constexpr std::string_view kPfDeviceId = "pfDeviceID";
constexpr std::string_view kPciAddress = "pciAddress";
constexpr std::string_view kPfName = "PFName";
constexpr std::string_view kEswitchMode = "EswitchMode";
constexpr std::string_view kVfId = "vfID";
constexpr std::string_view kPfPciAddress = "pfPciAddress";
constexpr std::string_view kParentPciAddress = "parentPciAddress";
constexpr std::string_view kDriver = "driver";
constexpr std::string_view kLinkType = "linkType";
constexpr std::string_view kRdmaCapable = "rdmaCapable";
// KEP-4381 and its successors; Multus.
constexpr std::string_view kNumaNode = "resource.kubernetes.io/numaNode";
constexpr std::string_view kPcieRoot = "resource.kubernetes.io/pcieRoot";
constexpr std::string_view kPciBusId = "resource.kubernetes.io/pciBusID";
constexpr std::string_view kMultusDeviceId = "k8s.cni.cncf.io/deviceID";

void string_unless_empty(sdk::Device& device, std::string_view key, std::string_view value) {
  if (!value.empty()) {
    device.string(key, value);
  }
}

void fact_unless_empty(sdk::Device& device, std::string_view key, std::string_view value) {
  if (!value.empty()) {
    device.fact(key, value);
  }
}

std::string_view to_text(LinkType type) {
  switch (type) {
    case LinkType::kEthernet: return "ethernet";
    case LinkType::kInfiniband: return "infiniband";
    case LinkType::kUnknown: break;
  }
  return {};
}

/// What a PF and its VFs are told in the same way. `pf` is the function itself for a PF.
void describe_function(sdk::Device& device, const PciFunction& function, const PhysicalFunction& pf,
                       std::optional<EswitchMode> mode, std::string_view sys_root) {
  device.string(kVendor, pf.vendor)
      .string(kDeviceId, function.device)
      .string(kPciAddress, function.address)
      .string(kPciBusId, function.address)
      .boolean(kRdmaCapable, function.rdma_capable);
  string_unless_empty(device, kPfName, pf.netdev);
  string_unless_empty(device, kParentPciAddress, pf.parent);
  string_unless_empty(device, kPcieRoot, pf.pcie_root);
  string_unless_empty(device, kDriver, function.driver);
  string_unless_empty(device, kLinkType, to_text(function.link_type));
  if (mode) {
    device.string(kEswitchMode, to_text(*mode));
  }
  if (function.numa_node) {
    device.integer(kNumaNode, *function.numa_node);
  }

  std::string path(sys_root);
  path.append("/bus/pci/devices/").append(function.address);
  device.fact(DRASRIOV_FACT_PCI_ADDRESS, function.address)
      .fact(DRASRIOV_FACT_SYSFS_PATH, path)
      .fact(DRASRIOV_FACT_INCARNATION, function.incarnation);
  fact_unless_empty(device, DRASRIOV_FACT_NETDEV, function.netdev);
  fact_unless_empty(device, DRASRIOV_FACT_DRIVER, function.driver);
  fact_unless_empty(device, DRASRIOV_FACT_IOMMU_GROUP, function.iommu_group);
}

}  // namespace

std::optional<EswitchMode> eswitch_mode(std::optional<EswitchMode> by_devlink,
                                        EswitchEvidence evidence) noexcept {
  if (by_devlink) {
    return by_devlink;
  }
  switch (evidence) {
    case EswitchEvidence::kSwitchdev: return EswitchMode::kSwitchdev;
    case EswitchEvidence::kNone:
    case EswitchEvidence::kLegacy: return EswitchMode::kLegacy;
    case EswitchEvidence::kUnclear: break;
  }
  return std::nullopt;
}

sdk::Device describe(const PhysicalFunction& pf, std::optional<EswitchMode> mode,
                     std::string_view sys_root) {
  sdk::Device device(device_name(pf.address), DRASRIOV_DEVICE_PF);
  describe_function(device, pf, pf, mode, sys_root);
  return device;
}

sdk::Device describe(const VirtualFunction& vf, const PhysicalFunction& pf,
                     std::optional<EswitchMode> mode, std::string_view sys_root) {
  sdk::Device device(device_name(vf.address), DRASRIOV_DEVICE_VF);
  device.parent(device_name(pf.address));
  describe_function(device, vf, pf, mode, sys_root);
  device.string(kPfDeviceId, pf.device)
      .string(kPfPciAddress, pf.address)
      .integer(kVfId, vf.index)
      .string(kMultusDeviceId, vf.address)
      .fact(DRASRIOV_FACT_PF_PCI_ADDRESS, pf.address)
      .fact(DRASRIOV_FACT_VF_INDEX, std::to_string(vf.index));
  fact_unless_empty(device, DRASRIOV_FACT_PF_NETDEV, pf.netdev);
  return device;
}

}  // namespace drasriov::discovery_sysfs
