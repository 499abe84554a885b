// SPDX-License-Identifier: Apache-2.0
//
// What vf-state remembers of a VF, and what has to change to have it back. Values and pure
// functions; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drasriov::vf_state {

using Mac = std::array<std::uint8_t, 6>;

/// "52:54:00:12:34:56"
[[nodiscard]] std::string to_text(const Mac& mac);
[[nodiscard]] std::optional<Mac> parse_mac(std::string_view text);

/// The network interface of a VF in the host.
struct Netdev {
  std::string name;
  std::uint32_t mtu = 0;
  std::optional<Mac> mac;   ///< nothing: no Ethernet address
  bool random_mac = false;  ///< addr_assign_type is NET_ADDR_RANDOM: its driver draws a new one
  bool up = false;
  bool chosen_mac = false;           ///< addr_assign_type is NET_ADDR_SET: set at this interface
  std::optional<std::string> alias;  ///< host-device keeps the name in the host there
  friend bool operator==(const Netdev&, const Netdev&) = default;
};

struct Vlan {
  std::uint32_t id = 0;
  std::uint32_t qos = 0;
  std::uint16_t protocol = 0x8100;  ///< or 0x88a8
  friend bool operator==(const Vlan&, const Vlan&) = default;
};

struct Rate {
  std::uint32_t min = 0;  ///< Mbit/s; 0 = none
  std::uint32_t max = 0;
  friend bool operator==(const Rate&, const Rate&) = default;
};

/// What an administrator sets for a VF at its PF (`ip link set PF vf N …`). Absent: the PF's driver
/// does not tell.
struct VfSettings {
  std::optional<Mac> mac;  ///< all zero = not set
  std::optional<Vlan> vlan;
  std::optional<Rate> rate;
  std::optional<bool> spoof_check;
  std::optional<bool> trust;
  std::optional<std::uint32_t> link_state;  ///< IFLA_VF_LINK_STATE_…

  [[nodiscard]] bool empty() const { return *this == VfSettings(); }
  friend bool operator==(const VfSettings&, const VfSettings&) = default;
};

/// Only what is present changes.
struct LinkChange {
  std::optional<std::string> name;
  std::optional<std::uint32_t> mtu;
  std::optional<Mac> mac;
  std::optional<bool> up;
  std::optional<std::string> alias;  ///< empty = none

  [[nodiscard]] bool empty() const { return *this == LinkChange(); }
  friend bool operator==(const LinkChange&, const LinkChange&) = default;
};

struct Snapshot {
  std::string incarnation;  ///< of the device's directory
  std::string driver;       ///< empty = not bound
  std::optional<Netdev> netdev;
  VfSettings settings;

  [[nodiscard]] std::string to_text() const;
  /// kDataLoss when it is none.
  [[nodiscard]] static sdk::Result<Snapshot> parse(std::string_view text);
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

/// Some PF drivers report the address that a VF drew for itself, or that was set at its interface, as
/// if it had been set at the PF. Set back, it would be: so what equals such an address of the
/// interface counts as not set.
[[nodiscard]] VfSettings as_set_by_hand(VfSettings settings, const std::optional<Netdev>& netdev);

/// What brings `now` to `wanted`. What either does not tell stays. REQUIRES: both are
/// as_set_by_hand().
[[nodiscard]] VfSettings difference(const VfSettings& now, const VfSettings& wanted);

/// Likewise of the interface. A random address is put back only where another one has been set at the
/// interface: that of a pod must not stay. A new random one is as good as the old one.
[[nodiscard]] LinkChange difference(const Netdev& now, const Netdev& wanted);

}  // namespace drasriov::vf_state
