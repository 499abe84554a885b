// SPDX-License-Identifier: Apache-2.0
//
// The subcommands `module list|inspect|verify|schema`: each writes its report to a stream and returns the
// exit code of the process. The command line is wired in host/app. [any] thread.
#pragma once

#include <filesystem>
#include <ostream>
#include <span>
#include <string>

#include "host/config/configuration.hpp"
#include "host/module/entry_file.hpp"
#include "host/module/verify.hpp"

namespace drasriov::module {

enum class ReportFormat { kText, kJson };

/// One line for each entry of the configuration: what it is and whether its file would be accepted.
/// Runs no code of any module. 1 when the driver would not start with this list.
[[nodiscard]] int list_modules(std::span<const config::ModuleEntry> entries,
                               const FileSource& source, ReportFormat format, std::ostream& out);

/// What is known of one file without running code of it; `module` is "builtin:NAME" or a path.
/// Ownership is reported, not enforced. 1 when it is no readable module.
[[nodiscard]] int inspect_module(const std::string& module, const FileSource& source,
                                 ReportFormat format, std::ostream& out);

/// The JSON Schema of a module's configuration, or of what it takes from claims, as one JSON object for each module.
/// Maps the file and asks it, so owner and mode are checked as the driver would. 1 when one was refused.
[[nodiscard]] int print_schemas(std::span<const std::string> modules, const FileSource& source,
                                bool of_claims, std::ostream& out);

/// verify_module() for each file. 1 when a step of one failed.
[[nodiscard]] int verify_modules(std::span<const std::string> modules, const FileSource& source,
                                 const VerifyOptions& options, ReportFormat format,
                                 std::ostream& out);

}  // namespace drasriov::module
