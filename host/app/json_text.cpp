// SPDX-License-Identifier: Apache-2.0
#include "host/app/json_text.hpp"

#include <algorithm>

#include "host/base/nearest_name.hpp"

namespace drasriov::app {

using nlohmann::json;

const json& member_of(const json& object, std::string_view member) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(member);
  return it == object.end() ? kNull : *it;
}

std::string text_of(const json& object, std::string_view member) {
  const json& value = member_of(object, member);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool is_true(const json& object, std::string_view member) {
  const json& value = member_of(object, member);
  return value.is_boolean() && value.get<bool>();
}

const json::array_t& list_of(const json& object, std::string_view member) {
  static const json::array_t kNone;
  const json& value = member_of(object, member);
  return value.is_array() ? value.get_ref<const json::array_t&>() : kNone;
}

std::string format_titled(std::span<const TitledLine> lines) {
  constexpr std::size_t kColumn = 17;
  std::string out;
  std::string_view last;
  for (const TitledLine& line : lines) {
    if (line.text.empty()) continue;
    std::string start = "  " + (line.title == last ? std::string() : line.title);
    start.resize(std::max(kColumn, start.size() + 1), ' ');
    out += start + line.text + "\n";
    last = line.title;
  }
  return out;
}

Error nothing_named(std::string_view what, std::string_view wanted,
                    std::vector<std::string> known) {
  constexpr int kMost = 3;
  std::ranges::sort(known);
  known.erase(std::unique(known.begin(), known.end()), known.end());
  std::string hint;
  for (int i = 0; i < kMost; ++i) {
    const std::vector<std::string_view> views(known.begin(), known.end());
    const auto nearest = nearest_name(wanted, views);
    if (!nearest) break;
    hint += (hint.empty() ? "did you mean '" : ", '") + std::string(*nearest) + "'";
    known.erase(std::ranges::find(known, std::string(*nearest)));
  }
  hint += hint.empty() ? "without an argument all are shown" : "?";
  return {Code::kNotFound,
          "no " + std::string(what) + " '" + std::string(wanted) + "' on this node",
          std::move(hint)};
}

}  // namespace drasriov::app
