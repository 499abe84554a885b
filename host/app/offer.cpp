// SPDX-License-Identifier: Apache-2.0
#include "host/app/offer.hpp"

#include <utility>

#include "host/app/node_events.hpp"
#include "host/app/node_health.hpp"
#include "host/publish/at_rest.hpp"
#include "host/publish/slice_entry.hpp"

namespace drasriov::app {

void Offer::make(const NodeView& view) {
  std::set<std::string> warnings;
  publish::AtRest at_rest = publish::devices_at_rest(*view.inventory, *view.held);
  for (const publish::Withheld& withheld : at_rest.withheld) {
    warnings.insert("device " + withheld.device + " is not published: " + withheld.reason);
  }
  const policy::Advertised advertised = policy::advertise(std::move(at_rest.devices), view.filters,
                                                          {config_.driver_name, config_.advertise});
  for (const policy::Conflict& conflict : advertised.conflicts)
    warnings.insert(conflict.to_string());
  publish::SliceEntries entries = publish::slice_entries(advertised.devices, config_.driver_name);
  for (const publish::Rejected& rejected : entries.rejected)
    warnings.insert(rejected.error.to_string());

  metrics_.gauge_set("drasriov_devices_published", {}, static_cast<double>(entries.entries.size()));
  slices_.publish(std::move(entries.entries));
  endpoint_.publish_health(device_health(view, config_.node_name));
  tell(std::move(warnings));
  write_events(advertised.conflicts, view.inventory->problems());
}

void Offer::write_events(const std::vector<policy::Conflict>& conflicts,
                         std::span<const device::Problem> problems) {
  std::set<publish::Event> events = conflict_events(conflicts, config_.driver_name);
  if (auto event = problem_event(problems, config_.node_name)) events.insert(*std::move(event));
  for (const publish::Event& event : events) {
    if (!events_told_.contains(event)) events_(event);
  }
  events_told_ = std::move(events);
}

void Offer::tell(std::set<std::string> warnings) {
  for (const std::string& warning : warnings) {
    if (!told_.contains(warning)) log_.warning(warning);
  }
  told_ = std::move(warnings);
}

}  // namespace drasriov::app
