// SPDX-License-Identifier: Apache-2.0
//
// The class without the driver: a fake host, and a sysfs of files in a temporary folder.
#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/recorders.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "link_speed.hpp"

namespace {

namespace sdk = drasriov::sdk;
using sdk::testing::FakeHost;
using sdk::testing::RecordedScan;

class LinkSpeedTest : public ::testing::Test {
 protected:
  /// A device whose sysfs folder says `speed`; nothing = the file is not there.
  sdk::Device device(const std::string& speed) {
    const auto folder = host_.root(sdk::Root::kSys) / "devices/0000:08:00.2";
    std::filesystem::create_directories(folder);
    if (!speed.empty()) {
      std::ofstream(folder / "current_link_speed") << speed << '\n';
    }
    return sdk::Device("0000-08-00-2").fact(DRASRIOV_FACT_SYSFS_PATH, folder.string());
  }

  void enrich(const sdk::Device& device, const char* config = "{}") {
    auto module = acme::LinkSpeed::create(host_.host(), "test", *sdk::Config::parse(config));
    ASSERT_TRUE(module.ok());
    sdk::AbiDevice abi;
    sdk::DeviceSink sink = found_.sink();
    EXPECT_TRUE((*module)->enrich(host_.call(), sdk::DeviceView(abi.convert(device)), sink).ok());
  }

  FakeHost host_;
  RecordedScan found_;
};

TEST_F(LinkSpeedTest, AddsTheAttribute) {
  enrich(device("16.0 GT/s PCIe"));
  ASSERT_EQ(found_.devices.size(), 1U);
  EXPECT_TRUE(found_.devices[0] ==
              sdk::Device("0000-08-00-2").string("acme.example.com/linkSpeed", "16.0 GT/s PCIe"));
}

TEST_F(LinkSpeedTest, LeavesUnknownOut) {
  enrich(device("Unknown"));
  EXPECT_TRUE(found_.devices.empty());
  EXPECT_EQ(host_.logs().size(), 1U);
}

TEST_F(LinkSpeedTest, KeepsUnknownWhenAsked) {
  enrich(device("Unknown"), R"({"skipUnknown":false})");
  EXPECT_EQ(found_.devices.size(), 1U);
}

TEST_F(LinkSpeedTest, AMissingFileIsAProblemNotAnError) {
  enrich(device(""));
  ASSERT_EQ(found_.problems.size(), 1U);
  EXPECT_EQ(found_.problems[0].key, "0000-08-00-2");
}

}  // namespace
