// SPDX-License-Identifier: Apache-2.0
#include "host/app/discover.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/app/fake_discovery.hpp"

namespace drasriov::app {
namespace {

TEST(Discover, FirstModuleWinsAndLaterOnesEnrichOnlyWhatCameBefore) {
  FakeDiscovery first("first");
  FakeDiscovery second("second");
  first.answer({{vf("a"), vf("b")}, {{"0000:01:00.0", "no vendor file"}}});
  second.answer({{vf("b"), vf("c")}, {}});
  second.enricher = [](device::Device& device) -> Status {
    if (device.name == "b") return Error(Code::kUnavailable, "rdma is busy");
    device.attributes["rdma"] = true;
    return {};
  };
  const std::array<module::Discovery*, 2> modules = {&first, &second};
  const auto found = discover(modules, {});
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->devices.size(), 3U);
  EXPECT_EQ(found->devices[0].name, "a");
  EXPECT_EQ(found->devices[0].attributes.count("rdma"), 1U);
  EXPECT_EQ(found->devices[1].name, "b");
  EXPECT_EQ(found->devices[2].name, "c");
  EXPECT_TRUE(found->devices[2].attributes.empty()) << "a module does not enrich its own devices";
  ASSERT_EQ(found->problems.size(), 3U);
  EXPECT_EQ(found->problems[0].message, "no vendor file");
  EXPECT_EQ(found->problems[1].message, "rdma is busy");
  EXPECT_EQ(found->problems[2].object, "b");
  EXPECT_EQ(found->problems[2].message,
            "found by second too, that of first counts — hint: disable one of the two modules");
}

TEST(Discover, AFailedScanIsOneOfTheWhole) {
  FakeDiscovery first("first");
  FakeDiscovery second("second");
  first.answer({{vf("a")}, {}});
  second.fail(Error(Code::kFailedPrecondition, "no /sys/bus/pci", "mount sysfs"));
  const std::array<module::Discovery*, 2> modules = {&first, &second};
  const auto found = discover(modules, {});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().to_string(), "discovery by second: no /sys/bus/pci — hint: mount sysfs");
}

}  // namespace
}  // namespace drasriov::app
