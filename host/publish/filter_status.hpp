// SPDX-License-Identifier: Apache-2.0
//
// What the status of a SriovResourceFilter tells: the condition Accepted (metav1.Condition), whether a driver has taken
// the filter as it is now. Pure functions of values.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "host/publish/api_time.hpp"

namespace drasriov::publish {

/// The condition as it is in the API.
struct Accepted {
  bool holds = false;
  std::int64_t observed_generation = 0;  ///< 0 = absent
  std::string last_transition;           ///< RFC 3339
  friend bool operator==(const Accepted&, const Accepted&) = default;
};

/// One filter object of the cluster, as far as its status goes.
struct FilterState {
  std::string namespace_;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;       ///< of the spec; 0 = the cluster counts none
  std::string error;                 ///< why this driver cannot read the spec; empty = it can
  std::optional<Accepted> accepted;  ///< what is told already
  [[nodiscard]] std::string to_string() const { return namespace_ + "/" + name; }
  friend bool operator==(const FilterState&, const FilterState&) = default;
};

/// Without `error`. What is missing or of another type is left empty.
[[nodiscard]] FilterState filter_state(const nlohmann::json& object);

/// What a driver has to tell of a filter.
struct Verdict {
  bool holds = false;
  std::string reason;  ///< CamelCase and stable
  std::string message;
};

/// The verdict that the filter's status lacks, if any. `applied`: this node applies the filter as it is now. The first
/// driver that can tell something of a generation tells it for all; that it is applied somewhere counts more than that
/// some driver (an older one) could not read it.
[[nodiscard]] std::optional<Verdict> missing_verdict(const FilterState& filter, bool applied,
                                                     std::string_view node_name);

/// For server-side apply of the status; refused by the server with 409 unless the object is still the one in `filter`.
[[nodiscard]] nlohmann::json filter_status_object(std::string_view driver_name,
                                                  const FilterState& filter, const Verdict& verdict,
                                                  Time now);

}  // namespace drasriov::publish
