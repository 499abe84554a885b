// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include <ostream>

#include "host/app/builtin_directory.hpp"
#include "host/app/commands.hpp"
#include "host/app/configure.hpp"
#include "host/app/driver.hpp"
#include "host/config/load.hpp"

namespace drasriov::app {
namespace {

/// All of stop: running calls have 10 s, modules 5 s each. kubelet's own patience (terminationGracePeriodSeconds) is 30 s
/// or more.
constexpr unsigned kStopSeconds = 28;

/// glibc gives each thread that meets another in malloc() a heap of its own, up to eight for each
/// processor, and what one of them freed no other uses: for ours, few of which work at a time, that
/// is memory and page faults for nothing.
constexpr int kHeaps = 2;

/// Until a signal says stop.
void serve(Driver& driver) {
  for (;;) {
    switch (driver.signals.wait(Deadline::infinite()).value_or(Signal::kStop)) {
      case Signal::kStop: return;
      case Signal::kRescan:
        driver.log.info("SIGHUP: looking at the machine again");
        driver.control->rescan();
        break;
      case Signal::kStatus: log_status(driver); break;
    }
  }
}

ExitCode start_serve_stop(Driver& driver) {
  bool stop_wanted = false;
  const auto interrupted = [&] {
    stop_wanted = stop_wanted || driver.signals.wait(Deadline::after({})) == Signal::kStop;
    return stop_wanted;
  };
  const StepsStarted started =
      start_steps(driver_steps(), driver, std::function<bool()>(interrupted));
  const bool cancelled = !started.status && started.status.error().code() == Code::kCancelled;
  if (started.status) {
    driver.log.info("driver " + driver.config.driver_name + " serves",
                    {{telemetry::key::kNode, driver.config.node_name}});
    serve(driver);
  }
  if (started.status || cancelled) {
    driver.log.info("stopping");
  } else {
    driver.log.error(started.status.error());
  }
  end_process_after(kStopSeconds);
  stop_steps(driver_steps(), started.count, driver);
  if (!started.status && !cancelled) return ExitCode::kFailure;
  driver.log.info("stopped");
  return ExitCode::kSuccess;
}

}  // namespace

ExitCode run_command(const RunCommand& command, const config::Environment& environment,
                     Streams streams) {
  const auto refuse = [&](const Error& error) {
    streams.error << "dra-driver-sriov: " << error.to_string() << "\n";
    return ExitCode::kUsage;
  };
  auto configuration = load_configuration(command.config, environment);
  if (!configuration) return refuse(configuration.error());
  auto executable = own_executable();
  if (!executable) return refuse(executable.error());
  if (command.print_config) streams.out << config::to_yaml(*configuration);
  const auto mistakes = find_mistakes(*configuration, environment, *executable);
  for (const Error& mistake : mistakes) (void)refuse(mistake);
  if (!mistakes.empty()) return ExitCode::kUsage;
  if (command.print_config) return ExitCode::kSuccess;
  auto directory = builtin_directory(configuration->module_directory, *executable);
  if (!directory) return refuse(directory.error());

  ::mallopt(M_ARENA_MAX, kHeaps);
  auto signals = Signals::open();  // before the first thread
  if (!signals) return refuse(signals.error());
  const auto lines = telemetry::make_log(configuration->log_format, configuration->verbosity);
  telemetry::RecentLines log(*lines);
  log.info("dra-driver-sriov " DRASRIOV_VERSION " starts",
           {{telemetry::key::kNode, configuration->node_name}});
  Driver driver(*std::move(configuration), environment, *std::move(directory),
                executable->parent_path() / claim::kHookName, log, *signals);
  return start_serve_stop(driver);
}

}  // namespace drasriov::app
