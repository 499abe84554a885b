// SPDX-License-Identifier: Apache-2.0
//
// What the node publishes, and how it follows the machine and the cluster.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "host/base/durable_file.hpp"
#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kAllVfs = {"0000-11-10-0", "0000-11-10-2", "0000-11-10-4",
                                          "0000-11-10-6", "0000-41-10-0", "0000-41-10-2",
                                          "0000-41-10-4", "0000-41-10-6"};

TEST(Slices, HoldEveryVfOfTheCapture) {
  Machine machine;
  const auto driver = machine.start_driver();
  ASSERT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
  const Json attributes = machine.published()[kFirstVf]["attributes"];
  EXPECT_EQ(attributes["sriovnetwork.openshift.io/vendor"]["string"], "8086");
  EXPECT_EQ(attributes["sriovnetwork.openshift.io/pciAddress"]["string"], "0000:11:10.0");
  EXPECT_EQ(attributes["sriovnetwork.openshift.io/PFName"]["string"], "eth1");
  EXPECT_EQ(attributes["resource.kubernetes.io/numaNode"]["int"], 0);
  EXPECT_FALSE(attributes.contains("sriovnetwork.openshift.io/resourceName"));
}

TEST(Slices, ANodeWithoutVfsHasAnEmptyPool) {
  Machine machine("a-no-vfs.tar.gz");
  const auto driver = machine.start_driver();
  ASSERT_TRUE(
      eventually([&] { return Machine::files(machine.cluster() / "resourceslices").size() == 1; }));
  EXPECT_TRUE(machine.published().empty());
}

TEST(Slices, FollowFiltersAndTheNodesLabels) {
  Machine machine;
  const auto driver = machine.start_driver();
  ASSERT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
  machine.put("filter.yaml",
              "apiVersion: sriovnetwork.openshift.io/v1alpha1\nkind: SriovResourceFilter\n"
              "metadata: {name: f, namespace: dra-sriov-driver}\n"
              "spec:\n  nodeSelector: {zone: b}\n  configs:\n  - resourceName: fast\n"
              "    resourceFilters: [{pfNames: [eth1]}]\n");
  machine.put("node.yaml",
              "apiVersion: v1\nkind: Node\nmetadata:\n  name: worker-1\n"
              "  uid: 5c9e0f0a-0000-4000-8000-000000000001\n  labels: {zone: b}\n");
  const auto name_of = [&](const char* device) {
    const Json attributes = machine.published()[device]["attributes"];
    return attributes.value("/sriovnetwork.openshift.io~1resourceName/string"_json_pointer,
                            std::string());
  };
  EXPECT_TRUE(eventually([&] { return name_of(kFirstVf) == "fast"; }));
  EXPECT_EQ(name_of("0000-41-10-0"), "");
  fs::remove(machine.cluster() / "filter.yaml");
  EXPECT_TRUE(
      eventually([&] { return name_of(kFirstVf).empty() && !machine.published().empty(); }));
}

TEST(Slices, AdvertiseFilteredPublishesOnlyMatches) {
  Machine machine;
  machine.configure("advertise: filtered");
  machine.put("filter.yaml",
              "apiVersion: sriovnetwork.openshift.io/v1alpha1\nkind: SriovResourceFilter\n"
              "metadata: {name: f, namespace: dra-sriov-driver}\n"
              "spec: {configs: [{resourceName: one, resourceFilters: [{pciAddresses: "
              "['0000:11:10.2']}]}]}\n");
  const auto driver = machine.start_driver();
  EXPECT_TRUE(
      eventually([&] { return machine.published_names() == std::vector<std::string>{kSecondVf}; }));
}

TEST(Slices, FollowTheMachine) {
  Machine machine;
  const auto driver = machine.start_driver();
  ASSERT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
  const fs::path link = machine.sysfs() / "bus/pci/devices/0000:41:10.6";
  const fs::path target = fs::read_symlink(link);
  fs::remove(link);
  EXPECT_TRUE(eventually([&] { return machine.published_names().size() == kAllVfs.size() - 1; }));
  fs::create_symlink(target, link);
  EXPECT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
}

TEST(Slices, DeletedOnesComeBackAndAStopLeavesThem) {
  Machine machine;
  const auto driver = machine.start_driver();
  ASSERT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
  fs::remove_all(machine.cluster() / "resourceslices");  // as kubelet does when it restarts
  EXPECT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
  driver->signal(SIGTERM);
  EXPECT_EQ(driver->wait(), 0) << driver->errors();
  EXPECT_EQ(machine.published_names(), kAllVfs);
}

TEST(Slices, AHeldDeviceStaysAsItWas) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  const auto driver = machine.start_driver();
  ASSERT_TRUE(eventually([&] { return machine.published_names() == kAllVfs; }));
  ASSERT_EQ(machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"], "");
  const Json before = machine.published();

  // Both lose their driver, as a VF does that is given to a virtual machine; only one is held.
  for (const char* address : {"0000:11:10.0", "0000:11:10.2"}) {
    const fs::path device = machine.sysfs() / "bus/pci/devices" / address;
    fs::remove(device / "driver");
    const auto uevent = read_file(device / "uevent");
    ASSERT_TRUE(uevent);
    constexpr std::string_view kDriverLine = "DRIVER=igbvf\n";
    const auto at = uevent->find(kDriverLine);
    ASSERT_NE(at, std::string::npos) << *uevent;
    std::ofstream(device / "uevent") << std::string(*uevent).erase(at, kDriverLine.size());
  }
  driver->signal(SIGHUP);
  const std::string attribute = "sriovnetwork.openshift.io/driver";
  ASSERT_TRUE(eventually([&] {
    const Json now = machine.published();
    return now.contains(kSecondVf) && !now[kSecondVf]["attributes"].contains(attribute);
  }));
  EXPECT_EQ(machine.published()[kFirstVf], before[kFirstVf]);

  ASSERT_EQ(machine.kubelet("unprepare", {claim})["claims"][claim.uid]["error"], "");
  EXPECT_TRUE(eventually([&] {
    const Json now = machine.published();
    return now.contains(kFirstVf) && !now[kFirstVf]["attributes"].contains(attribute);
  })) << "free again, it shows what it is";
}

}  // namespace
}  // namespace drasriov::integration
