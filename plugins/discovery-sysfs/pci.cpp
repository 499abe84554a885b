// SPDX-License-Identifier: Apache-2.0
#include "pci.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace drasriov::discovery_sysfs {
namespace {

bool is_lower_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// "pci0000:10"
bool is_root_complex(std::string_view component) noexcept {
  constexpr std::string_view kPrefix = "pci";
  if (!component.starts_with(kPrefix)) {
    return false;
  }
  component.remove_prefix(kPrefix.size());
  const std::size_t colon = component.find(':');
  return colon != std::string_view::npos && colon >= 4 && colon <= 8 &&
         component.size() == colon + 3 && is_lower_hex(component.substr(0, colon)) &&
         is_lower_hex(component.substr(colon + 1));
}

std::string_view next_piece(std::string_view& rest, char separator) noexcept {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view piece = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return piece;
}

/// "8086" of "8086:10CA", in lower case; empty when it is not 4 hex digits.
std::string parse_id(std::string_view text) {
  std::string id(text);
  std::transform(id.begin(), id.end(), id.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return id.size() == 4 && is_lower_hex(id) ? id : std::string();
}

template <typename Number>
std::optional<Number> parse_all(std::string_view text, int base) noexcept {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || stop != end) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

bool is_pci_address(std::string_view text) noexcept {
  constexpr std::size_t kTail = 8;  // ":BB:dd.f"
  if (text.size() < 4 + kTail || text.size() > 8 + kTail) {
    return false;
  }
  const std::string_view domain = text.substr(0, text.size() - kTail);
  const std::string_view tail = text.substr(domain.size());
  return is_lower_hex(domain) && tail[0] == ':' && is_lower_hex(tail.substr(1, 2)) &&
         tail[3] == ':' && (tail[4] == '0' || tail[4] == '1') && is_lower_hex(tail.substr(5, 1)) &&
         tail[6] == '.' && tail[7] >= '0' && tail[7] <= '7';
}

std::string device_name(std::string_view address) {
  std::string name(address);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ':' || c == '.'; }, '-');
  return name;
}

PciPath parse_pci_path(std::string_view link) {
  PciPath path;
  std::string_view before;
  std::string_view last;
  while (!link.empty()) {
    before = last;
    last = next_piece(link, '/');
    if (path.root.empty() && is_root_complex(last)) {
      path.root = last;
    }
  }
  if (is_pci_address(before)) {
    path.parent = before;
  }
  return path;
}

PciUevent parse_pci_uevent(std::string_view text) {
  PciUevent uevent;
  while (!text.empty()) {
    std::string_view value = next_piece(text, '\n');
    const std::string_view key = next_piece(value, '=');
    if (key == "DRIVER") {
      uevent.driver = value;
    } else if (key == "PCI_CLASS") {
      uevent.pci_class = parse_hex(value);
    } else if (key == "PCI_ID") {
      uevent.vendor = parse_id(next_piece(value, ':'));
      uevent.device = parse_id(value);
    }
  }
  return uevent;
}

std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  return parse_all<std::int64_t>(text, 10);
}

std::optional<std::uint32_t> parse_hex(std::string_view text) noexcept {
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
  }
  return parse_all<std::uint32_t>(text, 16);
}

std::optional<int> parse_virtfn(std::string_view name) noexcept {
  constexpr std::string_view kPrefix = "virtfn";
  if (!name.starts_with(kPrefix)) {
    return std::nullopt;
  }
  const auto index = parse_all<int>(name.substr(kPrefix.size()), 10);
  return index && *index >= 0 ? index : std::nullopt;
}

}  // namespace drasriov::discovery_sysfs
