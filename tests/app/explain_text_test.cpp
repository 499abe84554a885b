// SPDX-License-Identifier: Apache-2.0
#include "host/app/explain_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::app {
namespace {

using nlohmann::json;

json attempt(int filter, bool matched, const char* reason) {
  return {{"object", "ns/fast"},
          {"config", 0},
          {"filter", filter},
          {"matched", matched},
          {"reason", reason}};
}

/// A named and held one, one that no filter matches, one that discovery could not read.
json example_report() {
  return json::array(
      {{{"device", "0000-08-00-2"},
        {"present", true},
        {"pciAddress", "0000:08:00.2"},
        {"interface", "ens1v0"},
        {"driver", "igbvf"},
        {"pf", "ens1"},
        {"pfPciAddress", "0000:08:00.0"},
        {"vfIndex", "0"},
        {"published", true},
        {"reason",
         "resourceName \"a/b\" by SriovResourceFilter ns/fast, configs[0].resourceFilters[1]"},
        {"resourceName", "a/b"},
        {"namedBy", attempt(1, true, "")},
        {"attempts",
         {attempt(0, false, "vendors: the device has \"8086\", the filter wants \"15b3\""),
          attempt(1, true, "")}},
        {"conflicts",
         {{{"winner", "ns/fast"},
           {"winnerResourceName", "a/b"},
           {"loser", "ns/late"},
           {"loserResourceName", "a/c"}}}},
        {"problems", json::array()},
        {"heldBy",
         {{"namespace", "ns"},
          {"name", "c"},
          {"uid", "uid-c"},
          {"state", "Prepared"},
          {"pods", {{{"name", "p"}, {"uid", "uid-p"}}}}}},
        {"health", {{"healthy", true}, {"message", ""}}}},
       {{"device", "0000-08-00-3"},
        {"present", true},
        {"pciAddress", "0000:08:00.3"},
        {"pfPciAddress", "0000:08:00.0"},
        {"published", false},
        {"reason", "not published, no filter matches and `advertise: filtered` is set"},
        {"namedBy", nullptr},
        {"attempts", {attempt(0, false, "vendors: no")}},
        {"heldBy", nullptr},
        {"health", {{"healthy", true}, {"message", ""}}}},
       {{"device", "0000:09:00.0"},
        {"present", false},
        {"published", nullptr},
        {"reason", "discovery could not read it: vanished"},
        {"problems", {"vanished"}}}});
}

TEST(ExplainText, TableShowsDecisionHolderAndReason) {
  EXPECT_EQ(
      format_explanations(example_report()),
      "DEVICE         PF             PUBLISHED   RESOURCE   HELD BY           HEALTH    WHY\n"
      "0000-08-00-2   ens1           yes         a/b        ns/c (Prepared)   ok        ns/fast "
      "configs[0].resourceFilters[1]\n"
      "0000-08-00-3   0000:08:00.0   no          -          -                 ok        not "
      "published, no filter "
      "matches and `advertise: filtered` is set: vendors: no\n"
      "0000:09:00.0   -              ?           -          -                 unknown   discovery "
      "could not read "
      "it: vanished\n");
  EXPECT_EQ(format_explanations(json::array()),
            "No virtual functions. A PF makes them when sriov_numvfs is written.\n");
}

TEST(ExplainText, InFullShowsEveryFilterThatWasAsked) {
  EXPECT_EQ(format_explanations_in_full(json::array({example_report()[0]})),
            "0000-08-00-2\n"
            "  PCI address    0000:08:00.2, VF 0 of ens1 (0000:08:00.0)\n"
            "  Interface      ens1v0\n"
            "  Driver         igbvf\n"
            "  Published      yes, resourceName \"a/b\"\n"
            "  Why            resourceName \"a/b\" by SriovResourceFilter ns/fast, "
            "configs[0].resourceFilters[1]\n"
            "  Asked          ns/fast configs[0].resourceFilters[0]: vendors: the device has "
            "\"8086\", the filter wants \"15b3\"\n"
            "                 ns/fast configs[0].resourceFilters[1]: matches\n"
            "  Conflict       ns/late wants \"a/c\"; ns/fast is older and wins\n"
            "  Held by        claim ns/c (Prepared), UID uid-c\n"
            "  For pod        p, UID uid-p\n"
            "  Health         ok\n");
}

TEST(ExplainText, ADeviceIsMeantByAnyOfItsNames) {
  for (const char* name : {"0000-08-00-2", "0000:08:00.2", "ens1v0", "ens1"}) {
    const std::vector<std::string> names = {name};
    const auto selected = select_devices(example_report(), names);
    ASSERT_TRUE(selected) << selected.error().to_string();
    ASSERT_EQ(selected->size(), 1U) << name;
    EXPECT_EQ((*selected)[0]["device"], "0000-08-00-2");
  }
  const std::vector<std::string> pf = {"0000:08:00.0"};
  EXPECT_EQ(select_devices(example_report(), pf)->size(), 2U);
  EXPECT_EQ(select_devices(example_report(), {})->size(), 3U);
}

TEST(ExplainText, AnUnknownNameIsRefusedEvenBesideAKnownOne) {
  const std::vector<std::string> names = {"ens1", "0000-08-00-4"};
  const auto selected = select_devices(example_report(), names);
  ASSERT_FALSE(selected);
  EXPECT_EQ(selected.error().code(), Code::kNotFound);
  EXPECT_EQ(selected.error().message(), "no device '0000-08-00-4' on this node");
  EXPECT_NE(selected.error().hint().find("'0000-08-00-2'"), std::string::npos);
  EXPECT_NE(selected.error().hint().find("'0000-08-00-3'"), std::string::npos);
  const std::vector<std::string> far = {"zzz"};
  EXPECT_EQ(select_devices(example_report(), far).error().hint(),
            "without an argument all are shown");
}

TEST(ExplainText, ADocumentOfAnotherVersionIsNoCrash) {
  for (const json& devices :
       {json::parse(R"([{}])"), json::parse(R"([7, null, {"device": 3, "heldBy": []}])"),
        json::parse(R"([{"attempts": {}, "health": 1, "published": "yes"}])")}) {
    EXPECT_FALSE(format_explanations(devices).empty());
    EXPECT_FALSE(format_explanations_in_full(devices).empty());
  }
}

}  // namespace
}  // namespace drasriov::app
