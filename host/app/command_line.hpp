// SPDX-License-Identifier: Apache-2.0
//
// The command line as a value. What commands and flags there are: command_spec.hpp. Pure; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::app {

/// Where the configuration comes from: --config and every flag of a setting that was given.
struct ConfigArguments {
  std::optional<std::filesystem::path> file;
  std::map<std::string, std::string, std::less<>> flags;  ///< by config::Setting::flag
};

struct RunCommand {
  ConfigArguments config;
  bool print_config = false;
};

enum class OutputFormat : std::uint8_t { kTable, kWide, kJson, kYaml };

struct DevicesCommand {
  std::filesystem::path sysfs_root = "/sys";
  std::filesystem::path module_directory;  ///< empty = beside the executable
  OutputFormat format = OutputFormat::kTable;
  bool insecure_dev = false;
};

struct ExplainCommand {
  std::vector<std::string> devices;  ///< names, PCI addresses, interfaces or PFs; empty = all
  OutputFormat format = OutputFormat::kTable;
  ConfigArguments config;
};

struct ClaimsCommand {
  std::string claim;  ///< UID or namespace/name; empty = all
  OutputFormat format = OutputFormat::kTable;
  ConfigArguments config;
};

struct ModuleCommand {
  enum class Verb : std::uint8_t { kList, kInspect, kVerify, kSchema };
  Verb verb = Verb::kList;
  std::vector<std::string> modules;  ///< "builtin:NAME" or a file; of all but kList, at least one
  ConfigArguments config;            ///< of kList, and the directory and strictness of all
  bool json = false;
  bool claim_schema = false;  ///< of kSchema
};

/// The child process of `module verify` (module::VerifyOptions::child); not for people, so no help names it.
struct VerifyChildCommand {
  std::filesystem::path module;
};

struct DoctorCommand {
  ConfigArguments config;
  std::filesystem::path host_root;  ///< empty = <roots.proc>/1/root
  std::optional<std::filesystem::path>
      facts;  ///< of another machine, instead of looking at this one
  bool json = false;
};

struct BundleCommand {
  ConfigArguments config;
  std::filesystem::path host_root;     ///< as DoctorCommand's
  std::filesystem::path output = "-";  ///< "-" = standard output
};

struct VersionCommand {
  bool abi = false;
};

/// The whole text to print: help, a completion script.
struct PrintCommand {
  std::string text;
};

using Command =
    std::variant<RunCommand, DevicesCommand, ExplainCommand, ClaimsCommand, ModuleCommand,
                 VerifyChildCommand, DoctorCommand, BundleCommand, VersionCommand, PrintCommand>;

/// `arguments` without the program's name. INVALID_ARGUMENT: the message names what is wrong, the
/// hint the nearest known command or flag, or where help is.
[[nodiscard]] Result<Command> parse_command_line(std::span<const std::string> arguments);

}  // namespace drasriov::app
