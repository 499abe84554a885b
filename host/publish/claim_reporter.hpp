// SPDX-License-Identifier: Apache-2.0
//
// ClaimReporter: writes what happens to claims into the cluster, off the path of every answer: status.devices by
// server-side apply and events. One thread of its own; claims only queue. Coalesces (a claim's newest status is the only
// one that waits), writes nothing that is written already, retries with jittered back-off, and never holds a claim up: the
// queues are bounded, and what is dropped is said in the log.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "host/claim/claim_service.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/publish/claim_objects.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::publish {

struct ClaimReporterSettings {
  Reporter reporter;
  std::chrono::milliseconds call_deadline{std::chrono::seconds(10)};
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{std::chrono::seconds(30)};
  /// The same event (claim, reason, text) again within this time only counts; the count is written when it ends.
  std::chrono::milliseconds event_window{std::chrono::minutes(10)};
  std::size_t max_waiting_events = 256;
};

class ClaimReporter final : public claim::ClaimEvents {
 public:
  using HeldChanged = std::function<void(claim::HeldSnapshot)>;

  /// `cluster` and `log` outlive the reporter. `held_changed` [note] gets the devices that claims hold.
  ClaimReporter(ClaimReporterSettings settings, cluster::ClusterApi& cluster, telemetry::Log& log,
                HeldChanged held_changed);
  /// stop()
  ~ClaimReporter() override;

  void start();
  /// Writes what is waiting if that takes no longer than `budget`, then ends the thread.
  void stop(std::chrono::milliseconds budget);

  void status(const claim::ClaimRef& claim, std::vector<claim::DeviceStatus> devices) override;
  void forgotten(const claim::ClaimRef& claim) override;
  void event(const claim::ClaimRef& claim, bool warning, std::string reason,
             std::string message) override;
  void held_changed(claim::HeldSnapshot held) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::publish
