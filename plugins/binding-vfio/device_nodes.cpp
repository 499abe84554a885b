// SPDX-License-Identifier: Apache-2.0
#include "device_nodes.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>

#include "steps.hpp"

namespace drasriov::binding_vfio {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(path, none);
}

bool has_unsafe_mode(const fs::path& sys) {
  std::ifstream in(sys / "module/vfio/parameters/enable_unsafe_noiommu_mode");
  std::string value;
  return in && std::getline(in, value) && (value == "Y" || value == "1");
}

/// In the container a node has its customary place, wherever this host keeps its devices.
sdk::cdi::DeviceNode node(const std::string& container_path, const fs::path& host_path) {
  return {.path = container_path, .host_path = host_path.native(), .type = "c"};
}

std::string vfio_variable(std::string_view device_name) {
  std::string name(device_name);
  std::ranges::replace(name, '-', '_');
  return "SRIOVNETWORK_" + name + "_VFIO_DEVICE";
}

sdk::Error missing(const PciDevice& device, std::string_view what, std::string hint) {
  return sdk::Error(sdk::Code::kFailedPrecondition,
                    device.address() + " is bound, but " + std::string(what) + " does not appear",
                    std::move(hint));
}

sdk::Result<sdk::cdi::Edits> group_edits(const sdk::Call& call, const PciDevice& device,
                                         std::string_view device_name, const Binder& binder) {
  const fs::path vfio = binder.machine().dev / "vfio";
  fs::path host;
  const auto found = [&] {
    const std::string group = device.iommu_group();  // without IOMMU it comes with the bind
    for (const std::string& name : {group, "noiommu-" + group}) {
      host = vfio / name;
      if (!group.empty() && is_there(host)) {
        return true;
      }
    }
    return false;
  };
  if (!poll_until(call, binder.deadline(call), found)) {
    return missing(device, "the node of its IOMMU group in " + vfio.native(),
                   "the driver needs /dev of the node; a kernel without VFIO groups needs "
                   "`iommu: iommufd`");
  }
  const std::string path = "/dev/vfio/" + device.iommu_group();
  sdk::cdi::Edits edits;
  edits.env(vfio_variable(device_name), path)
      .device_node(node(path, host))
      .device_node(node("/dev/vfio/vfio", vfio / "vfio"));
  return edits;
}

sdk::Result<sdk::cdi::Edits> cdev_edits(const sdk::Call& call, const PciDevice& device,
                                        std::string_view device_name, const Binder& binder) {
  const fs::path& dev = binder.machine().dev;
  std::string name;
  const auto found = [&] {
    const auto names = device.children("vfio-dev", "vfio");
    name = names.empty() ? std::string() : names.front();
    return !name.empty() && is_there(dev / "vfio/devices" / name) && is_there(dev / "iommu");
  };
  if (!poll_until(call, binder.deadline(call), found)) {
    return missing(
        device,
        "its node in " + (dev / "vfio/devices").native() + ", or " + (dev / "iommu").native(),
        "this kernel was built without CONFIG_VFIO_DEVICE_CDEV or CONFIG_IOMMUFD: set "
        "`iommu: legacy`");
  }
  const std::string path = "/dev/vfio/devices/" + name;
  sdk::cdi::Edits edits;
  edits.env(vfio_variable(device_name), path)
      .device_node(node(path, dev / "vfio/devices" / name))
      .device_node(node("/dev/iommu", dev / "iommu"));
  return edits;
}

sdk::Result<sdk::cdi::Edits> uio_edits(const sdk::Call& call, const PciDevice& device,
                                       const Binder& binder) {
  const fs::path& dev = binder.machine().dev;
  std::string name;
  const auto found = [&] {
    const auto names = device.children("uio", "uio");
    name = names.empty() ? std::string() : names.front();
    return !name.empty() && is_there(dev / name);
  };
  if (!poll_until(call, binder.deadline(call), found)) {
    return missing(device, "its node uioN in " + dev.native(), "the driver needs /dev of the node");
  }
  sdk::cdi::Edits edits;
  edits.device_node(node("/dev/" + name, dev / name));
  return edits;
}

}  // namespace

sdk::Status check_viable(std::string_view address, const std::vector<GroupMember>& group) {
  for (const GroupMember& member : group) {
    if (member.address == address || member.driver.empty() || is_vfio(member.driver) ||
        member.driver == "pcieport" || member.driver == "pci-stub") {
      continue;
    }
    return sdk::Error(sdk::Code::kFailedPrecondition,
                      std::string(address) + " shares its IOMMU group with " + member.address +
                          ", which " + member.driver + " uses: VFIO gives out whole groups only",
                      "unbind the other device, or use a slot and a firmware with PCIe access "
                      "control (ACS), which makes groups of one");
  }
  return {};
}

sdk::Status check_iommu(const PciDevice& device, const Machine& machine, std::string_view driver,
                        Iommu iommu) {
  if (!is_vfio(driver)) {
    return {};
  }
  if (!device.iommu_group().empty()) {
    return check_viable(device.address(), device.group_members());
  }
  if (iommu == Iommu::kLegacy && has_unsafe_mode(machine.sys)) {
    return {};
  }
  return sdk::Error(
      sdk::Code::kFailedPrecondition,
      device.address() + " has no IOMMU group, so " + std::string(driver) + " would not take it",
      "switch the IOMMU on in firmware and kernel (intel_iommu=on, or AMD's, which "
      "is on by itself), or for trusted containers set "
      "vfio.enable_unsafe_noiommu_mode=1");
}

sdk::Result<sdk::cdi::Edits> container_edits(const sdk::Call& call, const PciDevice& device,
                                             std::string_view device_name, std::string_view driver,
                                             Iommu iommu, const Binder& binder) {
  if (is_vfio(driver)) {
    return iommu == Iommu::kIommufd ? cdev_edits(call, device, device_name, binder)
                                    : group_edits(call, device, device_name, binder);
  }
  return is_uio(driver) ? uio_edits(call, device, binder) : sdk::cdi::Edits();
}

}  // namespace drasriov::binding_vfio
