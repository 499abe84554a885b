// SPDX-License-Identifier: Apache-2.0
//
// PciAddress: domain:bus:device.function of a PCI function. A value; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drasriov::device {

struct PciAddress {
  std::uint32_t domain = 0;  ///< 16 bits on most machines; 32 with Intel VMD ("10000:…")
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    ///< 0-31
  std::uint8_t function = 0;  ///< 0-7

  /// Lower-case "DDDD:BB:dd.f" with 4 to 8 digits of domain; nullopt for anything else.
  [[nodiscard]] static std::optional<PciAddress> parse(std::string_view text) noexcept;

  /// "0000:08:00.2", as sysfs writes it.
  [[nodiscard]] std::string to_string() const;

  /// "0000-08-00-2": the device's name in a ResourceSlice, a DNS label.
  [[nodiscard]] std::string device_name() const;

  friend auto operator<=>(const PciAddress&, const PciAddress&) = default;
};

}  // namespace drasriov::device
