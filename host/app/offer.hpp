// SPDX-License-Identifier: Apache-2.0
//
// Offer: the last part of the control thread's work: from a NodeView to slices and device health, and what people should
// know about it to the log and as events, once. Owned by app/; control thread.
#pragma once

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "host/app/control.hpp"
#include "host/config/configuration.hpp"
#include "host/dra/endpoint.hpp"
#include "host/policy/advertise.hpp"
#include "host/publish/event_object.hpp"
#include "host/publish/slice_writer.hpp"
#include "host/telemetry/log.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::app {

class Offer {
 public:
  /// All outlive this.
  Offer(const config::Configuration& config, publish::SliceWriter& slices, dra::Endpoint& endpoint,
        telemetry::Log& log, telemetry::Metrics& metrics, publish::EventSink events)
      : config_(config),
        slices_(slices),
        endpoint_(endpoint),
        log_(log),
        metrics_(metrics),
        events_(std::move(events)) {}

  void make(const NodeView& view);

 private:
  /// Logs what was not in the last round.
  void tell(std::set<std::string> warnings);
  /// On the objects that people look at: filters that contradict each other, and the Node.
  void write_events(const std::vector<policy::Conflict>& conflicts,
                    std::span<const device::Problem> problems);

  const config::Configuration& config_;
  publish::SliceWriter& slices_;
  dra::Endpoint& endpoint_;
  telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  const publish::EventSink events_;
  std::set<std::string> told_;
  std::set<publish::Event> events_told_;
};

}  // namespace drasriov::app
