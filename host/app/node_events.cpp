// SPDX-License-Identifier: Apache-2.0
#include "host/app/node_events.hpp"

#include <map>
#include <string>
#include <utility>

namespace drasriov::app {
namespace {

/// Problems that an event names; the status of the driver has all.
constexpr std::size_t kNamed = 3;

publish::Event on_node(std::string_view node_name, std::string action, std::string reason,
                       std::string note) {
  return {publish::node_subject(node_name), std::move(action), true, std::move(reason),
          std::move(note)};
}

}  // namespace

publish::Subject filter_subject(std::string_view driver_name, std::string_view object,
                                std::string_view uid) {
  const auto slash = object.find('/');
  return {std::string(driver_name) + "/v1alpha1", "SriovResourceFilter",
          std::string(object.substr(0, slash)), std::string(object.substr(slash + 1)),
          std::string(uid)};
}

std::set<publish::Event> conflict_events(const std::vector<policy::Conflict>& conflicts,
                                         std::string_view driver_name) {
  std::map<std::string_view, std::vector<const policy::Conflict*>> by_loser;
  for (const policy::Conflict& conflict : conflicts) by_loser[conflict.loser].push_back(&conflict);
  std::set<publish::Event> events;
  for (const auto& [loser, lost] : by_loser) {
    std::string note = lost.front()->to_string();
    if (lost.size() > 1) {
      note += " (the same for " + std::to_string(lost.size() - 1) + " more devices)";
    }
    events.insert({filter_subject(driver_name, loser, lost.front()->loser_uid), "Filter", true,
                   "FilterConflict", std::move(note)});
  }
  return events;
}

std::optional<publish::Event> problem_event(std::span<const device::Problem> problems,
                                            std::string_view node_name) {
  if (problems.empty()) return std::nullopt;
  std::string note;
  for (const device::Problem& problem : problems.first(std::min(kNamed, problems.size()))) {
    if (!note.empty()) note += "; ";
    note += problem.object + ": " + problem.message;
  }
  if (problems.size() > kNamed) {
    note += "; and " + std::to_string(problems.size() - kNamed) + " more";
  }
  return on_node(node_name, "Discover", "DiscoveryProblem", std::move(note));
}

publish::Event scan_event(const Error& error, std::string_view node_name) {
  return on_node(node_name, "Discover", "DiscoveryFailed",
                 error.with_context("the devices stay as they were last seen").to_string());
}

publish::Event module_event(std::string_view instance, const Error& error,
                            std::string_view node_name) {
  const std::string context =
      instance.empty() ? std::string("modules") : "module " + std::string(instance);
  return on_node(node_name, "LoadModule", "ModuleRefused", error.with_context(context).to_string());
}

publish::Event filters_event(const Error& error, std::string_view node_name) {
  return on_node(node_name, "Filter", "FiltersNotFollowed",
                 error.with_context("SriovResourceFilters are not followed").to_string());
}

}  // namespace drasriov::app
