// SPDX-License-Identifier: Apache-2.0
#include "host/app/device_list.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/fake_discovery.hpp"

namespace drasriov::app {
namespace {

module::Discovery::Scan example_scan() {
  device::Device a = vf("0000-08-00-2");
  a.parent = "0000-08-00-0";
  a.module = "discovery-sysfs";
  a.attributes = {{"vendor", "8086"},
                  {"deviceID", "1520"},
                  {"resource.kubernetes.io/numaNode", std::int64_t{1}},
                  {"EswitchMode", "legacy"},
                  {"linkType", "ethernet"},
                  {"rdmaCapable", false},
                  {"firmware", device::Version{"1.2.3"}},
                  {"queues", std::vector<std::int64_t>{1, 2}},
                  {"resource.kubernetes.io/pcieRoot", "pci0000:00"},
                  {"parentPciAddress", "0000:00:03.0"}};
  a.capacities = {{"bandwidth", "10G"}};
  a.facts = {
      {"pciAddress", "0000:08:00.2"}, {"pfNetdev", "ens1"}, {"vfIndex", "0"}, {"driver", "igbvf"},
      {"netdev", "ens1v0"},           {"iommuGroup", "12"}};
  device::Device b = vf("0000-08-00-10");
  b.facts = {{"pciAddress", "0000:08:10.0"}, {"pfPciAddress", "0000:08:00.0"}};
  device::Device pf;
  pf.name = "0000-08-00-0";
  pf.kind = "pf";
  return {{a, b, pf}, {{"0000:09:00.0", "vanished"}}};
}

TEST(DeviceList, TableShowsVfsByName) {
  EXPECT_EQ(
      format_devices(example_scan(), OutputFormat::kTable),
      "DEVICE          PCI ADDRESS    PF             VF   VENDOR:ID   DRIVER   INTERFACE   NUMA\n"
      "0000-08-00-10   0000:08:10.0   0000:08:00.0   -    -           -        -           -\n"
      "0000-08-00-2    0000:08:00.2   ens1           0    8086:1520   igbvf    ens1v0      1\n");
}

TEST(DeviceList, WideAddsWhatTuningNeeds) {
  const std::string text = format_devices(example_scan(), OutputFormat::kWide);
  EXPECT_NE(text.find("ESWITCH   LINK       RDMA    IOMMU GROUP   PCIE ROOT    PARENT"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("legacy    ethernet   false   12            pci0000:00   0000:00:03.0"),
            std::string::npos)
      << text;
}

TEST(DeviceList, SaysSoWhenThereIsNone) {
  EXPECT_EQ(format_devices({}, OutputFormat::kTable),
            "No virtual functions. A PF makes them when sriov_numvfs is written.\n");
}

TEST(DeviceList, JsonHoldsEverything) {
  const auto list = nlohmann::json::parse(format_devices(example_scan(), OutputFormat::kJson));
  ASSERT_EQ(list["devices"].size(), 3U);
  const auto& device = list["devices"][2];
  EXPECT_EQ(device["name"], "0000-08-00-2");
  EXPECT_EQ(device["kind"], "vf");
  EXPECT_EQ(device["parent"], "0000-08-00-0");
  EXPECT_EQ(device["module"], "discovery-sysfs");
  EXPECT_EQ(device["attributes"]["vendor"], "8086");
  EXPECT_EQ(device["attributes"]["resource.kubernetes.io/numaNode"], 1);
  EXPECT_EQ(device["attributes"]["rdmaCapable"], false);
  EXPECT_EQ(device["attributes"]["firmware"], "1.2.3");
  EXPECT_EQ(device["attributes"]["queues"], (nlohmann::json{1, 2}));
  EXPECT_EQ(device["capacities"]["bandwidth"], "10G");
  EXPECT_EQ(device["facts"]["iommuGroup"], "12");
  EXPECT_EQ(list["problems"][0]["object"], "0000:09:00.0");
  EXPECT_EQ(list["problems"][0]["message"], "vanished");
}

TEST(DeviceList, YamlIsTheSameDocument) {
  const std::string text = format_devices(example_scan(), OutputFormat::kYaml);
  EXPECT_NE(text.find("name: \"0000-08-00-2\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("message: vanished\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace drasriov::app
