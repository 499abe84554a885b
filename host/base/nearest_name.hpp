// SPDX-License-Identifier: Apache-2.0
//
// nearest_name(): which of the known names a person probably meant, for the hints of "unknown key"
// and "unknown command". A pure function; any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace drasriov {

/// The name with the smallest edit distance (insert, delete, replace, swap of neighbours; upper and
/// lower case are equal) from `wanted`, or nullopt when none is near: more than a third of the
/// longer one's letters differ.
[[nodiscard]] std::optional<std::string_view> nearest_name(std::string_view wanted,
                                                           std::span<const std::string_view> known);

}  // namespace drasriov
