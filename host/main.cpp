// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "host/app/commands.hpp"

namespace app = drasriov::app;
namespace config = drasriov::config;

namespace {

/// One function for each command.
struct Dispatch {
  const config::Environment& environment;
  app::Streams streams;

  app::ExitCode operator()(const app::RunCommand& command) const {
    return app::run_command(command, environment, streams);
  }
  app::ExitCode operator()(const app::DevicesCommand& command) const {
    return app::devices_command(command, streams);
  }
  app::ExitCode operator()(const app::ExplainCommand& command) const {
    return app::explain_command(command, environment, streams);
  }
  app::ExitCode operator()(const app::ClaimsCommand& command) const {
    return app::claims_command(command, environment, streams);
  }
  app::ExitCode operator()(const app::ModuleCommand& command) const {
    return app::module_command(command, environment, streams);
  }
  app::ExitCode operator()(const app::VerifyChildCommand& command) const {
    return app::verify_child_command(command);
  }
  app::ExitCode operator()(const app::DoctorCommand& command) const {
    return app::doctor_command(command, environment, streams);
  }
  app::ExitCode operator()(const app::BundleCommand& command) const {
    return app::bundle_command(command, environment, streams);
  }
  app::ExitCode operator()(const app::VersionCommand& command) const {
    return app::version_command(command, streams);
  }
  app::ExitCode operator()(const app::PrintCommand& command) const {
    streams.out << command.text;
    return app::ExitCode::kSuccess;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto command = app::parse_command_line(arguments);
  if (!command) {
    std::cerr << "dra-driver-sriov: " << command.error().to_string() << "\n";
    return static_cast<int>(app::ExitCode::kUsage);
  }
  const config::Environment environment = config::environment_of(environ);
  const auto code = std::visit(Dispatch{environment, {std::cout, std::cerr}}, *command);
  std::cout.flush();
  return static_cast<int>(
      std::cout ? code : app::ExitCode::kFailure);  // a full disk or a closed pipe is no success
}
