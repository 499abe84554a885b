// SPDX-License-Identifier: Apache-2.0
//
// The steps of `run`, each a small function over the Driver. Their order is the invariant: nothing is touched before
// this process owns the node, nothing is served before an earlier process' claims are in order, kubelet hears of the
// driver last.
#include "host/app/driver.hpp"

#include <malloc.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "host/app/node_events.hpp"
#include "host/app/open_cluster.hpp"
#include "host/app/status_document.hpp"
#include "host/base/durable_file.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/claim/checkpoint_import.hpp"
#include "host/cluster/directory/directory_cluster.hpp"
#include "host/dra/health_service.hpp"
#include "host/telemetry/metrics_server.hpp"

namespace drasriov::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kStandbyPoll{250};
constexpr seconds kRecoveryBudget{10};
/// For calls that kubelet has made already; architecture: at most 10 s.
constexpr seconds kRunningCallsBudget{10};
constexpr seconds kModuleStopPatience{5};
/// For status and events that still wait to be written.
constexpr seconds kReportBudget{2};

Status make_data_directory(Driver& driver) {
  return make_directories(driver.config.data_directory(), 0750);
}

/// Blocks while another process owns the node: it stands by, without registration, journal or modules.
Status own_node(Driver& driver) {
  auto lock = OwnerLock::open(driver.config.data_directory());
  if (!lock) return lock.error();
  bool told = false;
  for (;;) {
    const auto taken = lock->try_take();
    if (!taken) return taken.error();
    if (*taken) break;
    if (!told) {
      driver.log.info("another driver serves this node (process " +
                      lock->owner().value_or("unknown") + "): standing by until it ends");
      told = true;
    }
    if (driver.signals.wait(Deadline::after(kStandbyPoll)) == Signal::kStop) {
      return Error(Code::kCancelled, "stopped while standing by");
    }
  }
  if (told) driver.log.info("the other driver has ended: this one takes over");
  driver.lock = *std::move(lock);
  return {};
}

/// People can ask from here on what the driver is doing. Nothing depends on it: without it the driver serves, too.
Status serve_status(Driver& driver) {
  auto server = status::StatusServer::start(
      {.data_directory = driver.config.data_directory()},
      [&driver] { return short_status_document(driver, "Starting"); }, driver.log);
  if (server) {
    driver.status = *std::move(server);
  } else {
    driver.log.warning(server.error().with_context("the commands will not see this driver"));
  }
  return {};
}

void end_status(Driver& driver) {
  driver.status.reset();
}

/// This early, so that a port that another program has ends the start before anything is touched.
Status serve_metrics(Driver& driver) {
  const config::Configuration& config = driver.config;
  if (config.metrics_port < 0) return {};
  auto server = telemetry::MetricsServer::start(
      {.address = config.metrics_address, .port = config.metrics_port}, driver.metrics);
  if (!server) return server.error();
  driver.metrics_server = *std::move(server);
  driver.log.info("metrics over HTTP on " + config.metrics_address + ", port " +
                  std::to_string(driver.metrics_server->port()));
  return {};
}

void end_metrics(Driver& driver) {
  driver.metrics_server.reset();
}

Status tell_all(Driver& driver) {
  if (driver.status) driver.status->describe_by([&driver] { return status_document(driver); });
  return {};
}

/// The parts go one by one from here on.
void tell_stopping(Driver& driver) {
  if (!driver.status) return;
  driver.status->describe_by([&driver] { return short_status_document(driver, "Stopping"); });
}

Status open_cluster(Driver& driver) {
  const std::filesystem::path& folder = driver.config.cluster_directory;
  if (!folder.empty()) cluster::DirectoryCluster::remove_stale_temporaries(folder);
  auto cluster = app::open_cluster(driver.config, driver.environment, driver.log);
  if (!cluster) return cluster.error();
  driver.cluster = *std::move(cluster);
  return {};
}

Status write_events(Driver& driver) {
  publish::EventWriterSettings settings;
  settings.reporter = {driver.config.driver_name, driver.config.node_name};
  driver.events.emplace(std::move(settings), *driver.cluster, driver.log);
  driver.events->start();
  return {};
}

void end_events(Driver& driver) {
  driver.cluster->end_calls_by(Deadline::after(kReportBudget));
  driver.events->stop(kReportBudget);
}

publish::EventSink event_sink(Driver& driver) {
  return [&events = *driver.events](publish::Event event) { events.write(std::move(event)); };
}

/// Before the container runtime can ask: the records say which pods need the driver, all others pass from the start.
Status open_journal(Driver& driver) {
  auto boot_id = claim::read_boot_id(driver.config.roots.proc);
  if (!boot_id) return boot_id.error();
  auto journal = claim::Journal::open(driver.config.data_directory() / "claims", *boot_id);
  if (!journal) return journal.error();
  driver.journal = *std::move(journal);
  for (const claim::Quarantined& record : driver.journal->quarantined()) {
    driver.log.error("claim record " + record.uid + " is in quarantine: " + record.reason);
  }
  driver.sandboxes.emplace(*driver.journal, claim::pods_to_import(driver.config.data_directory()));
  return {};
}

Status load_modules(Driver& driver) {
  module::MachinePaths paths;
  paths.roots = driver.config.roots;
  paths.cdi = driver.config.cdi_root;
  paths.data = driver.config.data_directory();
  driver.services.emplace(std::move(paths), driver.log, driver.metrics);
  if (driver.config.insecure_dev) {
    driver.log.warning(
        "insecureDev is on: modules that other users may write are loaded — hint: only for "
        "development");
  }
  module::LoadOptions options;
  options.files = {driver.builtin_directory, driver.config.insecure_dev};
  auto registry = module::ModuleRegistry::load(driver.config.modules, *driver.services, options);
  if (!registry) {
    driver.events->write(module_event({}, registry.error(), driver.config.node_name));
    return registry.error();
  }
  driver.registry = *std::move(registry);
  return {};
}

/// A list of modules may leave these out, but hardly anybody means it.
void warn_of_missing_capabilities(Driver& driver) {
  const module::Modules& modules = driver.registry->modules();
  if (modules.discovery.empty()) {
    driver.log.warning(
        Error(Code::kFailedPrecondition,
              "no enabled module offers discovery/1: no device is found, none is published",
              "enable discovery-sysfs in modules of the configuration"));
  }
  if (modules.cdi == nullptr) {
    driver.log.warning(Error(Code::kFailedPrecondition,
                             "no enabled module offers cdi/1: no claim will be prepared",
                             "enable cdi in modules of the configuration"));
  }
}

Status start_modules(Driver& driver) {
  for (module::RuntimeHooks* hooks : driver.registry->modules().runtime_hooks) {
    hooks->set_events(*driver.sandboxes);
  }
  if (auto started = driver.registry->start(); !started) {
    driver.events->write(module_event({}, started.error(), driver.config.node_name));
    return started;
  }
  for (const module::ModuleState& state : driver.registry->states()) {
    if (state.phase == module::ModuleState::Phase::kDisabled) continue;
    const bool failed = state.phase == module::ModuleState::Phase::kFailed;
    const std::array<telemetry::Label, 1> labels{telemetry::Label{"module", state.name}};
    driver.metrics.gauge_set("drasriov_module_up", labels, failed ? 0 : 1);
    if (failed && state.error) {
      driver.events->write(module_event(state.name, *state.error, driver.config.node_name));
    }
  }
  warn_of_missing_capabilities(driver);
  return {};
}

void stop_modules(Driver& driver) {
  driver.registry->stop(kModuleStopPatience, [&driver](const std::string& instance) {
    driver.log.error("module does not return from stop()", {{telemetry::key::kModule, instance}});
  });
}

Status make_slice_writer(Driver& driver) {
  publish::SliceWriterSettings settings;
  settings.driver = driver.config.driver_name;
  settings.node = driver.config.node_name;
  driver.slices.emplace(std::move(settings), *driver.cluster, driver.log,
                        [&published = driver.slices_published] {
                          published = true;
                          // Scan, plan and JSON of thousands of devices are garbage now, and glibc
                          // keeps it. This is rare: nothing is published while nothing changes.
                          ::malloc_trim(0);
                        });
  return {};
}

publish::FilterReporter::AppliedFilters applied_filters(const policy::NodeFilters& filters) {
  publish::FilterReporter::AppliedFilters applied;
  for (const policy::ResourceFilter& filter : filters.applied) {
    applied.emplace(filter.uid, filter.generation);
  }
  return applied;
}

Status make_control(Driver& driver) {
  ControlSettings settings;
  settings.driver_name = driver.config.driver_name;
  settings.advertise = driver.config.advertise;
  settings.scan_failed = [&driver](const Error& error) {
    driver.events->write(scan_event(error, driver.config.node_name));
  };
  driver.control.emplace(std::move(settings), driver.registry->modules().discovery, driver.log,
                         driver.metrics, [&driver](const NodeView& view) {
                           driver.offer->make(view);
                           driver.filter_reporter->applied(applied_filters(view.filters));
                         });
  return {};
}

/// Before the first scan, so that nothing changes unseen between the two.
Status watch_machine(Driver& driver) {
  for (module::Discovery* discovery : driver.registry->modules().discovery) {
    auto watched = discovery->watch([&control = *driver.control] { control.rescan(); });
    if (!watched && watched.error().code() != Code::kUnimplemented) return watched;
    if (!watched) {
      driver.log.info("this machine cannot be watched: " + watched.error().message() +
                          " — hint: SIGHUP scans again",
                      {{telemetry::key::kModule, discovery->instance()}});
    }
  }
  return {};
}

Status follow_cluster(Driver& driver) {
  const config::Configuration& config = driver.config;
  publish::FilterReporterSettings reporting;
  reporting.driver_name = config.driver_name;
  reporting.node_name = config.node_name;
  driver.filter_reporter.emplace(std::move(reporting), *driver.cluster, driver.log);
  driver.followers.emplace(
      *driver.cluster, *driver.control, *driver.slices,
      FilterFollower::Voices{driver.log, driver.metrics, event_sink(driver),
                             [&reporter = *driver.filter_reporter](auto filters) {
                               reporter.seen(std::move(filters));
                             }},
      Followers::Names{config.driver_name, config.node_name, config.namespace_});
  driver.followers->start();
  return {};
}

void unfollow_cluster(Driver& driver) {
  driver.cluster->end_calls_by(Deadline::after(milliseconds(0)));  // nobody is interested any more
  driver.followers->stop();
  driver.filter_reporter->stop();
}

/// A pod's network is attached through a runtime-hooks module; without one no claim may count on it.
Status runtime_gate(const module::Modules& modules, const pod::SandboxGate& sandboxes) {
  if (modules.runtime_hooks.empty()) {
    return Error(Code::kFailedPrecondition,
                 "no module with runtime-hooks/1 is enabled, so nobody would attach the interface",
                 "enable runtime-nri, or leave netAttachDefName empty and attach with Multus");
  }
  return sandboxes.runtime_ready();
}

Status make_claims(Driver& driver) {
  driver.attacher.emplace(claim::AttacherParts{
      .modules = driver.registry->modules(),
      .journal = *driver.journal,
      .inventory = [&control = *driver.control] { return control.inventory(); },
      .open_namespace = [proc = driver.config.roots.proc](
                            const std::string& path) { return open_network_namespace(path, proc); },
      .markers = driver.config.data_directory() / "attached"});
  // A plugin that hangs keeps a thread for as long as the runtime waits; prepares go on beside it.
  driver.queue.emplace(std::max(8U, std::thread::hardware_concurrency()));

  publish::ClaimReporterSettings reporting;
  reporting.driver = driver.config.driver_name;
  driver.reporter.emplace(std::move(reporting), *driver.cluster, *driver.events, driver.log,
                          [&control = *driver.control](claim::HeldSnapshot held) {
                            control.set_held(std::move(held));
                          });
  driver.reporter->start();
  driver.networks.emplace(*driver.cluster, cluster::network_attachment_definitions());

  claim::RunnerSettings settings;
  settings.data_directory = driver.config.data_directory();
  settings.plan.driver_name = driver.config.driver_name;
  settings.plan.pool_name = driver.config.node_name;
  settings.plan.interface_prefix = driver.config.default_interface_prefix;
  settings.plan.net_attach_def_namespaces = driver.config.net_attach_def_namespaces;
  const module::Modules& modules = driver.registry->modules();
  driver.claims.emplace(
      std::move(settings),
      claim::RunnerParts{
          .queue = *driver.queue,
          .journal = *driver.journal,
          .modules = modules,
          .attacher = *driver.attacher,
          .hook = driver.hook,
          .cluster = *driver.cluster,
          .networks = [&networks = *driver.networks](
                          const cluster::ObjectKey& key,
                          Deadline deadline) { return networks.get(key, deadline); },
          .inventory = [&control = *driver.control] { return control.inventory(); },
          .runtime =
              [&driver] { return runtime_gate(driver.registry->modules(), *driver.sandboxes); },
          .events = *driver.reporter,
          .quarantine_released = [&sandboxes = *driver.sandboxes](
                                     const claim::Record& record) { sandboxes.released(record); }});
  return {};
}

void stop_claims(Driver& driver) {
  // Until the modules end the runtime is answered all the same: only a pod whose network is missing is refused.
  driver.queue->stop();
  // What modules took of the time is not the API server's.
  driver.cluster->end_calls_by(Deadline::after(kReportBudget));
  driver.reporter->stop(kReportBudget);
}

/// Claims without a network do without it; of the others each says so.
Status install_hook(Driver& driver) {
  if (auto installed = driver.hook.install(); !installed) {
    driver.log.error(installed.error().with_context(
        "install the OCI hook; no claim with a network is prepared without it"));
  }
  return {};
}

/// It goes with the last claim: documents of claims that are left name it, and their containers may start while no driver
/// runs.
void remove_hook(Driver& driver) {
  if (!driver.journal->all().empty() || !driver.journal->quarantined().empty()) return;
  if (auto removed = driver.hook.remove(); !removed) driver.log.warning(removed.error());
}

/// What a Go driver of the same name prepared on this node.
Status import_claims(Driver& driver) {
  if (claim::has_checkpoint(driver.config.data_directory())) driver.control->wait_for_first_scan();
  const auto outcome = claim::import_checkpoint(
      driver.config.data_directory(), driver.config.driver_name, *driver.journal,
      *driver.control->inventory(), driver.registry->modules());
  if (!outcome) return outcome.error();
  if (!outcome->found) return {};
  if (outcome->rejected) {
    driver.log.error(outcome->rejected->with_context("the Go driver's claims were not imported"));
    return {};
  }
  for (const claim::RefusedClaim& refused : outcome->refused) {
    const std::string claim =
        refused.claim.name.empty() ? refused.claim.uid : refused.claim.to_string();
    driver.log.error("claim of the Go driver was not imported: " + refused.reason,
                     {{telemetry::key::kClaim, claim}});
    if (!refused.claim.name.empty()) {
      driver.reporter->event(
          refused.claim, true, "ImportRefused",
          "the Go driver prepared it, and this one cannot take it over: " + refused.reason);
    }
  }
  driver.log.info(
      "the Go driver's checkpoint.json is imported: " + std::to_string(outcome->imported.size()) +
      " claims taken over, " + std::to_string(outcome->known) + " known already, " +
      std::to_string(outcome->refused.size()) + " refused");
  return {};
}

/// What a node without claims serves does not depend on its devices: kubelet finds the driver while
/// the machine is still being looked at, and a claim that comes that early waits for it.
Status recover_claims(Driver& driver) {
  driver.sandboxes->serve(
      {}, pod::PodParts{.queue = *driver.queue,
                        .journal = *driver.journal,
                        .attacher = *driver.attacher,
                        .log = driver.log,
                        .changed = [&claims = *driver.claims](
                                       const claim::Record& record) { claims.tell_status(record); },
                        .warn =
                            [&claims = *driver.claims](const claim::ClaimRef& claim,
                                                       std::string reason, std::string message) {
                              claims.tell_warning(claim, std::move(reason), std::move(message));
                            },
                        .consumers =
                            [&claims = *driver.claims](const claim::ClaimRef& claim) {
                              return claims.consumers_of(claim);
                            }});
  if (!driver.journal->all().empty()) driver.control->wait_for_first_scan();
  if (auto recovered = driver.claims->recover(Deadline::after(kRecoveryBudget)); !recovered) {
    driver.log.error(
        recovered.error().with_context("recover claims"));  // each claim will say so, too
  }
  driver.control->set_held(driver.journal->held());
  return {};
}

Status make_endpoint(Driver& driver) {
  dra::EndpointSettings settings;
  settings.driver_name = driver.config.driver_name;
  settings.data_directory = driver.config.data_directory();
  settings.registrar_directory = driver.config.kubelet_registrar_directory;
  driver.measured_claims.emplace(*driver.claims, driver.metrics);
  driver.endpoint.emplace(std::move(settings), *driver.measured_claims, driver.log);
  return {};
}

Status start_publishing(Driver& driver) {
  driver.offer.emplace(driver.config, *driver.slices, *driver.endpoint, driver.log, driver.metrics,
                       event_sink(driver));
  driver.slices->start();
  return driver.control->start();
}

void stop_publishing(Driver& driver) {
  // kubelet's calls are answered: what is left is not worth waiting for a server that is gone.
  driver.cluster->end_calls_by(Deadline::after(kReportBudget));
  driver.control->stop();
  driver.slices->stop();
}

Status serve_kubelet(Driver& driver) {
  auto started = driver.endpoint->start();
  if (!started) driver.endpoint->stop(milliseconds(0));
  return started;
}

/// Ends the work of calls that outlast their time, so that the sockets can close.
class CallTimeLimit {
 public:
  CallTimeLimit(claim::WorkQueue& queue, milliseconds budget)
      : thread_([this, &queue, until = Deadline::after(budget).when()] {
          {
            const MutexLock lock(mutex_);
            while (!done_) {
              if (!changed_.wait_until(mutex_, until)) break;
            }
            if (done_) return;
          }
          queue.stop();
        }) {}
  ~CallTimeLimit() {
    {
      const MutexLock lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  CallTimeLimit(const CallTimeLimit&) = delete;
  CallTimeLimit& operator=(const CallTimeLimit&) = delete;

 private:
  Mutex mutex_;
  CondVar changed_;
  bool done_ DRASRIOV_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

void leave_kubelet(Driver& driver) {
  const CallTimeLimit limit(*driver.queue, kRunningCallsBudget);
  driver.endpoint->stop(kRunningCallsBudget);
}

Status serve_health(Driver& driver) {
  if (driver.config.healthcheck_port < 0) return {};
  auto service = std::make_unique<dra::HealthService>(
      driver.endpoint->registration_socket(), driver.endpoint->dra_socket(),
      [&driver] { return driver.slices_published.load(); });
  auto server = dra::HealthServer::start(driver.config.healthcheck_address,
                                         driver.config.healthcheck_port, std::move(service));
  if (!server) return server.error();
  driver.health = *std::move(server);
  driver.log.info("gRPC health service on " + driver.config.healthcheck_address + ", port " +
                  std::to_string(driver.health->port()));
  return {};
}

void end_health(Driver& driver) {
  driver.health.reset();
}

constexpr std::array kSteps = {
    Step<Driver>{"make the data directory", make_data_directory, nullptr},
    Step<Driver>{"own the node", own_node, nullptr},
    Step<Driver>{"serve status", serve_status, end_status},
    Step<Driver>{"serve metrics", serve_metrics, end_metrics},
    Step<Driver>{"open the cluster", open_cluster, nullptr},
    Step<Driver>{"write events", write_events, end_events},
    Step<Driver>{"open the journal", open_journal, nullptr},
    Step<Driver>{"load modules", load_modules, nullptr},
    Step<Driver>{"start modules", start_modules, stop_modules},
    Step<Driver>{"make the slice writer", make_slice_writer, nullptr},
    Step<Driver>{"make the control", make_control, nullptr},
    Step<Driver>{"watch the machine", watch_machine, nullptr},
    Step<Driver>{"follow the cluster", follow_cluster, unfollow_cluster},
    Step<Driver>{"install the hook", install_hook, remove_hook},
    Step<Driver>{"make the claims", make_claims, stop_claims},
    Step<Driver>{"make kubelet's endpoint", make_endpoint, nullptr},
    Step<Driver>{"look at the machine", start_publishing, stop_publishing},
    Step<Driver>{"import the Go driver's claims", import_claims, nullptr},
    Step<Driver>{"recover claims", recover_claims, nullptr},
    Step<Driver>{"serve kubelet", serve_kubelet, leave_kubelet},
    Step<Driver>{"serve health probes", serve_health, end_health},
    Step<Driver>{"tell the whole status", tell_all, tell_stopping},
};

}  // namespace

Driver::Driver(config::Configuration configuration, config::Environment process_environment,
               std::filesystem::path builtin_modules, std::filesystem::path hook_program,
               telemetry::RecentLines& process_log, Signals& process_signals)
    : config(std::move(configuration)),
      environment(std::move(process_environment)),
      builtin_directory(std::move(builtin_modules)),
      hook(std::move(hook_program), config.effective_hook_directory()),
      log(process_log),
      signals(process_signals),
      metrics(process_log) {}

Driver::~Driver() = default;

std::span<const Step<Driver>> driver_steps() {
  return kSteps;
}

void log_status(Driver& driver) {
  for (const module::ModuleState& state : driver.registry->states()) {
    std::string text =
        state.module + " " + state.version + " is " + std::string(module::phase_name(state.phase));
    if (state.error) text += ": " + state.error->to_string();
    driver.log.info(text, {{telemetry::key::kModule, state.name}});
  }
  const auto inventory = driver.control->inventory();
  driver.log.info(
      std::to_string(inventory->devices().size()) + " devices, " +
      std::to_string(inventory->problems().size()) + " problems, " +
      std::to_string(driver.journal->held()->size()) + " devices held by claims, " +
      (driver.endpoint->registered() ? "registered with kubelet" : "not registered with kubelet"));
  for (const auto& [name, held] : *driver.journal->held()) {
    const std::string claim = held->claim.to_string();
    driver.log.info("device is held: " + held->state,
                    {{telemetry::key::kDevice, name}, {telemetry::key::kClaim, claim}});
  }
  const std::string metrics = driver.metrics.text();
  for (std::size_t start = 0; start < metrics.size();) {
    const auto end = metrics.find('\n', start);
    const auto line = std::string_view(metrics).substr(start, end - start);
    const bool is_value = !line.starts_with('#') && line.find("_bucket{") == std::string_view::npos;
    if (is_value) driver.log.info(line);
    start = end + 1;
  }
}

}  // namespace drasriov::app
