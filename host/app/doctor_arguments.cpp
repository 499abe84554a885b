// SPDX-License-Identifier: Apache-2.0
#include "host/app/specs.hpp"

namespace drasriov::app {
namespace {

Result<Command> make_doctor(const Arguments& arguments) {
  DoctorCommand command;
  command.config = arguments.config;
  command.json = arguments.options.at("output") == "json";
  if (arguments.has("host-root")) command.host_root = arguments.options.at("host-root");
  if (arguments.has("facts")) command.facts = arguments.options.at("facts");
  return Command(std::move(command));
}

}  // namespace

CommandSpec doctor_spec() {
  CommandSpec spec;
  spec.name = "doctor";
  spec.summary = "check the node: what is wrong, how to see it, how to repair it";
  spec.purpose =
      "Checks what the driver needs of this node: roots, permissions, IOMMU and kernel modules, "
      "devices, NRI and CDI of the container runtime, kubelet, state directories, driver modules, "
      "claims, API server. Each finding has a stable id, a page in docs/troubleshooting, and says "
      "problem, check and fix. Changes nothing; works while the driver runs and when it does not.";
  spec.options = {
      {"output", 'o', "table|json", "json is stable", "table"},
      {"host-root", '\0', "DIR",
       "where the host's root directory is seen; without it /proc/1/root, which needs hostPID", ""},
      {"facts", '\0', "FILE",
       "judge the facts.json of a bundle from another machine instead of this one", ""}};
  spec.settings = SettingFlags::kTaken;
  spec.remark =
      "Exits with 0 when nothing worse than information was found, 4 for warnings, 5 for errors. "
      "Run it where the driver runs (kubectl exec): permissions are those of the process itself.";
  spec.examples = {{"dra-driver-sriov doctor", "Why do pods on this node get no VF?"},
                   {"kubectl exec -n NAMESPACE POD -- dra-driver-sriov doctor -o json", ""},
                   {"dra-driver-sriov doctor --facts bundle/facts.json", ""}};
  spec.make = make_doctor;
  return spec;
}

}  // namespace drasriov::app
