// SPDX-License-Identifier: Apache-2.0
//
// Netdevs: which network interfaces belong to which PCI function, from one walk over class/net: one
// readlink for each interface of the machine instead of a listing for each VF. Built and used by
// one thread, during one scan.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sysfs_dir.hpp"

namespace drasriov::discovery_sysfs {

/// What the eswitch of a PF looks like in sysfs alone. devlink, where it answers, knows better.
enum class EswitchEvidence : std::uint8_t {
  kNone,       ///< nothing speaks of an eswitch: legacy, the kernel's default for SR-IOV
  kLegacy,     ///< net/*/compat/devlink/mode says so (vendors' out-of-tree drivers)
  kSwitchdev,  ///< the same file says so, or the PF has port representors
  kUnclear,    ///< phys_switch_id without representors: some drivers have it in both modes
};

/// The interface of a PCI function that stands for it, and what was seen on the way.
struct PrimaryNetdev {
  std::string name;  ///< empty: none
  std::string type;  ///< ARPHRD_… number as text: "1" Ethernet, "32" InfiniBand
  bool representors = false;
};

class Netdevs {
 public:
  /// Knows no interface.
  Netdevs() = default;
  /// class_net: <sys>/class/net.
  [[nodiscard]] static Found<Netdevs> read(const std::string& class_net);

  /// Name of the interface of a VF; empty when it has none here (unbound, vfio-pci, in another
  /// network namespace).
  [[nodiscard]] std::string name_of(std::string_view address) const;
  /// The uplink of a PF: port representors of its VFs and subfunctions hang off the same PCI
  /// function in switchdev mode and are passed over.
  [[nodiscard]] PrimaryNetdev uplink_of(std::string_view address) const;
  /// REQUIRES: uplink came from uplink_of().
  [[nodiscard]] EswitchEvidence eswitch_evidence(const PrimaryNetdev& uplink) const;

 private:
  explicit Netdevs(SysfsDir class_net) : class_net_(std::move(class_net)) {}
  void add(std::string name, std::string_view link);
  [[nodiscard]] std::string attribute(const std::string& name, std::string_view file) const;

  SysfsDir class_net_;
  std::unordered_map<std::string, std::vector<std::string>> by_address_;
};

/// PCI address of the function that an interface's link in class/net names as its device; empty for
/// others (virtual ones, subfunctions). link:
/// "../../devices/pci0000:10/0000:10:00.0/0000:11:10.0/net/eth2"; a virtio device may sit between.
[[nodiscard]] std::string_view pci_address_of_netdev(std::string_view link) noexcept;

/// Whether phys_port_name is that of a port representor: "pf0vf3", "pf0sf88", "pf0", "c1pf0vf3"; an
/// uplink is "p0" (Documentation/networking/switchdev.rst, Port Netdev Naming;
/// __devlink_port_phys_port_name_get).
[[nodiscard]] bool is_representor(std::string_view phys_port_name) noexcept;

}  // namespace drasriov::discovery_sysfs
