// SPDX-License-Identifier: Apache-2.0
//
// Devices across the ABI: what a scan and an enrich may report, and what becomes of the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/module/device_convert.hpp"
#include "tests/module/adapters_fixture.hpp"

namespace drasriov::module {
namespace {

using device::Device;
using testing::AdaptersTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::sample_device;

TEST_F(AdaptersTest, ADeviceSurvivesBothWays) {
  const Device device = sample_device();
  const DeviceView view(device);
  const auto back = device_from_abi(view.get());
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(back->device, device);
  EXPECT_THAT(back->dropped, IsEmpty());
}

TEST_F(AdaptersTest, ScanCopiesAtOnceAndNamesTheModule) {
  script_.on_scan = [&](auto*, const drasriov_discovery_sink* sink, auto*) {
    {
      const Device device = sample_device();
      sink->device(sink->context, DeviceView(device).get());
    }
    std::string object = "0000:08:00.3";
    sink->problem(sink->context, to_abi(object), to_abi("vanished"));
    object = "overwritten";
    return DRASRIOV_OK;
  };
  const auto scan = discovery().scan({});
  ASSERT_TRUE(scan);
  Device expected = sample_device();
  expected.module = "acme";
  EXPECT_THAT(scan->devices, ElementsAre(expected));
  EXPECT_THAT(scan->problems, ElementsAre(device::Problem{"0000:08:00.3", "vanished"}));
}

TEST_F(AdaptersTest, AFailedScanGivesNothing) {
  (void)scan_error([&](auto*, const drasriov_discovery_sink* sink, auto*) {
    const Device device = sample_device();
    sink->device(sink->context, DeviceView(device).get());
    return DRASRIOV_ABORTED;
  });
  script_.on_scan = [](auto*, auto*, auto*) { return DRASRIOV_OK; };
  EXPECT_THAT(discovery().scan({})->devices, IsEmpty());
}

TEST_F(AdaptersTest, BadDevicesBecomeProblemsAndTheRestGoesOn) {
  script_.on_scan = [&](auto*, const drasriov_discovery_sink* sink, auto*) {
    const auto report = [&](auto change) {
      Device device = sample_device();
      change(device);
      sink->device(sink->context, DeviceView(device).get());
    };
    report([](Device& d) { d.name = "0000:08:00.2"; });
    report([](Device& d) { d.name = "gpu", d.kind = "gpu"; });
    report([](Device& d) { d.name = "orphan", d.parent = "a/b"; });
    report([](Device& d) {
      d.name = "crowded";
      for (int i = 0; i < 24; ++i) d.attributes.emplace("a" + std::to_string(i), std::int64_t{i});
    });
    report([](Device& d) {
      d.name = "lists";
      d.attributes["many"] = std::vector<std::int64_t>(40, 1);
    });
    report([](Device& d) { d.name = "good"; });
    report([](Device& d) { d.name = "good"; });
    drasriov_device torso = {};
    torso.struct_size = offsetof(drasriov_device, facts);
    torso.name = to_abi("torso");
    sink->device(sink->context, &torso);
    sink->device(sink->context, nullptr);
    return DRASRIOV_OK;
  };
  const auto scan = discovery().scan({});
  ASSERT_TRUE(scan);
  ASSERT_EQ(scan->devices.size(), 1U);
  EXPECT_EQ(scan->devices[0].name, "good");
  using P = device::Problem;
  const std::string refused = "module acme: device refused: ";
  EXPECT_THAT(
      scan->problems,
      ElementsAre(
          P{"0000:08:00.2",
            refused + "its name is no DNS label — hint: use the PCI address with ':' and '.' "
                      "replaced by '-'"},
          P{"gpu", refused + "its kind \"gpu\" is unknown — hint: use \"vf\" or \"pf\""},
          P{"orphan",
            refused + "its parent is no DNS label — hint: use the name of the PF's device"},
          P{"crowded",
            refused + "has 33 attributes and capacities, the API takes 32 together — hint: let the "
                      "discovery module report fewer"},
          P{"lists",
            refused + "has 53 attribute values, the API takes 48 — hint: let the discovery module "
                      "report shorter lists"},
          P{"good", refused + "it was reported twice in one scan"},
          P{"torso",
            refused +
                "its struct is shorter than drasriov_device of ABI 1.0 — hint: set struct_size "
                "to sizeof(drasriov_device)"},
          P{"device",
            refused +
                "its struct is shorter than drasriov_device of ABI 1.0 — hint: set struct_size "
                "to sizeof(drasriov_device)"}));
}

TEST_F(AdaptersTest, ABadAttributeCostsOnlyItself) {
  script_.on_scan = [&](auto*, const drasriov_discovery_sink* sink, auto*) {
    Device device;
    device.name = "vf";
    device.kind = "vf";
    device.attributes = {{"ok", std::string(64, 'x')},     {"long", std::string(65, 'x')},
                         {"bytes", std::string("\xff")},   {"a/b/c", std::int64_t{1}},
                         {"odd", device::Version{"v1.2"}}, {"none", std::vector<std::string>{}}};
    device.capacities = {{"rate", "10 Gbit"}};
    device.facts = {{"netdev", "\xfe"}};
    sink->device(sink->context, DeviceView(device).get());
    return DRASRIOV_OK;
  };
  const auto scan = discovery().scan({});
  ASSERT_TRUE(scan);
  ASSERT_EQ(scan->devices.size(), 1U);
  EXPECT_THAT(scan->devices[0].attributes,
              ElementsAre(Pair("ok", device::AttributeValue(std::string(64, 'x')))));
  EXPECT_THAT(scan->devices[0].capacities, IsEmpty());
  EXPECT_THAT(scan->devices[0].facts, IsEmpty());
  std::vector<std::string> messages;
  for (const auto& problem : scan->problems) {
    EXPECT_EQ(problem.object, "vf");
    messages.push_back(problem.message);
  }
  const std::string after = "; the device is published without it";
  EXPECT_THAT(
      messages,
      ElementsAre(
          "module acme: attribute \"a/b/c\" is no qualified name (domain/identifier, at most "
          "63 and 32 characters)" +
              after,
          "module acme: attribute \"bytes\" is not UTF-8" + after,
          "module acme: attribute \"long\" has 65 bytes, the API takes 64" + after,
          "module acme: attribute \"none\" is an empty list" + after,
          "module acme: attribute \"odd\" \"v1.2\" is no semantic version" + after,
          "module acme: capacity \"rate\" \"10 Gbit\" is no quantity" + after,
          "module acme: fact \"netdev\" is empty or not UTF-8" + after));
}

TEST_F(AdaptersTest, EnrichAddsAndEarlierKeysWin) {
  script_.on_enrich = [&](const drasriov_device* device, const drasriov_discovery_sink* sink) {
    Device addition;
    addition.name = to_view(device->name);
    addition.kind = "vf";
    addition.attributes = {{"vendor", std::string("ffff")}, {"rdma", true}};
    addition.facts = {{"netdev", "other"}, {"acme.example.com/port", "1"}};
    sink->device(sink->context, DeviceView(addition).get());
    return DRASRIOV_OK;
  };
  Device device = sample_device();
  ASSERT_TRUE(discovery().enrich({}, device));
  Device expected = sample_device();
  expected.attributes["rdma"] = true;
  expected.facts["acme.example.com/port"] = "1";
  EXPECT_EQ(device, expected);
}

TEST_F(AdaptersTest, AnEnrichThatGoesWrongChangesNothing) {
  Device device = sample_device();
  const auto outcome = [&](auto change) -> std::string {
    script_.on_enrich = [change](const drasriov_device* given,
                                 const drasriov_discovery_sink* sink) {
      Device addition;
      addition.name = to_view(given->name);
      addition.kind = "vf";
      change(addition);
      sink->device(sink->context, DeviceView(addition).get());
      return DRASRIOV_OK;
    };
    const auto status = discovery().enrich({}, device);
    EXPECT_EQ(device, sample_device());
    return status ? "" : status.error().message();
  };
  EXPECT_EQ(outcome([](Device& d) { d.name = "other"; }),
            "module acme: enrich of device 0000-08-00-2 reported device other");
  EXPECT_EQ(outcome([](Device& d) {
              for (int i = 0; i < 30; ++i)
                d.attributes.emplace("a" + std::to_string(i), std::int64_t{i});
            }),
            "module acme: enriched device 0000-08-00-2: has 39 attributes and capacities, the API "
            "takes 32 together");
}

TEST(DeviceNames, QualifiedNamesVersionsAndQuantities) {
  for (const char* good : {"vendor", "_x", "a.b/c", "k8s.cni.cncf.io/deviceID"})
    EXPECT_TRUE(is_qualified_name(good)) << good;
  for (const char* bad :
       {"", "1x", "a-b", "/x", "a/", "A.b/c", "a/b/c", "abcdefghijklmnopqrstuvwxyzabcdefg"}) {
    EXPECT_FALSE(is_qualified_name(bad)) << bad;
  }
  for (const char* good :
       {"1.2.3", "0.0.0", "22.36.1010", "1.2.3-rc.1+b5", "1.0.0+001", "1.0.0-0a.-"}) {
    EXPECT_TRUE(is_semantic_version(good)) << good;
  }
  for (const char* bad : {"", "1.2", "v1.2.3", "01.2.3", "1.2.3.4", "1.2.3-", "1.2.3-01", "1.2.3+",
                          "1.2.3-a..b", "1.2.3 "}) {
    EXPECT_FALSE(is_semantic_version(bad)) << bad;
  }
  for (const char* good : {"0", "25G", "1.5Gi", "100m", "1e3", "-1", "+2k", ".5", "5."})
    EXPECT_TRUE(is_quantity(good)) << good;
  for (const char* bad : {"", "G", "25g", "1 G", "1e", "1.5GiB", "0x1", "."})
    EXPECT_FALSE(is_quantity(bad)) << bad;
}

}  // namespace
}  // namespace drasriov::module
