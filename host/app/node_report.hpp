// SPDX-License-Identifier: Apache-2.0
//
// What the commands show of a node: asked of the running driver, or, when it does not answer, worked out from the
// journal's files, the cluster of the configuration and the machine. Changes nothing either way and takes no lock.
// Blocks; one thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/app/command_line.hpp"
#include "host/base/result.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::app {

struct NodeReport {
  bool driver_running = false;     ///< a process answers on the socket or holds it
  bool from_driver = false;        ///< `items` is what the running driver said
  std::string why;                 ///< not from_driver: why it was not asked; a sentence
  std::vector<std::string> notes;  ///< what could not be found out, and why
  nlohmann::json items;            ///< array, see docs/status.md
};

/// Device explanations. Errors: the machine cannot be scanned. `log` gets what modules have to say.
[[nodiscard]] Result<NodeReport> report_devices(const config::Configuration& configuration,
                                                const config::Environment& environment,
                                                telemetry::Log& log);

/// Claim records. Errors: the journal's directory cannot be read.
[[nodiscard]] Result<NodeReport> report_claims(const config::Configuration& configuration);

/// The text of `-o json` and `-o yaml`: `kind`, what the report is from, and the items under `member`.
/// REQUIRES: kJson or kYaml.
[[nodiscard]] std::string print_report(const NodeReport& report, const char* kind,
                                       const char* member, OutputFormat format);

/// The lines that stand above a table: where it is from when that is not the running driver, and the notes. Empty when
/// there is nothing to say.
[[nodiscard]] std::string report_preface(const NodeReport& report);

}  // namespace drasriov::app
