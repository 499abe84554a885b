// SPDX-License-Identifier: Apache-2.0
//
// Members of a document of the running driver, which may be of another version: what is missing or of another type is
// empty. Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::app {

/// A member that is text.
[[nodiscard]] std::string text_of(const nlohmann::json& object, std::string_view member);
/// A member that is true.
[[nodiscard]] bool is_true(const nlohmann::json& object, std::string_view member);
/// A member; null when there is none.
[[nodiscard]] const nlohmann::json& member_of(const nlohmann::json& object,
                                              std::string_view member);
/// The elements of a member that is an array.
[[nodiscard]] const nlohmann::json::array_t& list_of(const nlohmann::json& object,
                                                     std::string_view member);

/// "  TITLE          text" for each row that has a text; the title stands before the first of equal ones only.
struct TitledLine {
  std::string title;
  std::string text;
};
[[nodiscard]] std::string format_titled(std::span<const TitledLine> lines);

/// NOT_FOUND: "no <what> '<wanted>' …", and which up to three of `known` may be meant.
[[nodiscard]] Error nothing_named(std::string_view what, std::string_view wanted,
                                  std::vector<std::string> known);

}  // namespace drasriov::app
