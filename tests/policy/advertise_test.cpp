// SPDX-License-Identifier: Apache-2.0
#include "host/policy/advertise.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drasriov::policy {
namespace {

using device::Device;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kDriver = "sriovnetwork.openshift.io";
constexpr Settings kAll{kDriver, config::Advertise::kAll};
constexpr Settings kFiltered{kDriver, config::Advertise::kFiltered};

Device vf(std::string name = "0000-08-00-2") {
  Device device{.name = std::move(name), .kind = "vf", .parent = "0000-08-00-0"};
  device.attributes = {{"vendor", std::string("8086")},
                       {"deviceID", std::string("10ed")},
                       {"pciAddress", std::string("0000:08:00.2")},
                       {"PFName", std::string("eth0")},
                       {"parentPciAddress", std::string("0000:00:01.0")},
                       {"pfPciAddress", std::string("0000:08:00.0")},
                       {"driver", std::string("ixgbevf")},
                       {"resource.kubernetes.io/numaNode", std::int64_t{1}},
                       {"resource.kubernetes.io/pcieRoot", std::string("pci0000:00")}};
  return device;
}

DeviceFilter only(Criterion criterion, std::vector<std::string> list) {
  DeviceFilter filter;
  filter.lists[static_cast<std::size_t>(criterion)] = std::move(list);
  return filter;
}

ResourceFilter object(std::string name, std::vector<FilterConfig> configs) {
  return {.namespace_ = "ns",
          .name = std::move(name),
          .uid = "uid-of-it",
          .configs = std::move(configs)};
}

NodeFilters applied(std::vector<ResourceFilter> objects) {
  return {.applied = std::move(objects)};
}

std::string name_of(const Device& device, const NodeFilters& filters) {
  const auto result = advertise({device}, filters, kAll);
  EXPECT_THAT(result.devices, SizeIs(1));
  const std::string* name = result.devices[0].string_attribute(kResourceName);
  const std::string* multus = result.devices[0].string_attribute(kMultusResourceName);
  EXPECT_EQ(name == nullptr, multus == nullptr);
  EXPECT_TRUE(name == nullptr || *name == *multus);
  return name == nullptr ? "" : *name;
}

struct CriterionCase {
  const char* name;
  Criterion criterion;
  std::vector<std::string> list;
  bool matches;
};

class OneCriterion : public ::testing::TestWithParam<CriterionCase> {};

TEST_P(OneCriterion, MatchesByMembership) {
  const NodeFilters filters =
      applied({object("f", {{"r", {only(GetParam().criterion, GetParam().list)}}})});
  EXPECT_EQ(name_of(vf(), filters), GetParam().matches ? "r" : "");
}

INSTANTIATE_TEST_SUITE_P(
    Table, OneCriterion,
    ::testing::Values(
        CriterionCase{"Vendor", Criterion::kVendors, {"15b3", "8086"}, true},
        CriterionCase{"OtherVendor", Criterion::kVendors, {"15b3"}, false},
        CriterionCase{"VendorIsNotAPrefix", Criterion::kVendors, {"80"}, false},
        CriterionCase{"Device", Criterion::kDevices, {"10ed"}, true},
        CriterionCase{"OtherDevice", Criterion::kDevices, {"1889"}, false},
        CriterionCase{"Address", Criterion::kPciAddresses, {"0000:08:00.2"}, true},
        CriterionCase{"OtherAddress", Criterion::kPciAddresses, {"0000:08:00.3"}, false},
        CriterionCase{"PfName", Criterion::kPfNames, {"eth0", "eth1"}, true},
        CriterionCase{"OtherPfName", Criterion::kPfNames, {"eth1"}, false},
        CriterionCase{"RootIsParent", Criterion::kRootDevices, {"0000:00:01.0"}, true},
        CriterionCase{"RootIsPf", Criterion::kRootDevices, {"0000:08:00.0"}, true},
        CriterionCase{"RootIsRootComplex", Criterion::kRootDevices, {"pci0000:00"}, true},
        CriterionCase{"RootIsNotTheVfItself", Criterion::kRootDevices, {"0000:08:00.2"}, false},
        CriterionCase{"Numa", Criterion::kNumaNodes, {"0", "1"}, true},
        CriterionCase{"OtherNuma", Criterion::kNumaNodes, {"0"}, false},
        CriterionCase{"NumaKnownIsNotMinusOne", Criterion::kNumaNodes, {"-1"}, false},
        CriterionCase{"Driver", Criterion::kDrivers, {"vfio-pci", "ixgbevf"}, true},
        CriterionCase{"OtherDriver", Criterion::kDrivers, {"vfio-pci"}, false}),
    [](const auto& test) { return test.param.name; });

TEST(Advertise, MinusOneMatchesADeviceWithoutNumaNode) {
  Device device = vf();
  device.attributes.erase("resource.kubernetes.io/numaNode");
  EXPECT_EQ(name_of(device, applied({object("f", {{"r", {only(Criterion::kNumaNodes, {"-1"})}}})})),
            "r");
  EXPECT_EQ(name_of(device, applied({object("f", {{"r", {only(Criterion::kNumaNodes, {"0"})}}})})),
            "");
}

TEST(Advertise, AbsentValueNeverMatches) {
  Device device = vf();
  device.attributes.erase("PFName");
  device.attributes.erase("driver");
  EXPECT_EQ(name_of(device, applied({object("f", {{"r", {only(Criterion::kPfNames, {""})}}})})),
            "");
  EXPECT_EQ(
      name_of(device, applied({object("f", {{"r", {only(Criterion::kDrivers, {"", "x"})}}})})), "");
}

TEST(Advertise, QualifiedAttributesAndFactsServeToo) {
  Device device{.name = "d", .kind = "vf"};
  device.attributes = {{std::string(kDriver) + "/vendor", std::string("8086")}};
  device.facts = {{"driver", "vfio-pci"},
                  {"pfNetdev", "eth7"},
                  {"pciAddress", "0000:01:00.1"},
                  {"pfPciAddress", "p"}};
  DeviceFilter filter = only(Criterion::kVendors, {"8086"});
  filter.lists[static_cast<std::size_t>(Criterion::kDrivers)] = {"vfio-pci"};
  filter.lists[static_cast<std::size_t>(Criterion::kPfNames)] = {"eth7"};
  filter.lists[static_cast<std::size_t>(Criterion::kPciAddresses)] = {"0000:01:00.1"};
  filter.lists[static_cast<std::size_t>(Criterion::kRootDevices)] = {"p"};
  EXPECT_EQ(name_of(device, applied({object("f", {{"r", {filter}}})})), "r");
}

TEST(Advertise, ListsOfAFilterAreAndedFiltersAreOred) {
  DeviceFilter both = only(Criterion::kVendors, {"8086"});
  both.lists[static_cast<std::size_t>(Criterion::kPfNames)] = {"eth1"};
  EXPECT_EQ(name_of(vf(), applied({object("f", {{"r", {both}}})})), "");
  EXPECT_EQ(
      name_of(vf(), applied({object("f", {{"r", {both, only(Criterion::kPfNames, {"eth0"})}}})})),
      "r");
}

TEST(Advertise, FirstConfigOfAnObjectNamesTheDevice) {
  const auto filters = applied({object(
      "f", {{"no", {only(Criterion::kPfNames, {"eth1"})}}, {"first", {}}, {"second", {}}})});
  const auto result = advertise(std::vector{vf()}, filters, kAll);
  EXPECT_EQ(*result.devices[0].string_attribute(kResourceName), "first");
  EXPECT_THAT(result.conflicts, IsEmpty());
}

TEST(Advertise, ConflictNamesBothObjectsDeviceAndNames) {
  const auto filters = applied(
      {object("old", {{"a", {}}}), object("same", {{"a", {}}}), object("young", {{"b", {}}})});
  const auto result = advertise(std::vector{vf()}, filters, kAll);
  EXPECT_EQ(*result.devices[0].string_attribute(kResourceName), "a");
  EXPECT_THAT(result.conflicts,
              ElementsAre(Conflict{"0000-08-00-2", "ns/old", "a", "ns/young", "uid-of-it", "b"}));
  EXPECT_EQ(result.conflicts[0].to_string(),
            "SriovResourceFilter ns/young wants resourceName \"b\" for device 0000-08-00-2, which "
            "SriovResourceFilter "
            "ns/old has named \"a\" — hint: the older object wins; make their filters disjoint or "
            "their names equal");
}

TEST(Advertise, AllPublishesUnmatchedFilteredDoesNot) {
  const std::vector devices{vf("b"), vf("a")};
  EXPECT_THAT(advertise(devices, {}, kFiltered).devices, IsEmpty());
  const auto all = advertise(devices, {}, kAll);
  ASSERT_THAT(all.devices, SizeIs(2));
  EXPECT_EQ(all.devices[0].name, "a");
  EXPECT_EQ(all.devices[0].attribute(kResourceName), nullptr);
  EXPECT_THAT(advertise(devices, applied({object("f", {{"r", {}}})}), kFiltered).devices,
              SizeIs(2));
}

TEST(Advertise, PhysicalFunctionsAreNotPublished) {
  Device pf = vf("pf");
  pf.kind = "pf";
  EXPECT_THAT(advertise(std::vector{pf}, applied({object("f", {{"r", {}}})}), kAll).devices,
              IsEmpty());
  EXPECT_FALSE(explain(pf, applied({object("f", {{"r", {}}})}), kAll).advertised);
}

// A held device comes with the name that it was published under; the filters of today decide.
TEST(Advertise, AnOldResourceNameDoesNotSurvive) {
  Device device = vf();
  device.attributes["resourceName"] = std::string("old");
  device.attributes[std::string(kDriver) + "/resourceName"] = std::string("old");
  device.attributes[std::string(kMultusResourceName)] = std::string("old");
  const auto unnamed = advertise({device}, {}, kAll);
  EXPECT_EQ(unnamed.devices[0].attributes, vf().attributes);
  EXPECT_EQ(name_of(device, applied({object("f", {{"new", {}}})})), "new");
}

TEST(Explain, MatchNamesObjectConfigAndFilter) {
  const auto filters = applied({object("f", {{"x", {only(Criterion::kVendors, {"15b3"})}},
                                             {"y",
                                              {only(Criterion::kPfNames, {"eth1", "eth2"}),
                                               only(Criterion::kPfNames, {"eth0"})}}})});
  const auto explanation = explain(vf(), filters, kFiltered);
  EXPECT_TRUE(explanation.advertised);
  EXPECT_EQ(explanation.resource_name, "y");
  EXPECT_THAT(
      explanation.attempts,
      ElementsAre(Attempt{"ns/f", 0, 0, false,
                          "vendors: the device has \"8086\", the filter wants \"15b3\""},
                  Attempt{"ns/f", 1, 0, false,
                          "pfNames: the device has \"eth0\", the filter wants \"eth1\", \"eth2\""},
                  Attempt{"ns/f", 1, 1, true, ""}));
  EXPECT_EQ(explanation.winner, 2U);
  EXPECT_EQ(explanation.summary(),
            "0000-08-00-2: resourceName \"y\" by SriovResourceFilter ns/f, "
            "configs[1].resourceFilters[1]");
}

TEST(Explain, FirstFailedCriterionIsReported) {
  DeviceFilter filter = only(Criterion::kDrivers, {"vfio-pci"});
  filter.lists[static_cast<std::size_t>(Criterion::kRootDevices)] = {"pci0000:80"};
  auto explanation = explain(vf(), applied({object("f", {{"r", {filter}}})}), kAll);
  ASSERT_THAT(explanation.attempts, SizeIs(1));
  EXPECT_EQ(explanation.attempts[0].reason,
            "rootDevices: the device has \"0000:00:01.0\", \"0000:08:00.0\", \"pci0000:00\", the "
            "filter wants \"pci0000:80\"");
  EXPECT_EQ(explanation.summary(),
            "0000-08-00-2: published without resourceName, no filter matches");

  Device unbound = vf();
  unbound.attributes.erase("driver");
  explanation =
      explain(unbound, applied({object("f", {{"r", {only(Criterion::kDrivers, {"vfio-pci"})}}})}),
              kFiltered);
  EXPECT_EQ(explanation.attempts[0].reason,
            "drivers: the device has no such value, the filter wants \"vfio-pci\"");
  EXPECT_EQ(explanation.summary(),
            "0000-08-00-2: not published, no filter matches and `advertise: filtered` is set");
}

TEST(Explain, AgreesWithAdvertiseOnConflictsAndCatchAll) {
  const auto filters = applied({object("old", {{"a", {}}}), object("young", {{"b", {}}})});
  const auto explanation = explain(vf(), filters, kAll);
  EXPECT_EQ(explanation.summary(),
            "0000-08-00-2: resourceName \"a\" by SriovResourceFilter ns/old, configs[0] (takes "
            "every device)");
  EXPECT_EQ(explanation.conflicts, advertise(std::vector{vf()}, filters, kAll).conflicts);
  EXPECT_THAT(explanation.attempts, SizeIs(2));
}

}  // namespace
}  // namespace drasriov::policy
