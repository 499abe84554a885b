// SPDX-License-Identifier: Apache-2.0
//
// VfSysfs: what sysfs tells of one VF, its interface and its PF's, read when asked. A value; any
// thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "snapshot.hpp"

namespace drasriov::vf_state {

class VfSysfs {
 public:
  /// sys: the root of sysfs.
  VfSysfs(const std::filesystem::path& sys, std::string_view address)
      : path_(sys / "bus/pci/devices" / address) {}

  [[nodiscard]] bool exists() const;
  /// "<st_dev>:<inode>" of its directory; empty when it is gone.
  [[nodiscard]] std::string incarnation() const;
  /// Empty = not bound.
  [[nodiscard]] std::string driver() const;

  /// The interface and its index; nothing while it is in another network namespace (the directory
  /// net/ is there then, and empty) or has no driver that makes one.
  struct Found {
    Netdev netdev;
    int index = 0;
  };
  [[nodiscard]] std::optional<Found> netdev() const;

  /// Index of the PF's own interface, not of one that stands for a VF (switchdev); preferred: its
  /// name when it was published. Nothing without one.
  [[nodiscard]] std::optional<int> pf_index(std::string_view preferred) const;

 private:
  std::filesystem::path path_;
};

}  // namespace drasriov::vf_state
