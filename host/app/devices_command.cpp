// SPDX-License-Identifier: Apache-2.0
#include <ostream>
#include <string>

#include "host/app/builtin_directory.hpp"
#include "host/app/commands.hpp"
#include "host/app/device_list.hpp"
#include "host/app/discover.hpp"
#include "host/app/warnings_only.hpp"
#include "host/module/module_registry.hpp"

namespace drasriov::app {
namespace {

Result<module::Discovery::Scan> scan_once(const DevicesCommand& command, telemetry::Log& log) {
  auto executable = own_executable();
  if (!executable) return executable.error();
  auto directory = builtin_directory(command.module_directory, *executable);
  if (!directory) return directory.error();

  module::MachinePaths paths;
  paths.roots.sys = command.sysfs_root;
  telemetry::Metrics metrics(log);
  const module::HostServices services(paths, log, metrics);
  config::ModuleEntry entry;
  entry.name = "discovery-sysfs";
  entry.module = "builtin:discovery-sysfs";
  entry.capabilities = {"discovery/1"};
  module::LoadOptions options;
  options.files = {*directory, command.insecure_dev};
  auto registry = module::ModuleRegistry::load({&entry, 1}, services, options);
  if (!registry) return registry.error();

  module::Call call;
  call.deadline = Deadline::after(std::chrono::seconds(60));
  call.id = "devices";
  return discover((*registry)->modules().discovery, call);
}

}  // namespace

ExitCode devices_command(const DevicesCommand& command, Streams streams) {
  WarningsOnly log(streams.error);
  auto scan = scan_once(command, log);
  if (!scan) {
    log.error(scan.error());
    return ExitCode::kFailure;
  }
  for (const device::Problem& problem : scan->problems)
    log.warning(problem.object + ": " + problem.message);
  streams.out << format_devices(*std::move(scan), command.format);
  return ExitCode::kSuccess;
}

}  // namespace drasriov::app
