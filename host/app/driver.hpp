// SPDX-License-Identifier: Apache-2.0
//
// Driver: everything that `run` makes, in the order in which it is made, and the steps that make and end it. Members
// are destroyed in reverse. One thread (main) starts and stops it; the parts have their own threads.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "host/app/control.hpp"
#include "host/app/followers.hpp"
#include "host/app/measured_claims.hpp"
#include "host/app/offer.hpp"
#include "host/app/owner_lock.hpp"
#include "host/app/signals.hpp"
#include "host/app/steps.hpp"
#include "host/claim/claim_runner.hpp"
#include "host/claim/hook_file.hpp"
#include "host/claim/journal.hpp"
#include "host/claim/work_queue.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/cluster/reflector.hpp"
#include "host/cluster/watched_objects.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"
#include "host/dra/endpoint.hpp"
#include "host/module/module_registry.hpp"
#include "host/pod/sandbox_gate.hpp"
#include "host/publish/claim_reporter.hpp"
#include "host/publish/event_writer.hpp"
#include "host/publish/filter_reporter.hpp"
#include "host/publish/slice_writer.hpp"
#include "host/status/status_server.hpp"
#include "host/telemetry/metrics.hpp"
#include "host/telemetry/recent_lines.hpp"

namespace drasriov::dra {
class HealthServer;
}

namespace drasriov::telemetry {
class MetricsServer;
}

namespace drasriov::app {

struct Driver {
  Driver(config::Configuration configuration, config::Environment process_environment,
         std::filesystem::path builtin_modules, std::filesystem::path hook_program,
         telemetry::RecentLines& process_log, Signals& process_signals);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  const config::Configuration config;
  const config::Environment environment;
  const std::filesystem::path builtin_directory;
  const claim::HookFile hook;
  telemetry::RecentLines& log;
  Signals& signals;
  const std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
  telemetry::Metrics metrics;

  std::optional<OwnerLock> lock;
  std::unique_ptr<status::StatusServer> status;
  std::unique_ptr<telemetry::MetricsServer> metrics_server;
  std::unique_ptr<cluster::ClusterApi> cluster;
  std::optional<publish::EventWriter> events;
  std::optional<module::HostServices> services;
  std::unique_ptr<claim::Journal> journal;
  std::optional<pod::SandboxGate> sandboxes;
  std::unique_ptr<module::ModuleRegistry> registry;
  std::atomic<bool> slices_published{false};
  std::optional<publish::SliceWriter> slices;
  std::optional<Control> control;
  std::optional<publish::FilterReporter> filter_reporter;
  std::optional<Followers> followers;
  std::optional<claim::Attacher> attacher;
  std::optional<claim::WorkQueue> queue;
  std::optional<publish::ClaimReporter> reporter;
  std::optional<cluster::WatchedObjects> networks;
  std::optional<claim::ClaimRunner> claims;
  std::optional<MeasuredClaims> measured_claims;
  std::optional<dra::Endpoint> endpoint;
  std::optional<Offer> offer;
  std::unique_ptr<dra::HealthServer> health;
};

/// In order. After the last one the driver serves.
[[nodiscard]] std::span<const Step<Driver>> driver_steps();

/// One log line for each module and the metrics: what SIGUSR1 asks for.
void log_status(Driver& driver);

}  // namespace drasriov::app
