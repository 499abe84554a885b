// SPDX-License-Identifier: Apache-2.0
#include "host/app/configure.hpp"

#include "host/app/builtin_directory.hpp"
#include "host/app/open_cluster.hpp"
#include "host/config/load.hpp"
#include "host/module/entry_file.hpp"

namespace drasriov::app {

Result<config::Configuration> load_configuration(const ConfigArguments& arguments,
                                                 const config::Environment& environment) {
  config::Sources sources;
  if (arguments.file) {
    sources.file = *arguments.file;
    sources.file_required = true;
  }
  sources.environment = environment;
  sources.flags = arguments.flags;
  return config::load(sources);
}

namespace {

/// One list of builtin modules for all, so that a missing directory is one mistake.
void check_builtin_modules(const config::Configuration& configuration,
                           const std::filesystem::path& executable, std::vector<Error>& mistakes) {
  module::FileSource source;
  for (const config::ModuleEntry& entry : configuration.modules) {
    const bool needed = entry.enabled && entry.failure_policy == config::FailurePolicy::kFail;
    if (!needed || !module::builtin_name(entry.module)) continue;
    if (source.builtin_directory.empty()) {
      auto directory = builtin_directory(configuration.module_directory, executable);
      if (!directory) {
        mistakes.push_back(std::move(directory).error());
        return;
      }
      source.builtin_directory = *std::move(directory);
    }
    if (auto path = module::module_path(entry.module, source); !path)
      mistakes.push_back(path.error().with_context("module " + entry.name));
  }
}

}  // namespace

std::vector<Error> find_mistakes(const config::Configuration& configuration,
                                 const config::Environment& environment,
                                 const std::filesystem::path& executable) {
  std::vector<Error> mistakes;
  if (configuration.node_name.empty()) {
    mistakes.emplace_back(Code::kInvalidArgument, "the node has no name",
                          "set NODE_NAME (in a pod: fieldRef spec.nodeName), the flag --node-name "
                          "or nodeName in the file");
  }
  if (configuration.cluster_directory.empty()) {
    if (auto connection = kube_connection(configuration, environment); !connection)
      mistakes.push_back(std::move(connection).error());
  }
  check_builtin_modules(configuration, executable, mistakes);
  return mistakes;
}

}  // namespace drasriov::app
