// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <ostream>

#include "host/app/claims_text.hpp"
#include "host/app/commands.hpp"
#include "host/app/configure.hpp"
#include "host/app/node_report.hpp"

namespace drasriov::app {

ExitCode claims_command(const ClaimsCommand& command, const config::Environment& environment,
                        Streams streams) {
  const auto refuse = [&](const Error& error, ExitCode code) {
    streams.error << "dra-driver-sriov: " << error.to_string() << "\n";
    return code;
  };
  const auto configuration = load_configuration(command.config, environment);
  if (!configuration) return refuse(configuration.error(), ExitCode::kUsage);
  auto report = report_claims(*configuration);
  if (!report) return refuse(report.error(), ExitCode::kFailure);
  auto selected = select_claims(report->items, command.claim);
  if (!selected) return refuse(selected.error(), ExitCode::kFailure);
  report->items = *std::move(selected);

  const bool wide = command.format == OutputFormat::kWide;
  if (wide || command.format == OutputFormat::kTable) {
    streams.out << report_preface(*report)
                << (command.claim.empty() ? format_claims(report->items, wide)
                                          : format_claims_in_full(report->items));
  } else {
    streams.out << print_report(*report, "ClaimRecordList", "claims", command.format);
  }
  return ExitCode::kSuccess;
}

}  // namespace drasriov::app
