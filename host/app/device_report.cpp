// SPDX-License-Identifier: Apache-2.0
#include "host/app/device_report.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "host/app/node_health.hpp"
#include "host/policy/advertise.hpp"
#include "host/publish/at_rest.hpp"
#include "host/publish/slice_entry.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

json fact(const device::Device& device, std::string_view key) {
  const std::string* value = device.fact(key);
  return value == nullptr ? json("") : json(*value);
}

json conflict_json(const policy::Conflict& conflict) {
  return {{"winner", conflict.winner},
          {"winnerResourceName", conflict.winner_name},
          {"loser", conflict.loser},
          {"loserResourceName", conflict.loser_name}};
}

json attempt_json(const policy::Attempt& attempt) {
  return {{"object", attempt.object},
          {"config", attempt.config},
          {"filter", attempt.filter ? json(*attempt.filter) : json()},
          {"matched", attempt.matched},
          {"reason", attempt.reason}};
}

class Report {
 public:
  explicit Report(const DeviceReportInput& input)
      : input_(input),
        settings_{input.config.driver_name, input.config.advertise} {
    const NodeView& view = input.view;
    publish::AtRest at_rest = publish::devices_at_rest(*view.inventory, *view.held);
    for (publish::Withheld& withheld : at_rest.withheld)
      withheld_.emplace(std::move(withheld.device), std::move(withheld.reason));
    at_rest_ = at_rest.devices;
    const auto advertised = policy::advertise(std::move(at_rest.devices), view.filters, settings_);
    auto entries = publish::slice_entries(advertised.devices, input.config.driver_name);
    for (const publish::SliceEntry& entry : entries.entries) published_.insert(entry.name);
    for (const publish::Rejected& rejected : entries.rejected)
      rejected_.emplace(rejected.device, rejected.error.to_string());
    for (dra::DeviceHealth& health : device_health(view, input.config.node_name))
      health_.emplace(health.device, std::move(health));
    for (const claim::JournalEntry& entry : input.claims) {
      if (entry.record) records_.emplace(entry.uid, entry.record);
    }
  }

  [[nodiscard]] json devices() const {
    std::map<std::string, json, std::less<>> all;
    for (const device::Device& device : at_rest_) {
      if (device.kind == "vf") all.emplace(device.name, at_rest(device));
    }
    for (const auto& [name, reason] : withheld_) {
      json object = identity(name, input_.view.held->find(name)->second->published);
      object["published"] = false;
      object["reason"] = reason;
      all.emplace(name, std::move(object));
    }
    for (const device::Problem& problem : input_.view.inventory->problems()) {
      // A problem with a device that is there all the same belongs to it.
      const auto known = std::ranges::find_if(all, [&](const auto& entry) {
        return entry.first == problem.object || entry.second["pciAddress"] == problem.object;
      });
      if (known != all.end()) {
        known->second["problems"].push_back(problem.message);
        continue;
      }
      device::Device skipped;
      skipped.name = problem.object;
      json object = identity(problem.object, skipped);
      object["published"] = false;
      object["reason"] = "discovery could not read it: " + problem.message;
      object["problems"].push_back(problem.message);
      all.emplace(problem.object, std::move(object));
    }
    json array = json::array();
    for (auto& [name, object] : all) array.push_back(std::move(object));
    return array;
  }

 private:
  /// What every entry has. `known`: the device as whoever knows it last describes it.
  [[nodiscard]] json identity(const std::string& name, const device::Device& known) const {
    const device::Device* seen = input_.view.inventory->find(name);
    const device::Device& now = seen == nullptr ? known : *seen;
    json object = {{"device", name},
                   {"present", seen != nullptr},
                   {"pciAddress", fact(now, device::fact::kPciAddress)},
                   {"interface", fact(now, device::fact::kNetdev)},
                   {"driver", fact(now, device::fact::kDriver)},
                   {"pf", fact(now, device::fact::kPfNetdev)},
                   {"pfPciAddress", fact(now, device::fact::kPfPciAddress)},
                   {"vfIndex", fact(now, device::fact::kVfIndex)},
                   {"resourceName", ""},
                   {"namedBy", nullptr},
                   {"attempts", json::array()},
                   {"conflicts", json::array()},
                   {"problems", json::array()},
                   {"heldBy", holder(name)}};
    const auto health = health_.find(name);
    object["health"] = health == health_.end() ? json{{"healthy", seen != nullptr}, {"message", ""}}
                                               : json{{"healthy", health->second.healthy},
                                                      {"message", health->second.message}};
    return object;
  }

  [[nodiscard]] json at_rest(const device::Device& device) const {
    json object = identity(device.name, device);
    if (!input_.filters_unknown.empty()) {
      object["published"] = nullptr;
      object["reason"] = "the filters are not known: " + input_.filters_unknown;
      return object;
    }
    const policy::Explanation why = policy::explain(device, input_.view.filters, settings_);
    object["published"] = published_.contains(device.name);
    object["resourceName"] = why.resource_name;
    const auto rejected = rejected_.find(device.name);
    object["reason"] =
        rejected != rejected_.end()
            ? rejected->second
            : why.summary().substr(device.name.size() + std::string_view(": ").size());
    for (const policy::Attempt& attempt : why.attempts)
      object["attempts"].push_back(attempt_json(attempt));
    if (why.winner) object["namedBy"] = object["attempts"][*why.winner];
    for (const policy::Conflict& conflict : why.conflicts)
      object["conflicts"].push_back(conflict_json(conflict));
    return object;
  }

  [[nodiscard]] json holder(std::string_view name) const {
    const auto held = input_.view.held->find(name);
    if (held == input_.view.held->end()) return nullptr;
    const claim::HeldDevice& device = *held->second;
    json pods = json::array();
    if (const auto record = records_.find(device.claim.uid); record != records_.end()) {
      for (const module::Consumer& consumer : record->second->consumers)
        pods.push_back({{"name", consumer.name}, {"uid", consumer.uid}});
    }
    return {{"namespace", device.claim.namespace_},
            {"name", device.claim.name},
            {"uid", device.claim.uid},
            {"state", device.state},
            {"pods", std::move(pods)}};
  }

  const DeviceReportInput& input_;
  const policy::Settings settings_;
  std::vector<device::Device> at_rest_;
  std::map<std::string, std::string, std::less<>> withheld_;
  std::set<std::string, std::less<>> published_;
  std::map<std::string, std::string, std::less<>> rejected_;
  std::map<std::string, dra::DeviceHealth, std::less<>> health_;
  std::map<std::string, claim::RecordPtr, std::less<>> records_;
};

}  // namespace

json device_report(const DeviceReportInput& input) {
  return Report(input).devices();
}

}  // namespace drasriov::app
