// SPDX-License-Identifier: Apache-2.0
//
// HostServices: what the host offers its modules (sdk/include/drasriov/abi/host.h): log lines,
// errors, call objects, and the services paths/1, metrics/1 and exec/1. One for the process,
// outlives every module; all of it any thread.
#pragma once

#include <drasriov/abi/host.h>

#include <atomic>
#include <filesystem>
#include <string>

#include "host/config/configuration.hpp"
#include "host/module/interfaces.hpp"
#include "host/module/program.hpp"
#include "host/telemetry/log.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::module {

/// The machine as modules see it. Absolute paths.
struct MachinePaths {
  config::Roots roots;
  std::filesystem::path cdi;
  /// The driver's own; instance NAME gets <data>/modules/NAME. Empty: modules get none, for commands that change nothing.
  std::filesystem::path data;
};

class HostServices {
 public:
  /// `log` and `metrics` outlive this.
  HostServices(MachinePaths paths, telemetry::Log& log, telemetry::Metrics& metrics);

  [[nodiscard]] const MachinePaths& paths() const noexcept { return paths_; }
  /// Whether `sys` is a sysfs mount and not a captured tree; looked up once.
  [[nodiscard]] bool sys_is_live() const noexcept { return sys_is_live_; }
  [[nodiscard]] telemetry::Log& log() const noexcept { return log_; }
  [[nodiscard]] telemetry::Metrics& metrics() const noexcept { return metrics_; }
  [[nodiscard]] ProgramRunner& programs() const noexcept { return programs_; }

  /// The table that every create() gets.
  [[nodiscard]] static const drasriov_host_table& table() noexcept;

 private:
  MachinePaths paths_;
  telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  mutable ProgramRunner programs_;  // locks for itself
  bool sys_is_live_;
};

}  // namespace drasriov::module

/// The host as one module instance sees it; lives until after the instance's destroy().
struct drasriov_host {
  drasriov_host(std::string instance_name, const drasriov::module::HostServices& host_services);

  const std::string instance;
  const drasriov::module::HostServices& services;
  const std::string data_directory;
  std::atomic<drasriov::module::RuntimeEvents*> events{
      nullptr};  ///< set before start() for runtime-hooks modules
};

/// One running call; lives on the adapter's stack.
struct drasriov_call {
  const drasriov::module::Call& call;
};

/// What a failing function leaves; lives on the adapter's stack.
struct drasriov_error {
  bool set = false;
  drasriov_status code = DRASRIOV_OK;
  std::string message;
  std::string hint;
};
