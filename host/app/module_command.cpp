// SPDX-License-Identifier: Apache-2.0
#include "host/module/commands.hpp"

#include <algorithm>
#include <ostream>

#include "host/app/builtin_directory.hpp"
#include "host/app/commands.hpp"
#include "host/app/configure.hpp"

namespace drasriov::app {
namespace {

Result<int> run(const ModuleCommand& command, const config::Environment& environment,
                std::ostream& out) {
  auto configuration = load_configuration(command.config, environment);
  if (!configuration) return configuration.error();
  auto executable = own_executable();
  if (!executable) return executable.error();

  module::FileSource source;
  source.insecure_dev = configuration->insecure_dev;
  // A list without builtin modules needs no such directory: which entry misses it is said there.
  if (auto directory = builtin_directory(configuration->module_directory, *executable))
    source.builtin_directory = *directory;

  const auto format = command.json ? module::ReportFormat::kJson : module::ReportFormat::kText;
  switch (command.verb) {
    case ModuleCommand::Verb::kList:
      return module::list_modules(configuration->modules, source, format, out);
    case ModuleCommand::Verb::kInspect: {
      int worst = 0;
      for (const std::string& module : command.modules) {
        worst = std::max(worst, module::inspect_module(module, source, format, out));
      }
      return worst;
    }
    case ModuleCommand::Verb::kSchema:
      return module::print_schemas(command.modules, source, command.claim_schema, out);
    case ModuleCommand::Verb::kVerify: {
      module::VerifyOptions options;
      options.insecure_dev = source.insecure_dev;
      return module::verify_modules(command.modules, source, options, format, out);
    }
  }
  return 0;
}

}  // namespace

ExitCode module_command(const ModuleCommand& command, const config::Environment& environment,
                        Streams streams) {
  const auto code = run(command, environment, streams.out);
  if (code) return *code == 0 ? ExitCode::kSuccess : ExitCode::kFailure;
  streams.error << "dra-driver-sriov: " << code.error().to_string() << "\n";
  return ExitCode::kUsage;
}

ExitCode verify_child_command(const VerifyChildCommand& command) {
  return module::verify_child_main(command.module) == 0 ? ExitCode::kSuccess : ExitCode::kFailure;
}

}  // namespace drasriov::app
