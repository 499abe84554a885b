// SPDX-License-Identifier: Apache-2.0
#include "host/base/names.hpp"

#include <algorithm>

namespace drasriov {
namespace {

constexpr bool is_lower_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_label_of(std::string_view text, std::size_t limit) noexcept {
  return !text.empty() && text.size() <= limit && is_lower_alphanumeric(text.front()) &&
         is_lower_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_lower_alphanumeric(c) || c == '-'; });
}

}  // namespace

bool is_dns_label(std::string_view text) noexcept {
  return is_label_of(text, 63);
}

bool is_dns_subdomain(std::string_view text) noexcept {
  if (text.empty() || text.size() > 253) return false;
  for (;;) {
    const auto dot = text.find('.');
    if (!is_label_of(text.substr(0, dot), 253)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_object_uid(std::string_view text) noexcept {
  return is_label_of(text, 64);
}

bool is_interface_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > 15 || text == "." || text == "..") return false;
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f && byte != 0xa0 && c != '/' && c != ':';
  });
}

bool is_driver_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, [](char c) {
    return is_lower_alphanumeric(c) || c == '_' || c == '-';
  });
}

}  // namespace drasriov
