// SPDX-License-Identifier: Apache-2.0
//
// Fields: the attributes, capacities or facts of a device. 2,048 VFs have some 50,000 of them under thirty different keys,
// so keys are shared and the fields of a device lie in one block. Values; any thread.
#pragma once

#include <boost/container/flat_map.hpp>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>

namespace drasriov::device {

/// A text of which the process keeps one copy, for good: for keys, which are few
/// (docs/module-authors.md).
class Key {
 public:
  /// Not explicit: a field is written `fields["driver"]`.
  template <typename Text>
  requires std::is_convertible_v<const Text&, std::string_view> Key(const Text& text)
      : text_(&shared(text)) {}

  [[nodiscard]] const std::string& str() const noexcept { return *text_; }
  operator std::string_view() const noexcept { return *text_; }

  friend bool operator==(Key a, Key b) noexcept { return a.text_ == b.text_; }
  friend std::ostream& operator<<(std::ostream& out, Key key) { return out << *key.text_; }

 private:
  static const std::string& shared(std::string_view text);

  const std::string* text_;
};

/// By the text; a key to look for need not be a Key.
struct ByText {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const noexcept { return a < b; }
};

/// In the order of the keys' texts. Inserting and removing is linear: for some dozens of fields.
template <typename Value>
using Fields = boost::container::flat_map<Key, Value, ByText>;

}  // namespace drasriov::device
