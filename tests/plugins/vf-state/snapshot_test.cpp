// SPDX-License-Identifier: Apache-2.0
#include "plugins/vf-state/snapshot.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace drasriov::vf_state {
namespace {

const Mac kMac = {0x52, 0x54, 0x00, 0xaa, 0x00, 0x01};
const Mac kOther = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02};
const Mac kUnset = {};

VfSettings all() {
  return {.mac = kMac,
          .vlan = Vlan{100, 3, 0x88a8},
          .rate = Rate{10, 1000},
          .spoof_check = true,
          .trust = false,
          .link_state = 2};
}

TEST(MacTest, TextAndBack) {
  EXPECT_EQ(to_text(kMac), "52:54:00:aa:00:01");
  EXPECT_EQ(parse_mac("52:54:00:AA:00:01"), kMac);
  for (const char* text : {"", "52:54:00:aa:00", "52:54:00:aa:00:0g", "52-54-00-aa-00-01",
                           "52:54:00:aa:00:01:02", "00:00:00:00:fe:80:00:00"}) {
    EXPECT_FALSE(parse_mac(text)) << text;
  }
}

TEST(SnapshotTest, SurvivesTheJournal) {
  const std::vector<Snapshot> snapshots = {
      {"26:4711", "igbvf", Netdev{"eth3", 1500, kMac, true, true}, all()},
      {"26:4711", "igbvf", Netdev{"ib0", 2044, std::nullopt, false, false}, {}},
      {"26:4711", "igbvf", Netdev{"eth3", 1500, kMac, false, true, true, "uplink"}, {}},
      {"26:4711", "igbvf", Netdev{"eth3", 1500, kMac, false, true, true, ""}, {}},
      {"26:4711", "", std::nullopt, VfSettings{.vlan = Vlan{}}},
      {"", "vfio-pci", std::nullopt, {}},
  };
  for (const Snapshot& snapshot : snapshots) {
    const auto read = Snapshot::parse(snapshot.to_text());
    ASSERT_TRUE(read.ok()) << snapshot.to_text();
    EXPECT_EQ(*read, snapshot) << snapshot.to_text();
  }
}

TEST(SnapshotTest, AnAliasThatIsNoTextIsLeftAsItIs) {
  Snapshot snapshot{
      "26:4711", "igbvf", Netdev{"eth3", 1500, kMac, false, true, false, "\xff\xfe"}, {}};
  const auto read = Snapshot::parse(snapshot.to_text());
  ASSERT_TRUE(read.ok()) << snapshot.to_text();
  snapshot.netdev->alias.reset();
  EXPECT_EQ(*read, snapshot);
}

TEST(SnapshotTest, WhatIsNoneIsSaid) {
  for (const char* text :
       {"", "[]", "{}", R"({"incarnation":"1:2"})", R"({"incarnation":1,"driver":"a"})",
        R"({"incarnation":"1:2","driver":"a","netdev":{"name":"eth0"}})",
        R"({"incarnation":"1:2","driver":"a","settings":7})"}) {
    const auto read = Snapshot::parse(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code(), sdk::Code::kDataLoss);
  }
}

TEST(VfSettingsTest, AnAddressThatTheVfDrewCountsAsNotSet) {
  const Netdev random{"eth3", 1500, kMac, true, false};
  const Netdev fixed{"eth3", 1500, kMac, false, false};
  EXPECT_EQ(as_set_by_hand({.mac = kMac}, random).mac, kUnset);
  EXPECT_EQ(as_set_by_hand({.mac = kOther}, random).mac, kOther) << "set, not yet taken over";
  EXPECT_EQ(as_set_by_hand({.mac = kMac}, fixed).mac, kMac);
  const Netdev chosen{"eth3", 1500, kMac, false, false, /*chosen_mac=*/true};
  EXPECT_EQ(as_set_by_hand({.mac = kMac}, chosen).mac, kUnset);
  EXPECT_EQ(as_set_by_hand({.mac = kOther}, chosen).mac, kOther);
  EXPECT_EQ(as_set_by_hand({.mac = kMac}, std::nullopt).mac, kMac);
  EXPECT_EQ(as_set_by_hand({}, random), VfSettings());
}

TEST(VfSettingsTest, OnlyWhatDiffersAndIsKnownChanges) {
  EXPECT_TRUE(difference(all(), all()).empty());
  VfSettings now = all();
  now.mac = kOther;
  EXPECT_EQ(difference(now, all()), VfSettings{.mac = kMac});
  now = all();
  now.vlan->qos = 0;
  EXPECT_EQ(difference(now, all()), (VfSettings{.vlan = Vlan{100, 3, 0x88a8}}));
  now = all();
  now.rate->max = 1;
  EXPECT_EQ(difference(now, all()), (VfSettings{.rate = Rate{10, 1000}}));
  now = all();
  now.spoof_check = false;
  EXPECT_EQ(difference(now, all()), VfSettings{.spoof_check = true});
  now = all();
  now.trust = true;
  EXPECT_EQ(difference(now, all()), VfSettings{.trust = false});
  now = all();
  now.link_state = 0;
  EXPECT_EQ(difference(now, all()), VfSettings{.link_state = 2});
  EXPECT_TRUE(difference(VfSettings(), all()).empty()) << "the driver does not tell any more";
  EXPECT_TRUE(difference(all(), VfSettings()).empty()) << "it did not tell then";
}

TEST(NetdevTest, OnlyWhatDiffersChanges) {
  const Netdev rest{"eth3", 1500, kMac, false, true};
  EXPECT_TRUE(difference(rest, rest).empty());
  EXPECT_EQ(difference(Netdev{"net1", 9000, kOther, false, false}, rest),
            (LinkChange{.name = "eth3", .mtu = 1500, .mac = kMac, .up = true}));
  EXPECT_EQ(difference(Netdev{"dev20", 1500, kMac, false, true}, rest), LinkChange{.name = "eth3"});
}

TEST(NetdevTest, AnAliasIsPutBackAndRemoved) {
  const auto with = [](std::optional<std::string> alias) {
    return Netdev{"eth3", 1500, kMac, false, true, false, std::move(alias)};
  };
  EXPECT_EQ(difference(with("eth3"), with("")), LinkChange{.alias = ""});
  EXPECT_EQ(difference(with(""), with("uplink")), LinkChange{.alias = "uplink"});
  EXPECT_TRUE(difference(with("eth3"), with(std::nullopt)).empty()) << "an older snapshot";
}

TEST(NetdevTest, ARandomAddressIsPutBackOnlyWhereAnotherOneWasSet) {
  const Netdev rest{"eth3", 1500, kMac, true, false};
  EXPECT_TRUE(difference(Netdev{"eth3", 1500, kOther, true, false}, rest).empty());
  EXPECT_TRUE(difference(Netdev{"eth3", 1500, kOther, false, false}, rest).empty())
      << "the PF's, which refuses another";
  EXPECT_EQ(difference(Netdev{"eth3", 1500, kOther, false, false, /*chosen_mac=*/true}, rest),
            LinkChange{.mac = kMac});
}

}  // namespace
}  // namespace drasriov::vf_state
