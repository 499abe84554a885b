// SPDX-License-Identifier: Apache-2.0
//
// Device nodes and environment of a container, and the IOMMU group behind them.
#include "plugins/binding-vfio/device_nodes.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/plugins/binding-vfio/captured_node.hpp"

namespace drasriov::binding_vfio::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

Json edits_of(const Prepared& prepared) {
  EXPECT_TRUE(prepared.status.ok()) << prepared.status.error().message();
  EXPECT_EQ(prepared.edits.size(), 1U);
  return prepared.edits.empty() ? Json() : Json::parse(prepared.edits.front());
}

Json node_json(const std::string& path, const fs::path& host) {
  return {{"path", path}, {"hostPath", host.native()}, {"type", "c"}};
}

TEST(ContainerEditsTest, VfioGroup) {
  CapturedNode node;
  const fs::path dev = node.host.root(sdk::Root::kDev);
  EXPECT_EQ(edits_of(node.prepare("vfio-pci")),
            (Json{{"env", {"SRIOVNETWORK_0000_11_10_2_VFIO_DEVICE=/dev/vfio/10"}},
                  {"deviceNodes",
                   {node_json("/dev/vfio/10", dev / "vfio/10"),
                    node_json("/dev/vfio/vfio", dev / "vfio/vfio")}}}));
}

TEST(ContainerEditsTest, VfioWithoutIommu) {
  CapturedNode node;
  const fs::path dev = node.host.root(sdk::Root::kDev);
  node.kernel.switch_iommu_off(kVf);
  const auto refused = node.prepare("vfio-pci");
  ASSERT_FALSE(refused.status.ok());
  EXPECT_EQ(refused.status.error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_THAT(refused.status.error().hint(), HasSubstr("enable_unsafe_noiommu_mode"));
  EXPECT_THAT(node.kernel.writes(), IsEmpty());

  std::ofstream(node.host.root(sdk::Root::kSys) /
                "module/vfio/parameters/enable_unsafe_noiommu_mode")
      << "Y\n";
  const auto prepared = node.prepare("vfio-pci");
  EXPECT_EQ(edits_of(prepared),
            (Json{{"env", {"SRIOVNETWORK_0000_11_10_2_VFIO_DEVICE=/dev/vfio/200"}},
                  {"deviceNodes",
                   {node_json("/dev/vfio/200", dev / "vfio/noiommu-200"),
                    node_json("/dev/vfio/vfio", dev / "vfio/vfio")}}}));
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  EXPECT_EQ(node.kernel.driver(kVf), "igbvf");
}

TEST(ContainerEditsTest, Iommufd) {
  CapturedNode node(R"({"iommu":"iommufd"})");
  node.kernel.enable_cdev();
  const fs::path dev = node.host.root(sdk::Root::kDev);
  EXPECT_EQ(edits_of(node.prepare("vfio-pci")),
            (Json{{"env", {"SRIOVNETWORK_0000_11_10_2_VFIO_DEVICE=/dev/vfio/devices/vfio0"}},
                  {"deviceNodes",
                   {node_json("/dev/vfio/devices/vfio0", dev / "vfio/devices/vfio0"),
                    node_json("/dev/iommu", dev / "iommu")}}}));
}

TEST(ContainerEditsTest, IommufdOnAKernelWithoutIt) {
  CapturedNode node(R"({"iommu":"iommufd","timeoutMs":100})");
  const auto failed = node.prepare("vfio-pci");
  ASSERT_FALSE(failed.status.ok());
  EXPECT_THAT(failed.status.error().hint(), HasSubstr("`iommu: legacy`"));
  ASSERT_TRUE(node.unprepare("vfio-pci", failed.snapshot).ok());
  EXPECT_EQ(node.kernel.driver(kVf), "igbvf");
}

TEST(ContainerEditsTest, Uio) {
  CapturedNode node;
  node.kernel.add_driver("igb_uio");
  EXPECT_EQ(
      edits_of(node.prepare("igb_uio")),
      (Json{{"deviceNodes", {node_json("/dev/uio0", node.host.root(sdk::Root::kDev) / "uio0")}}}));
}

TEST(CheckViableTest, EveryNeighbour) {
  const std::string self = "0000:11:10.2";
  const auto with = [&](const std::string& driver) {
    return check_viable(self, {{self, "igbvf"}, {"0000:11:10.4", driver}});
  };
  for (const char* driver : {"", "vfio-pci", "mlx5_vfio_pci", "pcieport", "pci-stub"}) {
    EXPECT_TRUE(with(driver).ok()) << driver;
  }
  const auto refused = with("igbvf");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_EQ(refused.error().message(),
            self +
                " shares its IOMMU group with 0000:11:10.4, which igbvf uses: VFIO gives out "
                "whole groups only");
  EXPECT_TRUE(check_viable(self, {{self, "igbvf"}}).ok());
}

TEST(CheckViableTest, IsAskedBeforeAnythingIsTouched) {
  CapturedNode node;
  fs::create_directory_symlink(
      fs::canonical(node.kernel.device("0000:11:10.4")),
      node.host.root(sdk::Root::kSys) / "kernel/iommu_groups/10/devices/0000:11:10.4");
  const auto refused = node.prepare("vfio-pci");
  ASSERT_FALSE(refused.status.ok());
  EXPECT_THAT(refused.status.error().message(), HasSubstr("0000:11:10.4"));
  EXPECT_THAT(node.kernel.writes(), IsEmpty());
}

}  // namespace
}  // namespace drasriov::binding_vfio::testing
