// SPDX-License-Identifier: Apache-2.0
//
// Between the ABI's string and byte views and std::string_view, and reading of structs that may be
// shorter or longer than the one we know. No ownership; any thread.
#pragma once

#include <drasriov/abi/base.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace drasriov::sdk {
inline namespace abi_v1 {

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
  const auto end = reinterpret_cast<const std::byte*>(&(object->*member) + 1) -
                   reinterpret_cast<const std::byte*>(object);
  return static_cast<std::size_t>(end) <= object->struct_size;
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

/// An array of the ABI, each element converted as it is read. Borrowed like the array.
template <class Element, auto Convert>
class ListView {
 public:
  class Iterator {
   public:
    explicit constexpr Iterator(const Element* at) noexcept : at_(at) {}
    constexpr auto operator*() const noexcept { return Convert(*at_); }
    constexpr Iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    friend constexpr bool operator==(Iterator, Iterator) noexcept = default;

   private:
    const Element* at_;
  };

  constexpr ListView(
      std::span<const Element> elements) noexcept  // NOLINT(google-explicit-constructor)
      : elements_(elements) {}

  [[nodiscard]] constexpr Iterator begin() const noexcept { return Iterator(elements_.data()); }
  [[nodiscard]] constexpr Iterator end() const noexcept {
    return Iterator(elements_.data() + elements_.size());
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return elements_.size(); }
  [[nodiscard]] constexpr bool empty() const noexcept { return elements_.empty(); }
  [[nodiscard]] constexpr auto operator[](std::size_t index) const noexcept {
    return Convert(elements_[index]);
  }

 private:
  std::span<const Element> elements_;
};

[[nodiscard]] constexpr std::string_view string_from_abi(const drasriov_string& text) noexcept {
  return from_abi(text);
}

using StringList = ListView<drasriov_string, &string_from_abi>;

/// A key and a value: of a log line, a label, a fact, a CNI argument. Borrowed.
struct Pair {
  std::string_view key;
  std::string_view value;
};

[[nodiscard]] constexpr Pair pair_from_abi(const drasriov_pair& pair) noexcept {
  return {from_abi(pair.key), from_abi(pair.value)};
}

using PairList = ListView<drasriov_pair, &pair_from_abi>;

/// The value under a key, or nothing.
[[nodiscard]] constexpr std::optional<std::string_view> find(PairList pairs,
                                                             std::string_view key) noexcept {
  for (const Pair pair : pairs) {
    if (pair.key == key) {
      return pair.value;
    }
  }
  return std::nullopt;
}

}  // namespace abi_v1
}  // namespace drasriov::sdk
