// SPDX-License-Identifier: Apache-2.0
#include "host/app/status_document.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "host/app/claim_report.hpp"
#include "host/app/device_report.hpp"
#include "host/app/redact.hpp"
#include "host/module/entry_file.hpp"
#include "host/module/manifest.hpp"
#include "host/publish/api_time.hpp"
#include "host/status/status_client.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;
using publish::api_time;

json time_or_null(std::optional<publish::Time> time) {
  return time ? json(api_time(*time)) : json();
}

json error_json(const std::optional<Error>& error) {
  return error ? json(error->to_string()) : json("");
}

json program(const Driver& driver, publish::Time now) {
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(now - driver.started);
  return {{"name", driver.config.driver_name},
          {"version", DRASRIOV_VERSION},
          {"abi", module::HostAbi::of_this_build().abi.to_string()},
          {"node", driver.config.node_name},
          {"pid", ::getpid()},
          {"startTime", api_time(driver.started)},
          {"uptimeSeconds", uptime.count()}};
}

json last_errors(const telemetry::RecentLines& log) {
  json lines = json::array();
  for (const telemetry::RecentLines::Line& line : log.lines()) {
    json object = {{"time", publish::api_micro_time(line.time)},
                   {"level", line.level == telemetry::Level::kError ? "error" : "warning"},
                   {"message", line.message}};
    for (const auto& [key, value] : line.fields) object["fields"][key] = value;
    lines.push_back(std::move(object));
  }
  return lines;
}

json modules(const Driver& driver) {
  json list = json::array();
  for (const module::ModuleState& state : driver.registry->states()) {
    const auto path = module::module_path(state.module, {driver.builtin_directory, false});
    list.push_back({{"name", state.name},
                    {"module", state.module},
                    {"path", path ? path->native() : ""},
                    {"version", state.version},
                    {"abi", state.abi},
                    {"capabilities", state.capabilities},
                    {"claimFields", state.claim_fields},
                    {"state", module::phase_name(state.phase)},
                    {"error", error_json(state.error)}});
  }
  return list;
}

/// What must hold for pods to get devices; the driver is ready when all of it does.
json readiness(const Driver& driver) {
  json conditions = json::array();
  bool ready = true;
  const auto add = [&](std::string_view name, bool holds, std::string message) {
    ready = ready && holds;
    conditions.push_back(
        {{"name", name}, {"holds", holds}, {"message", holds ? "" : std::move(message)}});
  };
  add("RegisteredWithKubelet", driver.endpoint->registered(),
      "kubelet has not registered the driver at " + driver.endpoint->registration_socket());
  add("SlicesPublished", driver.slices_published, "not all ResourceSlices have been written yet");
  const module::Modules& roles = driver.registry->modules();
  if (!roles.runtime_hooks.empty()) {
    const Status runtime = driver.sandboxes->runtime_ready();
    add("RuntimeConnected", runtime.ok(), runtime ? "" : runtime.error().to_string());
  }
  return {{"ready", ready}, {"conditions", std::move(conditions)}};
}

json left_out(const std::vector<policy::NodeFilters::LeftOut>& filters) {
  json list = json::array();
  for (const auto& filter : filters)
    list.push_back({{"object", filter.object}, {"reason", filter.reason}});
  return list;
}

json filters(const NodeView& view, const std::string& unknown) {
  json object = {{"known", unknown.empty()},
                 {"reason", unknown},
                 {"applied", json::array()},
                 {"unselected", left_out(view.filters.unselected)},
                 {"invalid", left_out(view.filters.invalid)}};
  for (const policy::ResourceFilter& filter : view.filters.applied) {
    json names = json::array();
    for (const policy::FilterConfig& config : filter.configs) names.push_back(config.resource_name);
    object["applied"].push_back({{"object", filter.to_string()},
                                 {"nodeSelector", filter.node_selector},
                                 {"resourceNames", std::move(names)}});
  }
  return object;
}

json inventory(const device::Inventory& inventory) {
  json problems = json::array();
  for (const device::Problem& problem : inventory.problems())
    problems.push_back({{"object", problem.object}, {"message", problem.message}});
  return {{"version", inventory.version()},
          {"devices", inventory.devices().size()},
          {"problems", std::move(problems)}};
}

json slices(const publish::SliceState& state) {
  return {{"generation", state.generation}, {"slices", state.slices},
          {"devices", state.devices},       {"lastSuccess", time_or_null(state.last_success)},
          {"lastError", state.last_error},  {"lastErrorTime", time_or_null(state.last_error_time)}};
}

json frame(const Driver& driver, std::string_view phase, publish::Time now) {
  return {{"apiVersion", status::kApiVersion},
          {"kind", status::kStatusKind},
          {"phase", phase},
          {"time", api_time(now)},
          {"driver", program(driver, now)},
          {"configuration", redacted_configuration(driver.config)},
          {"lastErrors", last_errors(driver.log)}};
}

std::string text_of(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string status_document(const Driver& driver) {
  const auto now = std::chrono::system_clock::now();
  json document = frame(driver, "Serving", now);
  NodeView view;
  std::string filters_unknown;
  if (const auto latest = driver.control->view()) {
    view = *latest;
  } else {
    filters_unknown = "the cluster has not told the SriovResourceFilters and the node's labels yet";
  }
  view.inventory = driver.control->inventory();
  view.held = driver.journal->held();
  const auto records =
      claim::journal_entries(*driver.journal, driver.config.data_directory() / "claims");

  document["readiness"] = readiness(driver);
  document["modules"] = modules(driver);
  document["inventory"] = inventory(*view.inventory);
  document["filters"] = filters(view, filters_unknown);
  document["devices"] = device_report({view, filters_unknown, records, driver.config});
  document["claims"] =
      claim_report({records, driver.journal->boot_id(), view.inventory.get(), now});
  document["slices"] = slices(driver.slices->state());
  document["metrics"] = driver.metrics.text();
  return text_of(document);
}

std::string short_status_document(const Driver& driver, std::string_view phase) {
  return text_of(frame(driver, phase, std::chrono::system_clock::now()));
}

}  // namespace drasriov::app
