// SPDX-License-Identifier: Apache-2.0
//
// Between the ABI's string and byte views and std::string_view, and reading of structs that may be
// shorter or longer than the one we know. No ownership; any thread.
#pragma once

#include <drasriov/abi/base.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace drasriov::sdk::inline abi_v1 {

[[nodiscard]] constexpr drasriov_string to_abi(std::string_view text) noexcept {
  return {text.data(), text.size()};
}

[[nodiscard]] inline drasriov_bytes to_abi_bytes(std::string_view bytes) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

[[nodiscard]] constexpr std::string_view from_abi(drasriov_string text) noexcept {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}

[[nodiscard]] inline std::string_view from_abi(drasriov_bytes bytes) noexcept {
  return bytes.data == nullptr
             ? std::string_view()
             : std::string_view(reinterpret_cast<const char*>(bytes.data), bytes.size);
}

/// DRASRIOV_COVERS for a pointer to member.
template <class Struct, class Member>
[[nodiscard]] bool covers(const Struct* object, Member Struct::*member) noexcept {
  const auto offset = reinterpret_cast<const std::byte*>(&(object->*member)) -
                      reinterpret_cast<const std::byte*>(object);
  return static_cast<std::size_t>(offset) + sizeof(Member) <= object->struct_size;
}

/// The member, or a zero value where the struct is null or was filled by someone who did not know
/// the member.
template <class Struct, class Member>
[[nodiscard]] Member get(const Struct* object, Member Struct::*member) noexcept {
  return object != nullptr && covers(object, member) ? object->*member : Member{};
}

template <class Struct>
[[nodiscard]] std::string_view text(const Struct* object,
                                    drasriov_string Struct::*member) noexcept {
  return from_abi(get(object, member));
}

/// An array of structs that never grow.
template <class Struct, class Element>
[[nodiscard]] std::span<const Element> array(const Struct* object, const Element* Struct::*base,
                                             std::size_t Struct::*count) noexcept {
  const Element* elements = get(object, base);
  return elements == nullptr ? std::span<const Element>()
                             : std::span<const Element>(elements, get(object, count));
}

}  // namespace drasriov::sdk::inline abi_v1
