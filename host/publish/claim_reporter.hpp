// SPDX-License-Identifier: Apache-2.0
//
// ClaimReporter: writes what happens to claims into the cluster, off the path of every answer: status.devices by
// server-side apply, and events through an EventWriter. One thread of its own; claims only queue. Coalesces (a claim's
// newest status is the only one that waits), writes nothing that is written already, and retries with jittered back-off.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/claim/claim_service.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/publish/event_writer.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::publish {

struct ClaimReporterSettings {
  std::string driver;  ///< its name; the field manager, too
  std::chrono::milliseconds call_deadline{std::chrono::seconds(10)};
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{std::chrono::seconds(30)};
};

class ClaimReporter final : public claim::ClaimEvents {
 public:
  using HeldChanged = std::function<void(claim::HeldSnapshot)>;

  /// `cluster`, `events` and `log` outlive the reporter. `held_changed` [note] gets the devices that claims hold.
  ClaimReporter(ClaimReporterSettings settings, cluster::ClusterApi& cluster, EventWriter& events,
                telemetry::Log& log, HeldChanged held_changed);
  /// stop()
  ~ClaimReporter() override;

  void start();
  /// Writes what is waiting if that takes no longer than `budget`, then ends the thread.
  void stop(std::chrono::milliseconds budget);

  void status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) override;
  /// The claim is read first: what an earlier process wrote stays, with its times.
  void recovered(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) override;
  void forgotten(const claim::ClaimRef& claim) override;
  void event(const claim::ClaimRef& claim, bool warning, std::string reason,
             std::string message) override;
  void held_changed(claim::HeldSnapshot held) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::publish
