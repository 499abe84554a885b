// SPDX-License-Identifier: Apache-2.0
#include "host/app/doctor_command.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <ostream>

#include "host/app/builtin_directory.hpp"
#include "host/app/commands.hpp"
#include "host/app/configure.hpp"
#include "host/app/open_cluster.hpp"
#include "host/base/durable_file.hpp"
#include "host/doctor/checks.hpp"
#include "host/doctor/collect.hpp"
#include "host/doctor/report.hpp"

namespace drasriov::app {
namespace {

constexpr std::chrono::seconds kClusterPatience{10};

/// What the cluster says in its log is among the facts already.
class NoLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level /*level*/) const noexcept override { return false; }
  void write(telemetry::Level /*level*/, std::string_view /*message*/,
             std::span<const telemetry::Field> /*fields*/,
             const std::source_location* /*where*/) override {}
};

void ask_cluster(const config::Configuration& configuration, const config::Environment& environment,
                 doctor::Facts& facts) {
  NoLog log;
  const auto cluster = open_cluster(configuration, environment, log, NodeParts::kAll);
  if (cluster) {
    doctor::collect_cluster(**cluster, Deadline::after(kClusterPatience), facts);
  } else {
    doctor::note_unreachable_cluster(cluster.error(), facts);
  }
}

constexpr const char* kFactsHint = "give the file facts.json of a bundle";

Result<doctor::Facts> recorded_facts(const std::filesystem::path& file) {
  const auto text = read_file(file);
  if (!text) return text.error().with_hint(kFactsHint);
  const auto parsed = nlohmann::json::parse(*text, nullptr, false);
  if (parsed.is_discarded())
    return Error(Code::kInvalidArgument, file.native() + " is not JSON", kFactsHint);
  auto facts = doctor::facts_from_json(parsed);
  return facts ? std::move(facts) : facts.error().with_context(file.native());
}

ExitCode exit_code_of(doctor::Severity severity) {
  switch (severity) {
    case doctor::Severity::kOk:
    case doctor::Severity::kInfo: return ExitCode::kSuccess;
    case doctor::Severity::kWarning: return ExitCode::kWarnings;
    case doctor::Severity::kError: return ExitCode::kErrors;
  }
  return ExitCode::kErrors;
}

}  // namespace

doctor::Facts collect_facts(const config::Configuration& configuration,
                            const config::Environment& environment,
                            const std::filesystem::path& host_root) {
  doctor::CollectOptions options;
  options.host_root = host_root;
  options.verify.insecure_dev = configuration.insecure_dev;
  // Without the directory each builtin module is a finding that says so.
  if (const auto executable = own_executable()) {
    if (auto directory = builtin_directory(configuration.module_directory, *executable))
      options.builtin_directory = *std::move(directory);
  }
  doctor::Facts facts = doctor::collect(configuration, options);
  ask_cluster(configuration, environment, facts);
  return facts;
}

ExitCode doctor_command(const DoctorCommand& command, const config::Environment& environment,
                        Streams streams) {
  doctor::Facts facts;
  if (command.facts) {
    auto recorded = recorded_facts(*command.facts);
    if (!recorded) {
      streams.error << "dra-driver-sriov: " << recorded.error().to_string() << "\n";
      return ExitCode::kFailure;
    }
    facts = *std::move(recorded);
  } else {
    const auto configuration = load_configuration(command.config, environment);
    if (!configuration) {
      streams.error << "dra-driver-sriov: " << configuration.error().to_string() << "\n";
      return ExitCode::kUsage;
    }
    facts = collect_facts(*configuration, environment, command.host_root);
  }
  const auto results = doctor::diagnose(facts);
  streams.out << (command.json ? doctor::format_json(results) : doctor::format_text(results));
  return exit_code_of(doctor::worst(results));
}

}  // namespace drasriov::app
