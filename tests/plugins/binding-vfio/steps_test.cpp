// SPDX-License-Identifier: Apache-2.0
#include "plugins/binding-vfio/steps.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace drasriov::binding_vfio {
namespace {

using ::testing::HasSubstr;

/// "load vfio-pci, override vfio-pci, unbind, probe vfio-pci"
std::string text(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) {
    out += out.empty() ? "" : ", ";
    switch (step.kind) {
      case Step::Kind::kLoadDriver: out += "load " + step.driver; break;
      case Step::Kind::kLoadClaiming: out += "load claiming"; break;
      case Step::Kind::kCheckFree: out += "check free"; break;
      case Step::Kind::kSetOverride:
        out += step.driver.empty() ? "clear override" : "override " + step.driver;
        break;
      case Step::Kind::kUnbind: out += "unbind"; break;
      case Step::Kind::kProbe: out += "probe " + (step.driver.empty() ? "any" : step.driver); break;
    }
  }
  return out;
}

struct Way {
  const char* what;
  DeviceState now;
  std::string wanted;
  const char* steps;
};

TEST(StepsToDriverTest, EveryState) {
  const std::vector<Way> ways = {
      {"at rest",
       {"igbvf", ""},
       "vfio-pci",
       "load vfio-pci, override vfio-pci, unbind, probe vfio-pci"},
      {"killed after the override",
       {"igbvf", "vfio-pci"},
       "vfio-pci",
       "load vfio-pci, unbind, probe vfio-pci"},
      {"killed after the unbind", {"", "vfio-pci"}, "vfio-pci", "load vfio-pci, probe vfio-pci"},
      {"done", {"vfio-pci", "vfio-pci"}, "vfio-pci", ""},
      {"there by itself", {"vfio-pci", ""}, "vfio-pci", ""},
      {"unbound at rest",
       {"", ""},
       "uio_pci_generic",
       "load uio_pci_generic, override uio_pci_generic, probe uio_pci_generic"},
      {"from user space to user space",
       {"vfio-pci", ""},
       "igb_uio",
       "load igb_uio, check free, override igb_uio, unbind, probe igb_uio"},
      {"from UIO",
       {"igb_uio", "igb_uio"},
       "vfio-pci",
       "load vfio-pci, check free, override vfio-pci, unbind, probe vfio-pci"},
      {"a kernel driver by name",
       {"vfio-pci", ""},
       "igbvf",
       "load igbvf, check free, override igbvf, unbind, probe igbvf"},
  };
  for (const Way& way : ways) {
    EXPECT_EQ(text(steps_to_driver(way.now, way.wanted)), way.steps) << way.what;
  }
}

TEST(StepsToDefaultTest, EveryState) {
  const std::vector<Way> ways = {
      {"at rest", {"igbvf", ""}, "", ""},
      {"a leftover override", {"igbvf", "vfio-pci"}, "", "clear override"},
      {"user space at rest",
       {"vfio-pci", "vfio-pci"},
       "",
       "load claiming, check free, clear override, unbind, probe any"},
      {"user space by new_id",
       {"vfio-pci", ""},
       "",
       "load claiming, check free, unbind, probe any"},
      {"unbound", {"", ""}, "", "load claiming, probe any"},
      // wanted: what the kernel would choose, on a PF that lets it choose nothing.
      {"autoprobe off, unbound",
       {"", ""},
       "igbvf",
       "load igbvf, override igbvf, probe igbvf, clear override"},
      {"autoprobe off, user space",
       {"vfio-pci", "vfio-pci"},
       "igbvf",
       "load igbvf, check free, override igbvf, unbind, probe igbvf, clear override"},
      {"autoprobe off, bound", {"igbvf", ""}, "igbvf", ""},
  };
  for (const Way& way : ways) {
    EXPECT_EQ(text(steps_to_default(way.now, way.wanted)), way.steps) << way.what;
  }
}

TEST(StepsBackTest, EveryState) {
  struct Back {
    const char* what;
    DeviceState now;
    DeviceState before;
    const char* steps;
  };
  const std::vector<Back> ways = {
      {"prepared",
       {"vfio-pci", "vfio-pci"},
       {"igbvf", ""},
       "load igbvf, check free, override igbvf, unbind, probe igbvf, clear override"},
      {"killed after the override",
       {"vfio-pci", "igbvf"},
       {"igbvf", ""},
       "load igbvf, check free, unbind, probe igbvf, clear override"},
      {"killed after the unbind",
       {"", "igbvf"},
       {"igbvf", ""},
       "load igbvf, probe igbvf, clear override"},
      {"killed after the probe", {"igbvf", "igbvf"}, {"igbvf", ""}, "clear override"},
      {"done", {"igbvf", ""}, {"igbvf", ""}, ""},
      {"prepare never began", {"igbvf", "vfio-pci"}, {"igbvf", ""}, "clear override"},
      {"there was an override",
       {"vfio-pci", "vfio-pci"},
       {"igbvf", "igbvf"},
       "load igbvf, check free, override igbvf, unbind, probe igbvf"},
      {"it was unbound", {"vfio-pci", "vfio-pci"}, {"", ""}, "check free, unbind, clear override"},
      {"it was unbound, and is", {"", "vfio-pci"}, {"", ""}, "clear override"},
      {"user space at rest",
       {"igbvf", ""},
       {"vfio-pci", "vfio-pci"},
       "load vfio-pci, override vfio-pci, unbind, probe vfio-pci"},
  };
  for (const Back& way : ways) {
    EXPECT_EQ(text(steps_back(way.now, way.before)), way.steps) << way.what;
  }
}

TEST(DriverNamesTest, TellUserSpaceFromKernel) {
  for (const char* name : {"vfio-pci", "mlx5_vfio_pci", "nvgrace-gpu-vfio-pci"}) {
    EXPECT_TRUE(is_vfio(name)) << name;
  }
  for (const char* name : {"igb_uio", "uio_pci_generic"}) {
    EXPECT_TRUE(is_uio(name)) << name;
  }
  for (const char* name : {"igbvf", "iavf", "mlx5_core", "vfio-platform", "uiox", ""}) {
    EXPECT_FALSE(is_vfio(name) || is_uio(name)) << name;
  }
}

TEST(CheckAllowedTest, ListAndTheDriverAtRest) {
  const std::vector<std::string> allowed = {"default", "vfio-pci"};
  EXPECT_TRUE(check_allowed("vfio-pci", allowed, "igbvf").ok());
  EXPECT_TRUE(check_allowed("igbvf", allowed, "igbvf").ok());
  const auto refused = check_allowed("usbhid", allowed, "igbvf");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), sdk::Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message(),
            "VfConfig.driver \"usbhid\" is not allowed on this node; allowed: default, vfio-pci");
  EXPECT_THAT(refused.error().hint(), HasSubstr("allowedDrivers"));
  EXPECT_FALSE(check_allowed("", allowed, "igbvf").ok());
}

TEST(SnapshotTest, SurvivesTheJournal) {
  for (const Snapshot& snapshot :
       {Snapshot{{"igbvf", ""}, "26:4711"}, Snapshot{{"", "vfio-pci"}, ""}, Snapshot{}}) {
    const auto read = Snapshot::parse(snapshot.to_text());
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, snapshot);
  }
}

TEST(SnapshotTest, WhatIsNoneIsSaid) {
  for (const char* text :
       {"", "{}", "[]", "{\"driver\":1,\"override\":\"\"}", "{\"driver\":\"a\"}"}) {
    const auto read = Snapshot::parse(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code(), sdk::Code::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace drasriov::binding_vfio
