// SPDX-License-Identifier: Apache-2.0
//
// The host builds CDI documents, the module checks them, and neither knows the other's code: here
// they meet. What the host calls the lowest version is what the module calls the lowest version,
// for every content that moves it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/claim/cdi_spec.hpp"
#include "spec_validator.hpp"

namespace drasriov::cdi {
namespace {

constexpr const char* kDriver = "sriovnetwork.openshift.io";

const std::vector<std::string>& edits_that_move_the_version() {
  static const std::vector<std::string> edits = {
      R"({})",
      R"({"env":["A=b"],"hooks":[{"hookName":"createRuntime","path":"/h"}]})",
      R"({"mounts":[{"hostPath":"/a","containerPath":"/b","options":["bind"]}]})",
      R"({"mounts":[{"hostPath":"/a","containerPath":"/b","type":"bind"}]})",
      R"({"deviceNodes":[{"path":"/dev/vfio/vfio","type":"c","permissions":"rw"}]})",
      R"({"deviceNodes":[{"path":"/dev/vfio/7","hostPath":"/dev/vfio/noiommu-7"}]})",
      R"({"additionalGids":[]})",
      R"({"additionalGids":[36]})",
      R"({"intelRdt":{"closID":"a"}})",
      R"({"intelRdt":{"enableMonitoring":true}})",
      R"({"intelRdt":{"schemata":["MB:0=70"]}})",
      R"({"netDevices":[]})",
      R"({"netDevices":[{"hostInterfaceName":"eth2","name":"net1"}]})",
  };
  return edits;
}

TEST(HostDocuments, PassTheModulesCheck) {
  for (const char* uid :
       {"0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11", "af0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11"}) {
    for (const std::string& first : edits_that_move_the_version()) {
      for (const std::string& second : edits_that_move_the_version()) {
        for (const bool one_pod : {true, false}) {
          claim::CdiClaimInput claim{.claim_uid = uid};
          claim.devices.push_back({.device_name = "0000-08-00-2",
                                   .pci_address = "0000:08:00.2",
                                   .edits_json = {first}});
          claim.devices.push_back({.device_name = "0000-08-00-3",
                                   .pci_address = "0000:08:00.3",
                                   .net_attach_def_name = "vlan100",
                                   .edits_json = {second, second}});
          if (one_pod) claim.pod_uid = uid;
          const auto spec = claim::claim_spec(kDriver, claim);
          ASSERT_TRUE(spec.ok()) << spec.error().to_string();
          const auto checked = check_spec(*spec, claim::cdi_kind(kDriver));
          EXPECT_TRUE(checked.ok()) << checked.error().message() << "\n" << *spec;
          if (!one_pod) continue;
          const auto pod = claim::pod_spec(kDriver, uid, {claim});
          ASSERT_TRUE(pod.ok()) << pod.error().to_string();
          EXPECT_TRUE(check_spec(*pod, claim::cdi_kind(kDriver)).ok()) << *pod;
        }
      }
    }
  }
}

}  // namespace
}  // namespace drasriov::cdi
