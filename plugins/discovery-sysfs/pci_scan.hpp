// SPDX-License-Identifier: Apache-2.0
//
// PciScan: the SR-IOV functions of a sysfs tree as they are at one moment. A plain class without
// threads; used by one thread at a time.
//
// The walk costs a VF ten to fourteen system calls, whatever the number of VFs: the device's
// directory is opened once and everything is read relative to it; `uevent` holds driver, class and
// ids in one read; names of interfaces come from one pass over class/net; what is a fact of the PF
// (address of the bridge, root complex, link type, indices of its VFs) is read once for each PF.
// Links between devices (physfn, virtfnN) are read as text and never followed, so a loop of links
// is harmless.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netdevs.hpp"

namespace drasriov::discovery_sysfs {

enum class LinkType : std::uint8_t { kUnknown, kEthernet, kInfiniband };

/// What PFs and VFs have in common. Texts are empty where the kernel says nothing.
struct PciFunction {
  std::string address;
  std::string incarnation;  ///< SysfsDir::identity()
  std::string vendor;       ///< 4 lower-case hex digits
  std::string device;
  std::string driver;
  std::string netdev;
  std::string iommu_group;
  std::optional<std::int64_t> numa_node;  ///< absent for -1
  LinkType link_type = LinkType::kUnknown;
  bool rdma_capable = false;
};

struct PhysicalFunction : PciFunction {
  std::string pcie_root;  ///< "pci0000:10"
  std::string parent;     ///< PCI address of the bridge before it
  EswitchEvidence eswitch = EswitchEvidence::kNone;
};

struct VirtualFunction : PciFunction {
  std::size_t pf = 0;  ///< index in Snapshot::pfs
  int index = 0;       ///< N of the PF's virtfnN
};

/// Something that had to be skipped: a PCI address or a path, and a sentence with cause and hint.
struct Problem {
  std::string object;
  std::string message;
  friend bool operator==(const Problem&, const Problem&) = default;
};

struct Snapshot {
  std::vector<PhysicalFunction> pfs;  ///< able to have VFs, or having some
  std::vector<VirtualFunction> vfs;
  std::vector<Problem> problems;
};

class PciScan {
 public:
  /// Called before each device is opened; its error ends the scan: deadline, cancellation.
  using Progress = std::function<sdk::Status(std::string_view address)>;

  /// sys_root: absolute, "/sys" or a captured tree.
  explicit PciScan(std::string sys_root) : sys_root_(std::move(sys_root)) {}

  /// kUnavailable when there is no <sys>/bus/pci/devices; else what Progress returned. One bad
  /// device is a Problem.
  [[nodiscard]] sdk::Result<Snapshot> run(const Progress& progress) const;

 private:
  std::string sys_root_;
};

}  // namespace drasriov::discovery_sysfs
