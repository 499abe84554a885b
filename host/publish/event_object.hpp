// SPDX-License-Identifier: Apache-2.0
//
// What people read with `kubectl describe`: events of events.k8s.io/v1. Pure functions of values.
#pragma once

#include <compare>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "host/publish/api_time.hpp"

namespace drasriov::publish {

/// Who reports an event.
struct Reporter {
  std::string controller;  ///< the driver's name
  std::string instance;    ///< the node's name
};

/// The object that an event is about.
struct Subject {
  std::string api_version;
  std::string kind;
  std::string namespace_;  ///< empty for cluster-scoped kinds
  std::string name;
  std::string uid;
  [[nodiscard]] std::string to_string() const;  ///< "Node n1", "ResourceClaim ns/c1"
  friend auto operator<=>(const Subject&, const Subject&) = default;
};

/// The Node of that name. kubelet names it so, too, and `kubectl describe node` looks for that.
[[nodiscard]] Subject node_subject(std::string_view node_name);

struct Event {
  Subject regarding;
  std::string action;  ///< what the driver was doing: "Prepare"
  bool warning = true;
  std::string reason;  ///< CamelCase and stable
  std::string note;
  friend auto operator<=>(const Event&, const Event&) = default;
};

/// Where events go. [any] thread, returns at once.
using EventSink = std::function<void(Event)>;

/// The API object of an event that was seen `count` times between `first` and `last`.
[[nodiscard]] nlohmann::json event_object(const Reporter& reporter, const Event& event, Time first,
                                          Time last, int count);

/// The first `limit` bytes, cut between characters.
[[nodiscard]] std::string cut_text(std::string_view text, std::size_t limit);

}  // namespace drasriov::publish
