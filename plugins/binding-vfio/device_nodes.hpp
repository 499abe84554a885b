// SPDX-License-Identifier: Apache-2.0
//
// What a bound device needs of its IOMMU group, and what a container gets of it. check_viable() is
// pure over what sysfs says; container_edits() waits until the nodes are there. Any thread.
#pragma once

#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/cdi_edits.hpp>
#include <drasriov/sdk/result.hpp>

#include <filesystem>
#include <string_view>
#include <vector>

#include "binder.hpp"
#include "pci_device.hpp"
#include "settings.hpp"

namespace drasriov::binding_vfio {

/// Whether VFIO would give out this group: every other member is unbound, with VFIO too, or with a
/// driver that leaves DMA alone (pcieport, pci-stub; Linux, driver_managed_dma). kFailedPrecondition
/// naming the member that is in the way.
[[nodiscard]] sdk::Status check_viable(std::string_view address,
                                       const std::vector<GroupMember>& group);

/// For a device that is to go to `driver`, before anything changes: its group, or that VFIO works
/// without an IOMMU (vfio module parameter enable_unsafe_noiommu_mode).
[[nodiscard]] sdk::Status check_iommu(const PciDevice& device, const Machine& machine,
                                      std::string_view driver, Iommu iommu);

/// Nodes and environment for the container, empty for a driver that has none. device_name: as
/// Kubernetes names the device.
[[nodiscard]] sdk::Result<sdk::cdi::Edits> container_edits(const sdk::Call& call,
                                                           const PciDevice& device,
                                                           std::string_view device_name,
                                                           std::string_view driver, Iommu iommu,
                                                           const Binder& binder);

}  // namespace drasriov::binding_vfio
