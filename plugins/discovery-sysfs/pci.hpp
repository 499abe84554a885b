// SPDX-License-Identifier: Apache-2.0
//
// PCI addresses and the kernel's texts about PCI functions, as pure functions over text. Any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drasriov::discovery_sysfs {

/// "DDDD:BB:dd.f" in lower case; 4 to 8 digits of domain (Intel VMD has domains above ffff), device
/// to 1f, function to 7.
[[nodiscard]] bool is_pci_address(std::string_view text) noexcept;

/// "0000:08:00.2" -> "0000-08-00-2". REQUIRES: is_pci_address(address).
[[nodiscard]] std::string device_name(std::string_view address);

/// Where a PCI function sits, from the text of its link in bus/pci/devices.
struct PciPath {
  /// Root complex "pciDDDD:BB" (KEP-4381, resource.kubernetes.io/pcieRoot): the first such
  /// component below devices/. Empty when there is none.
  std::string root;
  /// Address of the bridge that the function is behind; empty for a function on the root bus.
  std::string parent;
};
/// link: "../../../devices/pci0000:10/0000:10:00.0/0000:11:10.0".
[[nodiscard]] PciPath parse_pci_path(std::string_view link);

/// What the uevent file of a PCI function tells (drivers/pci/pci-driver.c, pci_uevent).
struct PciUevent {
  std::string driver;  ///< DRIVER; empty when unbound
  std::optional<std::uint32_t>
      pci_class;       ///< PCI_CLASS, 24 bits: 0x020000 is an Ethernet controller
  std::string vendor;  ///< PCI_ID, 4 lower-case hex digits each; empty when there is none
  std::string device;
};
[[nodiscard]] PciUevent parse_pci_uevent(std::string_view text);

inline constexpr std::uint32_t kNetworkBaseClass = 0x02;
[[nodiscard]] constexpr bool is_network_class(std::uint32_t pci_class) noexcept {
  return pci_class >> 16 == kNetworkBaseClass;
}

/// "7" -> 7, "-1" -> -1; nothing else before, between or behind the digits.
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text) noexcept;
/// "20000" or "0x020000".
[[nodiscard]] std::optional<std::uint32_t> parse_hex(std::string_view text) noexcept;
/// N of "virtfnN".
[[nodiscard]] std::optional<int> parse_virtfn(std::string_view name) noexcept;

}  // namespace drasriov::discovery_sysfs
