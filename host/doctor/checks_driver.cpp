// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "host/doctor/check_list.hpp"

namespace drasriov::doctor {

void check_modules(const Facts& facts, Findings& out) {
  for (const Module& module : facts.modules) {
    if (module.passed) continue;
    out.push_back(
        {"module-refused", module.required ? Severity::kError : Severity::kWarning,
         "module " + module.name + ": " + module.problem +
             (module.required ? "; the driver does not start" : ""),
         module.file.empty() ? "dra-driver-sriov module list"
                             : "dra-driver-sriov module verify " + module.file,
         module.hint.empty() ? "install the module again, or take it off the list" : module.hint});
  }
}

void check_claims(const Facts& facts, Findings& out) {
  const std::string folder = facts.setup.data_directory + "/claims";
  for (const ClaimFile& claim : facts.claims) {
    const std::string name = claim.claim.empty() ? "claim " + claim.uid
                                                 : "claim " + claim.claim + " (" + claim.uid + ")";
    if (claim.quarantined) {
      out.push_back(
          {"claim-quarantined", Severity::kWarning, name + " is in quarantine: " + claim.damage,
           "cat " + folder + "/quarantine/" + claim.uid + ".reason",
           "delete the pods that use the claim; if its VF is not as it was, reset the VF. "
           "Keep the file for a bug report"});
    } else if (!claim.damage.empty()) {
      out.push_back({"claim-record-damaged", Severity::kError, name + ": " + claim.damage,
                     "ls -l " + folder + "/" + claim.uid + ".json",
                     "check disk and file system; at its next start the driver puts the record in "
                     "quarantine"});
    } else if (claim.stale) {
      out.push_back({"claim-of-earlier-boot", Severity::kInfo,
                     name + " was prepared before the last reboot and holds nothing now",
                     "dra-driver-sriov claims " + claim.uid,
                     "nothing: kubelet prepares it again, or the driver drops it with its claim"});
    } else if (claim.state == "Undoing") {
      out.push_back({"claim-undo-stuck", Severity::kWarning,
                     name + " cannot be put back: " + claim.last_error,
                     "dra-driver-sriov claims " + claim.uid,
                     "remove the cause; the driver tries again by itself and keeps " +
                         join_some(claim.devices) + " away from other pods until then"});
    }
  }
}

void check_instances(const Facts& facts, Findings& out) {
  const Instances& instances = facts.instances;
  if (!instances.lock_held) {
    out.push_back({"driver-not-running", Severity::kInfo, "no driver serves this node",
                   "cat " + facts.setup.data_directory + "/owner.lock",
                   "start the driver; if it should run, its log says why it does not"});
  }
  if (instances.processes.size() > 1) {
    std::vector<std::string> pids;
    for (const std::int64_t pid : instances.processes) pids.push_back(std::to_string(pid));
    out.push_back({"second-instance", Severity::kWarning,
                   std::to_string(pids.size()) + " drivers run on this node (processes " +
                       join_some(pids) + "), one of them stands by",
                   "ps -o pid,args -C dra-driver-sriov",
                   "during an update this is normal; else remove the second DaemonSet or service"});
  }
}

void check_api(const Facts& facts, Findings& out) {
  if (facts.setup.node_name.empty()) {
    out.push_back({"node-missing", Severity::kError, "the node has no name",
                   "dra-driver-sriov run --print-config",
                   "set NODE_NAME (in a pod: fieldRef spec.nodeName) or nodeName in the file"});
  }
  for (const ApiAccess& access : facts.cluster.access) {
    if (access.code == "OK") continue;
    const bool node = access.what.starts_with("get nodes/");
    if (node && access.code == "NOT_FOUND") {
      if (facts.setup.node_name.empty()) continue;
      out.push_back({"node-missing", Severity::kError,
                     "there is no Node object " + facts.setup.node_name,
                     "kubectl get node " + facts.setup.node_name,
                     "set nodeName to the name under which kubelet registered this machine"});
    } else if (access.code == "PERMISSION_DENIED" || access.code == "UNAUTHENTICATED") {
      out.push_back({"api-access-denied", Severity::kError, access.what + ": " + access.message,
                     "kubectl auth can-i --list --as system:serviceaccount:NAMESPACE:NAME",
                     "grant the driver's service account the ClusterRole of the chart"});
    } else {
      out.push_back({"api-unreachable", Severity::kError, access.what + ": " + access.message,
                     "kubectl get --raw /readyz",
                     "prepared claims go on working; see network, address and certificates of the "
                     "API server, or the folder of cluster: dir:PATH"});
    }
  }
  for (const std::string& filter : facts.cluster.filters_elsewhere) {
    out.push_back({"filter-in-other-namespace", Severity::kWarning,
                   "SriovResourceFilter " + filter + " is not used: the driver reads namespace " +
                       facts.setup.filter_namespace + " only",
                   "kubectl get sriovresourcefilters -A",
                   "move it there, or set namespace in the driver's configuration"});
  }
}

}  // namespace drasriov::doctor
