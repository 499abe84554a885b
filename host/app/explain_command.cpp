// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <ostream>

#include "host/app/commands.hpp"
#include "host/app/configure.hpp"
#include "host/app/explain_text.hpp"
#include "host/app/node_report.hpp"
#include "host/app/warnings_only.hpp"

namespace drasriov::app {

ExitCode explain_command(const ExplainCommand& command, const config::Environment& environment,
                         Streams streams) {
  WarningsOnly log(streams.error);
  const auto configuration = load_configuration(command.config, environment);
  if (!configuration) {
    streams.error << "dra-driver-sriov: " << configuration.error().to_string() << "\n";
    return ExitCode::kUsage;
  }
  auto report = report_devices(*configuration, environment, log);
  if (!report) {
    log.error(report.error());
    return ExitCode::kFailure;
  }
  auto selected = select_devices(report->items, command.devices);
  if (!selected) {
    log.error(selected.error());
    return ExitCode::kFailure;
  }
  report->items = *std::move(selected);
  if (command.format == OutputFormat::kTable) {
    streams.out << report_preface(*report)
                << (command.devices.empty() ? format_explanations(report->items)
                                            : format_explanations_in_full(report->items));
  } else {
    streams.out << print_report(*report, "DeviceExplanationList", "devices", command.format);
  }
  return ExitCode::kSuccess;
}

}  // namespace drasriov::app
