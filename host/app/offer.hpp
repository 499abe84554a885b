// SPDX-License-Identifier: Apache-2.0
//
// Offer: the last part of the control thread's work: from a NodeView to slices and device health, and what people should
// know about it to the log, once. Owned by app/; control thread.
#pragma once

#include <set>
#include <string>

#include "host/app/control.hpp"
#include "host/config/configuration.hpp"
#include "host/dra/endpoint.hpp"
#include "host/publish/slice_writer.hpp"
#include "host/telemetry/log.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::app {

class Offer {
 public:
  /// All outlive this.
  Offer(const config::Configuration& config, publish::SliceWriter& slices, dra::Endpoint& endpoint,
        telemetry::Log& log, telemetry::Metrics& metrics)
      : config_(config),
        slices_(slices),
        endpoint_(endpoint),
        log_(log),
        metrics_(metrics) {}

  void make(const NodeView& view);

 private:
  /// Logs what was not in the last round.
  void tell(std::set<std::string> warnings);

  const config::Configuration& config_;
  publish::SliceWriter& slices_;
  dra::Endpoint& endpoint_;
  telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  std::set<std::string> told_;
};

}  // namespace drasriov::app
