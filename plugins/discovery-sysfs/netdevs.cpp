// SPDX-License-Identifier: Apache-2.0
#include "netdevs.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <tuple>

#include "pci.hpp"

namespace drasriov::discovery_sysfs {
namespace {

std::string_view take_last_component(std::string_view& path) noexcept {
  const std::string_view last = base_name(path);
  path.remove_suffix(std::min(path.size(), last.size() + 1));
  return last;
}

std::string_view skip_number(std::string_view text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of("0123456789"), text.size()));
  return text;
}

}  // namespace

std::string_view pci_address_of_netdev(std::string_view link) noexcept {
  take_last_component(link);
  if (take_last_component(link) != "net") {
    return {};
  }
  std::string_view device = take_last_component(link);
  if (device.starts_with("virtio")) {
    device = take_last_component(link);
  }
  return is_pci_address(device) ? device : std::string_view();
}

bool is_representor(std::string_view phys_port_name) noexcept {
  if (phys_port_name.starts_with('c')) {  // controller number of a SmartNIC's external host
    phys_port_name = skip_number(phys_port_name.substr(1));
  }
  return phys_port_name.starts_with("pf") &&
         skip_number(phys_port_name.substr(2)).size() + 2 < phys_port_name.size();
}

Found<Netdevs> Netdevs::read(const std::string& class_net) {
  auto directory = SysfsDir::open(class_net);
  if (!directory) {
    return Found<Netdevs>::failed(directory.error());
  }
  auto names = (*directory).list();
  if (!names) {
    return Found<Netdevs>::failed(names.error());
  }
  Netdevs netdevs(std::move(*directory));
  Buffer buffer;
  for (std::string& name : *names) {
    // No link: a control file such as bonding_masters, or an interface that has just gone.
    if (const auto link = netdevs.class_net_.link(name, buffer)) {
      netdevs.add(std::move(name), *link);
    }
  }
  return netdevs;
}

void Netdevs::add(std::string name, std::string_view link) {
  const std::string_view address = pci_address_of_netdev(link);
  if (!address.empty()) {
    by_address_[std::string(address)].push_back(std::move(name));
  }
}

std::string Netdevs::attribute(const std::string& name, std::string_view file) const {
  Buffer buffer;
  const auto text = class_net_.read(name + '/' + std::string(file), buffer);
  return text ? std::string(*text) : std::string();
}

std::string Netdevs::name_of(std::string_view address) const {
  const auto found = by_address_.find(std::string(address));
  if (found == by_address_.end()) {
    return {};
  }
  // One but for multi-port functions; their first is stable by name.
  return *std::min_element(found->second.begin(), found->second.end());
}

PrimaryNetdev Netdevs::uplink_of(std::string_view address) const {
  PrimaryNetdev uplink;
  const auto found = by_address_.find(std::string(address));
  if (found == by_address_.end()) {
    return uplink;
  }
  using Rank = std::tuple<std::int64_t,
                          std::string>;  // dev_port, name: port 0 of a multi-port function first
  Rank best;
  for (const std::string& name : found->second) {
    if (is_representor(attribute(name, "phys_port_name"))) {
      uplink.representors = true;
      continue;
    }
    const std::int64_t port = found->second.size() == 1
                                  ? 0
                                  : parse_integer(attribute(name, "dev_port"))
                                        .value_or(std::numeric_limits<std::int64_t>::max());
    const Rank rank(port, name);
    if (uplink.name.empty() || rank < best) {
      best = rank;
      uplink.name = name;
    }
  }
  if (!uplink.name.empty()) {
    uplink.type = attribute(uplink.name, "type");
  }
  return uplink;
}

EswitchEvidence Netdevs::eswitch_evidence(const PrimaryNetdev& uplink) const {
  if (!uplink.name.empty()) {
    const std::string mode = attribute(uplink.name, "compat/devlink/mode");
    if (mode == "switchdev") {
      return EswitchEvidence::kSwitchdev;
    }
    if (mode == "legacy") {
      return EswitchEvidence::kLegacy;
    }
  }
  if (uplink.representors) {
    return EswitchEvidence::kSwitchdev;
  }
  const bool switch_id = !uplink.name.empty() && !attribute(uplink.name, "phys_switch_id").empty();
  return switch_id ? EswitchEvidence::kUnclear : EswitchEvidence::kNone;
}

}  // namespace drasriov::discovery_sysfs
