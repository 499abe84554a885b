// SPDX-License-Identifier: Apache-2.0
#include "pci_scan.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "pci.hpp"
#include "sysfs_dir.hpp"

namespace drasriov::discovery_sysfs {
namespace {

constexpr std::string_view kGoneHint =
    "nothing to do when it was just removed: that event starts another scan";
constexpr std::string_view kBrokenTreeHint =
    "the kernel never shows this; check the captured tree, or the kernel log for this address";
constexpr std::string_view kDevices = "bus/pci/devices";

std::string reason(int error_number) {
  return std::generic_category().message(error_number);
}

bool is_gone(int error_number) {
  return error_number == ENOENT || error_number == ENODEV || error_number == ENXIO;
}

std::string_view hint_for(int error_number) {
  if (is_gone(error_number)) {
    return kGoneHint;
  }
  return error_number == EACCES || error_number == EPERM
             ? "the driver has to run as root, or as a user who may read this tree"
             : kBrokenTreeHint;
}

LinkType link_type_of(std::string_view netdev_type, std::uint32_t pci_class) {
  constexpr std::string_view kArphrdEther = "1";  // include/uapi/linux/if_arp.h
  constexpr std::string_view kArphrdInfiniband = "32";
  constexpr std::uint32_t kEthernetClass = 0x0200;  // include/linux/pci_ids.h
  constexpr std::uint32_t kInfinibandClass = 0x0207;
  if (netdev_type == kArphrdEther) {
    return LinkType::kEthernet;
  }
  if (netdev_type == kArphrdInfiniband) {
    return LinkType::kInfiniband;
  }
  switch (pci_class >> 8) {
    case kEthernetClass: return LinkType::kEthernet;
    case kInfinibandClass: return LinkType::kInfiniband;
    default: return LinkType::kUnknown;
  }
}

/// One run: state that lives as long as a snapshot is being made.
class Walk {
 public:
  explicit Walk(const std::string& sys_root) : sys_root_(sys_root) {}

  sdk::Result<Snapshot> run(const PciScan::Progress& progress);

 private:
  /// A PF that was looked at: where it is in the snapshot and which VF has which index. Of no use
  /// when `why` is not empty.
  struct Parent {
    std::string why;
    std::string_view hint;
    std::size_t position = 0;
    std::unordered_map<std::string, int> index_of;
  };

  void problem(std::string_view object, std::string message, std::string_view hint);
  void unreadable(const std::string& address, std::string_view what, int error_number);
  bool known(std::string_view address) const;

  void visit(const std::string& address);
  void visit_vf(const std::string& address, const SysfsDir& dir, const PciUevent& uevent,
                std::string_view physfn);
  const Parent& parent(const std::string& address);
  Parent read_parent(const std::string& address);
  std::unordered_map<std::string, int> read_virtfns(const std::string& address, const SysfsDir& dir,
                                                    const std::vector<std::string>& entries);
  std::optional<PciUevent> read_uevent(const std::string& address, const SysfsDir& dir);
  bool fill(PciFunction& function, const std::string& address, const SysfsDir& dir,
            const PciUevent& uevent);

  const std::string& sys_root_;
  SysfsDir devices_;
  Netdevs netdevs_;
  std::vector<std::string> addresses_;  // sorted
  std::unordered_map<std::string, Parent> parents_;
  Buffer buffer_;
  Snapshot snapshot_;
};

void Walk::problem(std::string_view object, std::string message, std::string_view hint) {
  message.append(" — hint: ").append(hint);
  snapshot_.problems.push_back({std::string(object), std::move(message)});
}

void Walk::unreadable(const std::string& address, std::string_view what, int error_number) {
  std::string message = is_gone(error_number) ? "vanished or incomplete" : "skipped";
  message.append(": ").append(what).append(": ").append(reason(error_number));
  problem(address, std::move(message), hint_for(error_number));
}

bool Walk::known(std::string_view address) const {
  return std::binary_search(addresses_.begin(), addresses_.end(), address);
}

sdk::Result<Snapshot> Walk::run(const PciScan::Progress& progress) {
  const std::string path = sys_root_ + '/' + std::string(kDevices);
  const std::string hint =
      "mount sysfs there (in a container: the host's /sys), or set roots.sys to a sysfs tree";
  auto devices = SysfsDir::open(path);
  auto names =
      devices ? (*devices).list() : Found<std::vector<std::string>>::failed(devices.error());
  if (!names) {
    return sdk::Error(sdk::Code::kUnavailable, path + ": " + reason(names.error()), hint);
  }
  devices_ = std::move(*devices);
  addresses_ = std::move(*names);
  std::sort(addresses_.begin(), addresses_.end());

  if (auto netdevs = Netdevs::read(sys_root_ + "/class/net")) {
    netdevs_ = std::move(*netdevs);
  } else {
    problem(sys_root_ + "/class/net", "no interface names: " + reason(netdevs.error()),
            "devices are listed without PFName; a live sysfs always has this folder");
  }

  for (const std::string& address : addresses_) {
    if (const sdk::Status go_on = progress(address); !go_on) {
      return go_on.error().with_context(path + '/' + address);
    }
    visit(address);
  }
  return std::move(snapshot_);
}

void Walk::visit(const std::string& address) {
  if (!is_pci_address(address)) {
    problem(sys_root_ + '/' + std::string(kDevices) + '/' + address,
            "skipped: the name is not a PCI address", kBrokenTreeHint);
    return;
  }
  const auto dir = devices_.child(address);
  if (!dir) {
    unreadable(address, "its directory", dir.error());
    return;
  }
  const auto uevent = read_uevent(address, *dir);
  if (!uevent || !is_network_class(*uevent->pci_class)) {
    return;
  }
  Buffer buffer;
  if (const auto physfn = (*dir).link("physfn", buffer)) {
    visit_vf(address, *dir, *uevent, *physfn);
  } else if (physfn.error() == ENOENT) {
    static_cast<void>(parent(address));  // reported there when it is able to have VFs
  } else {
    unreadable(address, "physfn", physfn.error());
  }
}

std::optional<PciUevent> Walk::read_uevent(const std::string& address, const SysfsDir& dir) {
  const auto text = dir.read("uevent", buffer_);
  if (!text) {
    unreadable(address, "uevent", text.error());
    return std::nullopt;
  }
  PciUevent uevent = parse_pci_uevent(*text);
  if (!uevent.pci_class) {
    problem(address, "skipped: uevent has no valid PCI_CLASS", kBrokenTreeHint);
    return std::nullopt;
  }
  return uevent;
}

/// What PFs and VFs have in common. False when the device has to be skipped (then the problem is
/// noted).
bool Walk::fill(PciFunction& function, const std::string& address, const SysfsDir& dir,
                const PciUevent& uevent) {
  if (uevent.vendor.empty() || uevent.device.empty()) {
    problem(address, "skipped: uevent has no valid PCI_ID", kBrokenTreeHint);
    return false;
  }
  auto incarnation = dir.identity();
  if (!incarnation) {
    unreadable(address, "stat of its directory", incarnation.error());
    return false;
  }
  function.address = address;
  function.incarnation = std::move(*incarnation);
  function.vendor = uevent.vendor;
  function.device = uevent.device;
  function.driver = uevent.driver;

  // Absent in kernels without CONFIG_NUMA.
  if (const auto text = dir.read("numa_node", buffer_)) {
    const auto node = parse_integer(*text);
    if (!node || *node < -1) {
      problem(address, "published without numaNode: numa_node is \"" + std::string(*text) + '"',
              kBrokenTreeHint);
    } else if (*node >= 0) {
      function.numa_node = node;
    }
  } else if (text.error() != ENOENT) {
    unreadable(address, "numa_node", text.error());
    return false;
  }

  // Absent without an IOMMU.
  if (const auto link = dir.link("iommu_group", buffer_)) {
    const std::string_view group = base_name(*link);
    if (parse_integer(group).value_or(-1) < 0) {
      problem(address, "no IOMMU group: iommu_group leads to \"" + std::string(*link) + '"',
              kBrokenTreeHint);
    } else {
      function.iommu_group = group;
    }
  } else if (link.error() != ENOENT) {
    unreadable(address, "iommu_group", link.error());
    return false;
  }
  return true;
}

void Walk::visit_vf(const std::string& address, const SysfsDir& dir, const PciUevent& uevent,
                    std::string_view physfn) {
  const std::string pf_address(base_name(physfn));
  if (!is_pci_address(pf_address)) {
    problem(address,
            "skipped: physfn leads to \"" + std::string(physfn) + "\", not to a PCI device",
            kBrokenTreeHint);
    return;
  }
  const Parent& pf = parent(pf_address);
  if (!pf.why.empty()) {
    problem(address, "skipped: physfn leads to " + pf_address + ", which " + pf.why, pf.hint);
    return;
  }
  const auto index = pf.index_of.find(address);
  if (index == pf.index_of.end()) {
    problem(address, "skipped: no virtfn link of " + pf_address + " leads to it", kGoneHint);
    return;
  }
  VirtualFunction vf;
  if (!fill(vf, address, dir, uevent)) {
    return;
  }
  const PhysicalFunction& physical = snapshot_.pfs[pf.position];
  vf.pf = pf.position;
  vf.index = index->second;
  vf.netdev = netdevs_.name_of(address);
  // The port's, which stays while the VF's own netdev is elsewhere; without one, what the VF's
  // class says.
  vf.link_type = physical.netdev.empty() ? link_type_of({}, *uevent.pci_class) : physical.link_type;
  vf.rdma_capable = physical.rdma_capable || dir.has("infiniband");
  snapshot_.vfs.push_back(std::move(vf));
}

const Walk::Parent& Walk::parent(const std::string& address) {
  const auto seen = parents_.find(address);
  if (seen != parents_.end()) {
    return seen->second;
  }
  return parents_.emplace(address, read_parent(address)).first->second;
}

Walk::Parent Walk::read_parent(const std::string& address) {
  const auto useless = [](std::string why, std::string_view hint = kBrokenTreeHint) {
    return Parent{.why = std::move(why), .hint = hint};
  };
  const auto dir = devices_.child(address);
  if (!dir) {
    return useless("cannot be opened: " + reason(dir.error()), hint_for(dir.error()));
  }
  const auto entries = (*dir).list();
  const auto has = [&](std::string_view name) {
    return std::find(entries->begin(), entries->end(), name) != entries->end();
  };
  if (!entries) {
    return useless("cannot be listed: " + reason(entries.error()), hint_for(entries.error()));
  }
  if (has("physfn")) {
    return useless("is itself a VF");
  }
  auto index_of = read_virtfns(address, *dir, *entries);
  if (index_of.empty() && !has("sriov_totalvfs")) {
    return useless("has neither sriov_totalvfs nor a virtfn link");
  }
  const auto uevent = read_uevent(address, *dir);
  PhysicalFunction pf;
  if (!uevent || !fill(pf, address, *dir, *uevent)) {
    return useless("has problems of its own");
  }
  if (const auto link = devices_.link(address, buffer_)) {
    PciPath path = parse_pci_path(*link);
    pf.pcie_root = std::move(path.root);
    pf.parent = std::move(path.parent);
  }
  if (pf.pcie_root.empty()) {
    problem(address, "published without pcieRoot: its link names no root complex", kBrokenTreeHint);
  }
  PrimaryNetdev uplink = netdevs_.uplink_of(address);
  pf.link_type = link_type_of(uplink.type, *uevent->pci_class);
  pf.eswitch = netdevs_.eswitch_evidence(uplink);
  pf.netdev = std::move(uplink.name);
  pf.rdma_capable = has("infiniband");
  snapshot_.pfs.push_back(std::move(pf));
  return Parent{.position = snapshot_.pfs.size() - 1, .index_of = std::move(index_of)};
}

std::unordered_map<std::string, int> Walk::read_virtfns(const std::string& address,
                                                        const SysfsDir& dir,
                                                        const std::vector<std::string>& entries) {
  std::unordered_map<std::string, int> index_of;
  for (const std::string& name : entries) {
    const auto index = parse_virtfn(name);
    if (!index) {
      continue;
    }
    const auto link = dir.link(name, buffer_);
    if (!link) {
      unreadable(address, name, link.error());
      continue;
    }
    std::string vf(base_name(*link));
    if (vf == address) {
      problem(address, name + " leads to the PF itself", kBrokenTreeHint);
    } else if (!is_pci_address(vf)) {
      problem(address, name + " leads to \"" + std::string(*link) + "\", not to a PCI device",
              kBrokenTreeHint);
    } else if (!known(vf)) {
      problem(address, name + " leads to " + vf + ", which is not there", kGoneHint);
    } else if (const auto [old, added] = index_of.emplace(std::move(vf), *index); !added) {
      const auto [lower, upper] = std::pair(std::minmax(old->second, *index));
      problem(address,
              "virtfn" + std::to_string(lower) + " and virtfn" + std::to_string(upper) +
                  " both lead to " + old->first,
              kBrokenTreeHint);
      old->second = lower;  // the listing has no order, the result has one
    }
  }
  return index_of;
}

}  // namespace

sdk::Result<Snapshot> PciScan::run(const Progress& progress) const {
  return Walk(sys_root_).run(progress);
}

}  // namespace drasriov::discovery_sysfs
