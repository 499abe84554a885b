// SPDX-License-Identifier: Apache-2.0
#include "host/publish/at_rest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drasriov::publish {
namespace {

using claim::HeldDevice;
using claim::HeldDevices;
using device::Device;
using device::Inventory;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Device vf(std::string name, std::string driver, std::string incarnation = "1") {
  Device device{.name = std::move(name), .kind = "vf"};
  device.attributes = {{"driver", std::move(driver)}};
  device.facts = {{"incarnation", std::move(incarnation)}};
  return device;
}

HeldDevices held_by(Device published, std::string state = "Prepared") {
  const std::string name = published.name;
  return {{name, std::make_shared<const HeldDevice>(
                     HeldDevice{{"ns", "claim", "uid"}, std::move(state), std::move(published)})}};
}

TEST(AtRest, HeldDeviceIsShownAsRecorded) {
  const Inventory inventory(1, {vf("a", "ixgbevf"), vf("b", "vfio-pci")}, {});
  const auto result = devices_at_rest(inventory, held_by(vf("b", "ixgbevf")));
  EXPECT_THAT(result.devices, ElementsAre(vf("a", "ixgbevf"), vf("b", "ixgbevf")));
  EXPECT_THAT(result.withheld, IsEmpty());
}

TEST(AtRest, WithoutClaimsTheInventoryIsShown) {
  const Inventory inventory(1, {vf("a", "ixgbevf")}, {});
  EXPECT_THAT(devices_at_rest(inventory, {}).devices, ElementsAre(vf("a", "ixgbevf")));
}

TEST(AtRest, HeldDeviceThatIsNotSeenStays) {
  const Inventory inventory(1, {vf("b", "ixgbevf")}, {});
  EXPECT_THAT(devices_at_rest(inventory, held_by(vf("a", "ixgbevf"))).devices,
              ElementsAre(vf("a", "ixgbevf"), vf("b", "ixgbevf")));
}

TEST(AtRest, AnotherIncarnationIsShownAsItIs) {
  const Inventory inventory(1, {vf("a", "mlx5_core", "2")}, {});
  EXPECT_THAT(devices_at_rest(inventory, held_by(vf("a", "ixgbevf", "1"))).devices,
              ElementsAre(vf("a", "mlx5_core", "2")));
}

TEST(AtRest, UnknownIncarnationCountsAsTheSame) {
  Device unknown = vf("a", "vfio-pci");
  unknown.facts.clear();
  const Inventory inventory(1, {unknown}, {});
  EXPECT_THAT(devices_at_rest(inventory, held_by(vf("a", "ixgbevf"))).devices,
              ElementsAre(vf("a", "ixgbevf")));
}

TEST(AtRest, BlockedDevicesAreWithheldSeenOrNot) {
  const Inventory inventory(1, {vf("a", "vfio-pci"), vf("c", "ixgbevf")}, {});
  for (const char* state : {"Undoing", "Quarantined"}) {
    HeldDevices held = held_by(vf("a", "ixgbevf"), state);
    held.merge(held_by(vf("b", "ixgbevf"), state));
    const auto result = devices_at_rest(inventory, held);
    EXPECT_THAT(result.devices, ElementsAre(vf("c", "ixgbevf")));
    ASSERT_EQ(result.withheld.size(), 2U);
    EXPECT_EQ(result.withheld[0].device, "a");
    EXPECT_EQ(result.withheld[1].device, "b");
  }
  EXPECT_EQ(devices_at_rest(inventory, held_by(vf("a", ""), "Undoing")).withheld[0].reason,
            "claim ns/claim could not be undone yet; the device is published again when it is as "
            "it was found");
}

TEST(AtRest, PreparingIsPublished) {
  const Inventory inventory(1, {vf("a", "")}, {});
  EXPECT_THAT(devices_at_rest(inventory, held_by(vf("a", "ixgbevf"), "Preparing")).devices,
              ElementsAre(vf("a", "ixgbevf")));
}

TEST(SameAtRest, ADeviceThatIsSeenAsItWasTakenMakesNoDifference) {
  const Inventory inventory(1, {vf("a", "ixgbevf"), vf("b", "ixgbevf")}, {});
  const HeldDevices one = held_by(vf("a", "ixgbevf"));
  HeldDevices two = one;
  two.merge(held_by(vf("b", "ixgbevf")));
  EXPECT_TRUE(same_at_rest(inventory, {}, one));
  EXPECT_TRUE(same_at_rest(inventory, one, two));
  EXPECT_TRUE(same_at_rest(inventory, two, {}));
}

TEST(SameAtRest, WhatIsShownOtherwiseDoes) {
  const Inventory inventory(1, {vf("a", "vfio-pci")}, {});
  const HeldDevices bound = held_by(vf("a", "ixgbevf"));
  EXPECT_FALSE(same_at_rest(inventory, {}, bound));
  EXPECT_FALSE(same_at_rest(inventory, bound, {}));
  EXPECT_TRUE(same_at_rest(inventory, bound, bound)) << "it was shown so before";
  EXPECT_FALSE(same_at_rest(inventory, {}, held_by(vf("gone", "ixgbevf"))));
  EXPECT_FALSE(same_at_rest(inventory, {}, held_by(vf("a", "vfio-pci"), "Undoing")));
  EXPECT_FALSE(same_at_rest(inventory, held_by(vf("a", "vfio-pci"), "Quarantined"), {}));
}

}  // namespace
}  // namespace drasriov::publish
