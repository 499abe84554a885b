// SPDX-License-Identifier: Apache-2.0
#include "host/app/claims_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::app {
namespace {

using nlohmann::json;

/// A prepared one and one that cannot be read.
json example_claims() {
  const json device = {
      {"device", "0000-08-00-2"},
      {"pciAddress", "0000:08:00.2"},
      {"request", "vf"},
      {"adminAccess", false},
      {"interface", "net1"},
      {"netAttachDef", "nad"},
      {"driverBefore", "igbvf"},
      {"driverPrepared", "vfio-pci"},
      {"driverNow", nullptr},
      {"modules", {{{"name", "vfio"}, {"undone", true}}}},
      {"cdiDevices", {"k/vf=a"}},
      {"attachments",
       {{{"state", "Attached"}, {"sandbox", "box"}, {"pod", "ns/p"}, {"interface", "net1"}}}}};
  return json::array({{{"uid", "uid-1"},
                       {"namespace", "ns"},
                       {"name", "c"},
                       {"state", "Undoing"},
                       {"earlierBoot", true},
                       {"consumers", {{{"resource", "pods"}, {"name", "p"}, {"uid", "uid-p"}}}},
                       {"devices", {device}},
                       {"lastError", "EBUSY\nsecond line"},
                       {"lastChange", "2026-01-02T03:04:05Z"},
                       {"ageSeconds", 7199}},
                      {{"uid", "uid-2"},
                       {"state", "Damaged"},
                       {"devices", json::array()},
                       {"lastError", "cut short"},
                       {"ageSeconds", nullptr}}});
}

TEST(ClaimsText, Table) {
  EXPECT_EQ(
      format_claims(example_claims(), false),
      "CLAIM   STATE                   DEVICES        DRIVER            PODS   AGE    LAST ERROR\n"
      "ns/c    Undoing, earlier boot   0000-08-00-2   igbvf->vfio-pci   p      119m   EBUSY\n"
      "uid-2   Damaged                 -              -                 -      -      cut short\n");
  EXPECT_EQ(format_claims(json::array(), true), "No claims.\n");
}

TEST(ClaimsText, WideAddsWhatIdentifies) {
  const std::string text = format_claims(example_claims(), true);
  EXPECT_NE(text.find("UID     INTERFACE   SANDBOX   LAST CHANGE            LAST ERROR\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("uid-1   net1        box       2026-01-02T03:04:05Z   EBUSY\n"),
            std::string::npos)
      << text;
}

TEST(ClaimsText, InFull) {
  EXPECT_EQ(format_claims_in_full(json::array({example_claims()[0]})),
            "ns/c\n"
            "  UID            uid-1\n"
            "  State          Undoing, earlier boot\n"
            "  Last error     EBUSY\nsecond line\n"
            "  Last change    2026-01-02T03:04:05Z, 119m ago\n"
            "  For            pods p, UID uid-p\n"
            "  Device         0000-08-00-2, 0000:08:00.2, request vf\n"
            "    driver       igbvf before, vfio-pci for the pod\n"
            "    interface    net1\n"
            "    network      nad\n"
            "    module       vfio, undone\n"
            "    CDI          k/vf=a\n"
            "    sandbox      box of pod ns/p, Attached as net1\n");
}

TEST(ClaimsText, WhatTheMachineShowsCountsMoreThanTheRecord) {
  json claims = example_claims();
  claims[0]["devices"][0]["driverNow"] = "igbvf";
  EXPECT_NE(format_claims(claims, false).find("  igbvf    p "), std::string::npos)
      << format_claims(claims, false);
  claims[0]["devices"][0]["driverNow"] = "";
  EXPECT_NE(format_claims(claims, false).find("igbvf->none"), std::string::npos);
}

TEST(ClaimsText, AClaimIsMeantByUidOrName) {
  EXPECT_EQ(select_claims(example_claims(), "uid-1")->size(), 1U);
  EXPECT_EQ((*select_claims(example_claims(), "ns/c"))[0]["uid"], "uid-1");
  EXPECT_EQ(select_claims(example_claims(), "")->size(), 2U);
  const auto unknown = select_claims(example_claims(), "uid-3");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().to_string(),
            "no claim 'uid-3' on this node — hint: did you mean 'uid-1', 'uid-2'?");
}

TEST(ClaimsText, ADocumentOfAnotherVersionIsNoCrash) {
  for (const json& claims :
       {json::parse("[{}]"),
        json::parse(R"([1, {"devices": [1, {"attachments": 2}], "ageSeconds": "x"}])")}) {
    EXPECT_FALSE(format_claims(claims, true).empty());
    EXPECT_FALSE(format_claims_in_full(claims).empty());
  }
}

}  // namespace
}  // namespace drasriov::app
