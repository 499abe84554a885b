// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/base.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "host/app/commands.hpp"
#include "host/app/configure.hpp"
#include "host/app/doctor_command.hpp"
#include "host/app/redact.hpp"
#include "host/base/durable_file.hpp"
#include "host/doctor/bundle.hpp"
#include "host/doctor/checks.hpp"
#include "host/doctor/report.hpp"
#include "host/status/status_client.hpp"

namespace drasriov::app {
namespace {

constexpr std::chrono::seconds kStatusPatience{5};

std::string dump(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// What the running driver says: devices with their explanation, claims, slices, last errors, metrics.
void add_status(const config::Configuration& configuration, doctor::Bundle& bundle) {
  const std::string origin = (configuration.data_directory() / "status.sock").native();
  const auto status =
      status::read_status(configuration.data_directory(), Deadline::after(kStatusPatience));
  if (!status) {
    bundle.add_missing("status.json", origin, status.error());
    return;
  }
  bundle.add("status.json", origin, dump(*status));
  const auto metrics = status->find("metrics");
  if (metrics != status->end() && metrics->is_string())
    bundle.add("metrics.txt", origin + ", metrics", metrics->get<std::string>());
}

/// The output of another command of this program.
template <typename Run>
void add_output(const std::string& path, const std::string& origin, Run run,
                doctor::Bundle& bundle) {
  std::ostringstream out;
  std::ostringstream error;
  const ExitCode code = run(Streams{out, error});
  if (out.str().empty() && code != ExitCode::kSuccess) {
    bundle.add_missing(path, origin, Error(Code::kUnknown, error.str()));
    return;
  }
  if (!error.str().empty()) bundle.add(path + ".errors.txt", origin, error.str());
  bundle.add(path, origin, out.str());
}

void add_commands(const BundleCommand& command, const config::Environment& environment,
                  const config::Configuration& configuration, doctor::Bundle& bundle) {
  DevicesCommand devices;
  devices.sysfs_root = configuration.roots.sys;
  devices.module_directory = configuration.module_directory;
  devices.insecure_dev = configuration.insecure_dev;
  devices.format = OutputFormat::kJson;
  add_output(
      "devices.json", "dra-driver-sriov devices -o json",
      [&](Streams streams) { return devices_command(devices, streams); }, bundle);
  const ExplainCommand explain{{}, OutputFormat::kJson, command.config};
  add_output(
      "explain.json", "dra-driver-sriov explain -o json",
      [&](Streams streams) { return explain_command(explain, environment, streams); }, bundle);
  const ClaimsCommand claims{{}, OutputFormat::kJson, command.config};
  add_output(
      "claims.json", "dra-driver-sriov claims -o json",
      [&](Streams streams) { return claims_command(claims, environment, streams); }, bundle);

  ModuleCommand modules;
  modules.config = command.config;
  modules.json = true;
  const auto module_output = [&](const std::string& path, const std::string& origin) {
    add_output(
        path, "dra-driver-sriov module " + origin,
        [&](Streams streams) { return module_command(modules, environment, streams); }, bundle);
  };
  module_output("modules/list.json", "list --json");
  for (const config::ModuleEntry& entry : configuration.modules) {
    modules.modules = {entry.module};
    const std::string folder = "modules/" + entry.name + "/";
    modules.verb = ModuleCommand::Verb::kInspect;
    module_output(folder + "inspect.json", "inspect --json " + entry.module);
    modules.verb = ModuleCommand::Verb::kVerify;
    module_output(folder + "verify.json", "verify --json " + entry.module);
    modules.verb = ModuleCommand::Verb::kSchema;
    module_output(folder + "schema.json", "schema " + entry.module);
  }
}

std::string version_text() {
  return std::string("dra-driver-sriov ") + DRASRIOV_VERSION + ", module ABI " +
         std::to_string(DRASRIOV_ABI_MAJOR) + "." + std::to_string(DRASRIOV_ABI_MINOR) + "\n";
}

/// The archive replaces FILE by rename(2): that must neither hit a device nor what a link was planted for.
Status check_target(const std::filesystem::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return Error(Code::kInvalidArgument, file.native() + " is no regular file",
                 "name a new file, or give - for standard output");
  if (!file.has_filename())
    return Error(Code::kInvalidArgument, "'" + file.native() + "' names no file");
  return {};
}

ExitCode fail(const Error& error, ExitCode code, Streams streams) {
  streams.error << "dra-driver-sriov: " << error.to_string() << "\n";
  return code;
}

}  // namespace

ExitCode bundle_command(const BundleCommand& command, const config::Environment& environment,
                        Streams streams) {
  const bool to_stdout = command.output == "-";
  if (to_stdout && ::isatty(STDOUT_FILENO) == 1) {
    return fail(Error(Code::kInvalidArgument, "an archive is nothing for a terminal",
                      "give a file, dra-driver-sriov bundle bundle.tar.gz, or redirect the output"),
                ExitCode::kUsage, streams);
  }
  if (auto fits = to_stdout ? Status() : check_target(command.output); !fits)
    return fail(fits.error(), ExitCode::kUsage, streams);
  const auto configuration = load_configuration(command.config, environment);
  if (!configuration) return fail(configuration.error(), ExitCode::kUsage, streams);

  doctor::Bundle bundle;
  bundle.add("version.txt", "this program", version_text());
  bundle.add("configuration.json", "file, environment and flags",
             dump(redacted_configuration(*configuration)));
  const doctor::Facts facts = collect_facts(*configuration, environment, command.host_root);
  const auto results = doctor::diagnose(facts);
  bundle.add("facts.json", "this machine", dump(doctor::facts_to_json(facts)));
  bundle.add("doctor.txt", "facts.json", doctor::format_text(results));
  bundle.add("doctor.json", "facts.json", doctor::format_json(results));
  add_status(*configuration, bundle);
  add_commands(command, environment, *configuration, bundle);
  doctor::add_machine(*configuration, facts, bundle);

  const auto archive =
      bundle.archive("dra-driver-sriov-bundle", DRASRIOV_VERSION, std::chrono::system_clock::now());
  if (!archive) return fail(archive.error(), ExitCode::kFailure, streams);
  if (to_stdout) {
    streams.out << *archive << std::flush;
    if (!streams.out)
      return fail(Error(Code::kResourceExhausted,
                        "write the archive to standard output: it does not "
                        "take it all"),
                  ExitCode::kFailure, streams);
  } else if (auto written = replace_file(command.output, *archive, Durability::kAtomic); !written) {
    return fail(written.error(), ExitCode::kFailure, streams);
  }
  if (bundle.missing() > 0) {
    streams.error << "dra-driver-sriov: " << bundle.missing()
                  << " texts could not be had; manifest.json says which and why\n";
  }
  return ExitCode::kSuccess;
}

}  // namespace drasriov::app
