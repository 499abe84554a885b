// SPDX-License-Identifier: Apache-2.0
//
// PciDevice: what sysfs tells of one PCI function, read when asked. Nothing here takes the device's
// lock in the kernel, so nothing here blocks, but override(): its caller gives it a deadline. A
// value; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::binding_vfio {

/// A device of an IOMMU group.
struct GroupMember {
  std::string address;
  std::string driver;  ///< empty = not bound
};

class PciDevice {
 public:
  /// sys: the root of sysfs.
  PciDevice(const std::filesystem::path& sys, std::string address);

  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  [[nodiscard]] bool exists() const;
  /// "<st_dev>:<inode>" of its directory: another device at this address has another. Empty when it
  /// is gone.
  [[nodiscard]] std::string incarnation() const;
  /// Empty = not bound.
  [[nodiscard]] std::string driver() const;
  /// Empty = not set; nothing when it cannot be read. Takes the device's lock.
  [[nodiscard]] std::optional<std::string> override() const;
  [[nodiscard]] std::string modalias() const;
  /// False for a VF whose PF has sriov_drivers_autoprobe=0: the kernel binds nothing by itself.
  [[nodiscard]] bool probes_by_itself() const;

  /// Decimal; empty = none.
  [[nodiscard]] std::string iommu_group() const;
  /// All devices of the group, this one too.
  [[nodiscard]] std::vector<GroupMember> group_members() const;
  /// Entries of a directory of the device that begin with prefix: uio/uio0, vfio-dev/vfio3.
  [[nodiscard]] std::vector<std::string> children(const std::string& directory,
                                                  std::string_view prefix) const;

 private:
  std::string address_;
  std::filesystem::path path_;
};

/// DDDD:BB:dd.f: what may be part of a path below bus/pci/devices.
[[nodiscard]] bool is_pci_address(std::string_view text);

}  // namespace drasriov::binding_vfio
