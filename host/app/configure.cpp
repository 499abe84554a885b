// SPDX-License-Identifier: Apache-2.0
#include "host/app/configure.hpp"

#include "host/config/load.hpp"

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

Status check_runnable(const config::Configuration& configuration) {
  if (configuration.node_name.empty()) {
    return Error(Code::kInvalidArgument, "the node has no name",
                 "set NODE_NAME (in a pod: fieldRef spec.nodeName), the flag --node-name or "
                 "nodeName in the file");
  }
  if (configuration.cluster_directory.empty()) {
    return Error(Code::kUnimplemented, "cluster: kube is not built into this version of the driver",
                 "use cluster: dir:PATH, a directory with the API objects as YAML files");
  }
  return {};
}

}  // namespace drasriov::app
