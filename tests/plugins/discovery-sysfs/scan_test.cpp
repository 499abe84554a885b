// SPDX-License-Identifier: Apache-2.0
//
// What a scan reports for whole trees: the captures of a real kernel against golden files, a big
// synthetic one against a second reading, and the states a VF or PF can be in.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/plugins/discovery-sysfs/scanned.hpp"
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

namespace drasriov::discovery_sysfs::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Captures : public ::testing::TestWithParam<std::string> {};

TEST_P(Captures, AreReportedAsTheGoldenFileSays) {
  const Scanned scanned(SysfsTree::capture(GetParam()));
  ASSERT_TRUE(scanned.status().ok());
  const auto golden =
      nlohmann::json::parse(read_file(DRASRIOV_TESTS_DIR "/golden/" + GetParam() + ".json"));
  EXPECT_EQ(scanned.json().dump(2), golden.dump(2));
  EXPECT_THAT(scanned.problems(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(OfTheRealKernel, Captures,
                         ::testing::Values("a-no-vfs", "b-vfs-igbvf", "c-one-vfio",
                                           "d-vfio-held-open", "e-vfs-in-pods", "f-seven-vfs"),
                         [](const auto& capture) { return capture.param.substr(0, 1); });

/// Their interfaces are in the network namespaces of pods: the VFs stay published, as VFs of their driver without an
/// interface, and a scan that comes while they are away is no problem to report.
TEST(Scan, PublishesVfsWhoseInterfacesAreInPods) {
  const Scanned scanned(SysfsTree::capture("e-vfs-in-pods"));
  EXPECT_THAT(scanned.devices(), SizeIs(2 + 8));
  for (const char* away : {"0000-11-10-0", "0000-11-10-2"}) {
    EXPECT_EQ(scanned.fact(away, DRASRIOV_FACT_DRIVER), "igbvf");
    EXPECT_FALSE(scanned.json()[away]["facts"].contains(DRASRIOV_FACT_NETDEV)) << away;
  }
  EXPECT_THAT(scanned.problems(), IsEmpty());
}

TEST(Scan, ReportsTwoThousandVfs) {
  const SysfsTree tree = SysfsTree::synthetic(
      "--pfs 32 --vfs 64 --vendor 0x15b3 --device 0x101d --vf-device 0x101e --driver mlx5_core "
      "--vf-driver mlx5_core --offset 2 --stride 1");
  const Scanned scanned(tree);
  EXPECT_THAT(scanned.devices(), SizeIs(32 + 2048));
  EXPECT_EQ(scanned.json(), expected_devices(tree.root()));
  EXPECT_THAT(scanned.problems(), IsEmpty());
}

TEST(Scan, ReportsPfsBeforeTheirVfs) {
  const Scanned scanned(SysfsTree::capture("b-vfs-igbvf"));
  std::vector<std::string> kinds;
  for (const sdk::Device& device : scanned.devices()) {
    kinds.push_back(device.kind());
  }
  EXPECT_TRUE(std::is_sorted(kinds.begin(), kinds.end()));  // "pf" < "vf"
}

TEST(Scan, GivesEachIncarnationOfAnAddressItsOwnName) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  const std::string name = "0000-11-10-2";
  const std::string before = Scanned(tree).fact(name, DRASRIOV_FACT_INCARNATION);
  struct stat status = {};
  ASSERT_EQ(::stat(tree.device_link("0000:11:10.2").c_str(), &status), 0);
  EXPECT_EQ(before, std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino));
  EXPECT_EQ(Scanned(tree).fact(name, DRASRIOV_FACT_INCARNATION), before);

  // Another directory takes the inode's place before the old one is gone, so that the number is not
  // reused.
  const auto path = tree.device("0000:11:10.2");
  std::filesystem::copy(
      path, path.string() + ".new",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  std::filesystem::rename(path, path.string() + ".old");
  std::filesystem::rename(path.string() + ".new", path);
  EXPECT_NE(Scanned(tree).fact(name, DRASRIOV_FACT_INCARNATION), before);
}

TEST(Scan, ReportsAnUnboundVfWithoutDriver) {
  const Scanned scanned(SysfsTree::synthetic("--vfs 2 --vf-driver none"));
  EXPECT_EQ(scanned.text("0000-11-10-0", "deviceID"), "10ca");
  EXPECT_EQ(scanned.text("0000-11-10-0", "driver"), "(none)");
  EXPECT_EQ(scanned.fact("0000-11-10-0", DRASRIOV_FACT_DRIVER), "(none)");
  EXPECT_EQ(scanned.fact("0000-11-10-0", DRASRIOV_FACT_NETDEV), "(none)");
  EXPECT_THAT(scanned.problems(), IsEmpty());
}

TEST(Scan, ReportsAVfWhoseNetdevIsInAnotherNamespace) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.remove_netdevs("0000:11:10.0");  // net/ stays, empty
  const Scanned scanned(tree);
  EXPECT_EQ(scanned.text("0000-11-10-0", "driver"), "igbvf");
  EXPECT_EQ(scanned.text("0000-11-10-0", "linkType"), "ethernet");
  EXPECT_EQ(scanned.fact("0000-11-10-0", DRASRIOV_FACT_NETDEV), "(none)");
}

TEST(Scan, KeepsTheVfsOfAPfWithoutNetdev) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.remove_netdevs("0000:11:00.0");
  const Scanned scanned(tree);
  EXPECT_THAT(scanned.devices(), SizeIs(2 + 8));
  EXPECT_EQ(scanned.text("0000-11-10-4", "PFName"), "(none)");
  EXPECT_EQ(scanned.fact("0000-11-10-4", DRASRIOV_FACT_PF_NETDEV), "(none)");
  EXPECT_EQ(scanned.fact("0000-11-10-4", DRASRIOV_FACT_NETDEV), "eth4");
  EXPECT_EQ(scanned.text("0000-11-10-4", "pfPciAddress"), "0000:11:00.0");
  EXPECT_EQ(scanned.text("0000-11-10-4", "linkType"), "ethernet");
  EXPECT_THAT(scanned.problems(), IsEmpty());
}

TEST(Scan, LeavesOutWhatTheKernelDoesNotKnow) {
  SysfsTree tree = SysfsTree::synthetic("--vfs 1 --numa 0 --no-iommu");
  const Scanned without(tree);
  EXPECT_EQ(without.device("0000-11-10-0")->attribute("resource.kubernetes.io/numaNode"), nullptr);
  EXPECT_EQ(without.fact("0000-11-10-0", DRASRIOV_FACT_IOMMU_GROUP), "(none)");
  tree.remove("0000:11:10.0", "numa_node");  // a kernel without CONFIG_NUMA
  const Scanned kernel(tree);
  EXPECT_NE(kernel.device("0000-11-10-0"), nullptr);
  EXPECT_THAT(kernel.problems(), IsEmpty());
}

TEST(Scan, ReadsTheNumaNodeOfTheVfItself) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.write("0000:11:10.6", "numa_node", "3\n");
  EXPECT_EQ(Scanned(tree).number("0000-11-10-6", "resource.kubernetes.io/numaNode"), 3);
}

TEST(Scan, TellsInfinibandAndRdma) {
  SysfsTree tree = SysfsTree::synthetic("--pfs 2 --vfs 2 --offset 2 --stride 1");
  for (const char* address : {"0000:11:00.0", "0000:11:00.2", "0000:11:00.3"}) {
    tree.set_uevent(address, "PCI_CLASS", "20700");
    tree.remove_netdevs(address);
  }
  tree.add_netdev("0000:11:00.0", "ibp17s0", {{"type", "32\n"}});
  std::filesystem::create_directories(tree.device("0000:11:00.0") / "infiniband/mlx5_0");
  std::filesystem::create_directories(tree.device("0000:12:00.2") / "infiniband/mlx5_7");
  const Scanned scanned(tree);
  const auto rdma = [&](const char* name) {
    return std::get<bool>(*scanned.device(name)->attribute("rdmaCapable"));
  };
  EXPECT_EQ(scanned.text("0000-11-00-2", "linkType"), "infiniband");
  EXPECT_EQ(scanned.text("0000-11-00-2", "PFName"), "ibp17s0");
  EXPECT_TRUE(rdma("0000-11-00-0"));
  EXPECT_TRUE(rdma("0000-11-00-3"));  // its PF is
  EXPECT_EQ(scanned.text("0000-12-00-2", "linkType"), "ethernet");
  EXPECT_FALSE(rdma("0000-12-00-0"));
  EXPECT_TRUE(rdma("0000-12-00-2"));  // it is itself
  EXPECT_FALSE(rdma("0000-12-00-3"));
}

TEST(Scan, TellsTheLinkTypeByClassWhereThePfHasNoNetdev) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.remove_netdevs("0000:11:00.0");
  tree.set_uevent("0000:11:10.0", "PCI_CLASS", "20700");
  tree.set_uevent("0000:11:10.2", "PCI_CLASS", "28000");
  const Scanned scanned(tree);
  EXPECT_EQ(scanned.text("0000-11-10-0", "linkType"), "infiniband");
  EXPECT_EQ(scanned.text("0000-11-10-2", "linkType"), "(none)");
  EXPECT_EQ(scanned.text("0000-11-10-4", "linkType"), "ethernet");
}

TEST(Scan, TakesTheUplinkAmongRepresentorsAndKnowsSwitchdevByThem) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.remove_netdevs("0000:11:00.0");
  tree.add_netdev("0000:11:00.0", "rep0", {{"type", "1\n"}, {"phys_port_name", "pf0vf0\n"}});
  tree.add_netdev("0000:11:00.0", "rep1", {{"type", "1\n"}, {"phys_port_name", "pf0vf1\n"}});
  tree.add_netdev("0000:11:00.0", "up", {{"type", "1\n"}, {"phys_port_name", "p0\n"}});
  const Scanned scanned(tree);
  EXPECT_EQ(scanned.text("0000-11-10-0", "PFName"), "up");
  EXPECT_EQ(scanned.text("0000-11-10-0", "EswitchMode"), "switchdev");
}

TEST(Scan, TakesTheFirstPortOfAMultiPortFunction) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.remove_netdevs("0000:11:00.0");
  tree.add_netdev("0000:11:00.0", "a", {{"type", "1\n"}, {"dev_port", "1\n"}});
  tree.add_netdev("0000:11:00.0", "b", {{"type", "1\n"}, {"dev_port", "0\n"}});
  EXPECT_EQ(Scanned(tree).text("0000-11-10-0", "PFName"), "b");
}

TEST(Scan, BelievesTheModeFileOfOutOfTreeDrivers) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.write("0000:11:00.0", "net/eth1/compat/devlink/mode", "switchdev\n");
  EXPECT_EQ(Scanned(tree).text("0000-11-10-0", "EswitchMode"), "switchdev");
  tree.write("0000:11:00.0", "net/eth1/compat/devlink/mode", "legacy\n");
  tree.write("0000:11:00.0", "net/eth1/phys_switch_id", "aabbcc\n");
  EXPECT_EQ(Scanned(tree).text("0000-11-10-0", "EswitchMode"), "legacy");
}

TEST(Scan, ClaimsNoModeWherePhysSwitchIdIsAllThereIs) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.write("0000:11:00.0", "net/eth1/phys_switch_id", "aabbcc\n");
  const Scanned scanned(tree);
  EXPECT_EQ(scanned.text("0000-11-10-0", "EswitchMode"), "(none)");
  EXPECT_THAT(scanned.problems(),
              ElementsAre("0000:11:00.0: published without EswitchMode: phys_switch_id alone does "
                          "not tell legacy from switchdev — hint: only devlink of the live machine "
                          "knows"));
}

TEST(Scan, FindsTheNetdevOfAVirtioFunction) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  const auto device = tree.device("0000:11:10.0");
  tree.remove_netdevs("0000:11:10.0");
  std::filesystem::create_directories(device / "virtio3/net/ens9");
  std::filesystem::create_symlink(
      std::filesystem::relative(device / "virtio3/net/ens9", tree.root() / "class/net"),
      tree.root() / "class/net/ens9");
  EXPECT_EQ(Scanned(tree).fact("0000-11-10-0", DRASRIOV_FACT_NETDEV), "ens9");
}

TEST(Scan, KnowsNoSriovNicWithoutVfsAndTotalvfs) {
  const Scanned scanned(SysfsTree::synthetic("--pfs 1 --vfs 0 --plain-nics 2"));
  ASSERT_THAT(scanned.devices(), SizeIs(1));  // the PF that could have VFs
  EXPECT_EQ(scanned.devices()[0].name(), "0000-11-00-0");
  EXPECT_EQ(scanned.devices()[0].kind(), "pf");
}

}  // namespace
}  // namespace drasriov::discovery_sysfs::testing
