// SPDX-License-Identifier: Apache-2.0
#include "host/device/pci_address.hpp"

#include <array>
#include <cstdio>

namespace drasriov::device {
namespace {

/// Takes `min`..`max` lower-case hexadecimal digits off the front of `text`.
std::optional<std::uint32_t> take_hex(std::string_view& text, std::size_t min,
                                      std::size_t max) noexcept {
  std::uint32_t value = 0;
  std::size_t count = 0;
  while (count < max && count < text.size()) {
    const char c = text[count];
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a') + 10;
    } else {
      break;
    }
    value = value << 4U | digit;
    ++count;
  }
  if (count < min) return std::nullopt;
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char expected) noexcept {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

std::string format(const PciAddress& address, char separator, char last_separator) {
  std::array<char, 24> buffer{};
  const int size =
      std::snprintf(buffer.data(), buffer.size(), "%04x%c%02x%c%02x%c%x", address.domain, separator,
                    unsigned{address.bus}, separator, unsigned{address.device}, last_separator,
                    unsigned{address.function});
  return {buffer.data(), static_cast<std::size_t>(size)};
}

}  // namespace

std::optional<PciAddress> PciAddress::parse(std::string_view text) noexcept {
  const auto domain = take_hex(text, 4, 8);
  if (!domain || !take(text, ':')) return std::nullopt;
  const auto bus = take_hex(text, 2, 2);
  if (!bus || !take(text, ':')) return std::nullopt;
  const auto device = take_hex(text, 2, 2);
  if (!device || *device > 0x1f || !take(text, '.')) return std::nullopt;
  const auto function = take_hex(text, 1, 1);
  if (!function || *function > 7 || !text.empty()) return std::nullopt;
  return PciAddress{*domain, static_cast<std::uint8_t>(*bus), static_cast<std::uint8_t>(*device),
                    static_cast<std::uint8_t>(*function)};
}

std::string PciAddress::to_string() const {
  return format(*this, ':', '.');
}

std::string PciAddress::device_name() const {
  return format(*this, '-', '-');
}

}  // namespace drasriov::device
