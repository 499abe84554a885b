// SPDX-License-Identifier: Apache-2.0
#include "host/app/device_report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/app/claim_report.hpp"
#include "host/app/redact.hpp"
#include "tests/app/fake_discovery.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

device::Device vf_at(const std::string& name, const std::string& address) {
  device::Device device = vf(name);
  device.facts = {{"pciAddress", address}, {"driver", "igbvf"}};
  return device;
}

claim::JournalEntry record(const std::string& uid, const device::Device& device,
                           claim::RecordState state) {
  claim::Record record;
  record.state = state;
  record.claim = {"ns", "claim-" + uid, uid};
  record.boot_id = "boot";
  record.consumers = {{"pods", "pod-" + uid, "pod-uid"}};
  claim::DeviceRecord held;
  held.plan.allocated.device = device.name;
  held.plan.published = device;
  held.plan.chain = {{"vfio", "{}"}};
  held.steps.resize(1);
  held.steps[0].facts = {{"driver", "vfio-pci"}};
  held.plan.netconf_json = R"({"ipam":"do-not-show"})";
  held.steps[0].state = "do-not-show";
  record.devices.push_back(held);
  claim::JournalEntry entry;
  entry.uid = uid;
  entry.record = std::make_shared<const claim::Record>(record);
  return entry;
}

/// A filter for one PCI address.
policy::ResourceFilter filter(const std::string& name, const std::string& address) {
  policy::DeviceFilter wanted;
  wanted.lists[static_cast<std::size_t>(policy::Criterion::kPciAddresses)] = {address};
  policy::ResourceFilter object;
  object.namespace_ = "ns";
  object.name = name;
  object.configs = {{"example.com/" + name, {wanted}}};
  return object;
}

class DeviceReport : public testing::Test {
 protected:
  DeviceReport() { config_.driver_name = "sriov.example.com"; }

  /// By name.
  [[nodiscard]] std::map<std::string, json> report() const {
    NodeView view = view_;
    view.inventory = std::make_shared<const device::Inventory>(1, devices_, problems_);
    view.held = std::make_shared<const claim::HeldDevices>(claim::held_devices(entries_, "boot"));
    std::map<std::string, json> by_name;
    for (const json& device : device_report({view, unknown_, entries_, config_}))
      by_name.emplace(device["device"], device);
    return by_name;
  }

  config::Configuration config_;
  NodeView view_;
  std::vector<device::Device> devices_ = {vf_at("a", "0000:08:00.2"), vf_at("b", "0000:08:00.4")};
  std::vector<device::Problem> problems_;
  std::vector<claim::JournalEntry> entries_;
  std::string unknown_;
};

TEST_F(DeviceReport, TellsWhichFilterDecidedAndWhichFailed) {
  config_.advertise = config::Advertise::kFiltered;
  view_.filters.applied = {filter("x", "0000:08:00.2"), filter("y", "0000:08:00.2")};
  const auto all = report();
  EXPECT_EQ(all.at("a")["published"], true);
  EXPECT_EQ(all.at("a")["resourceName"], "example.com/x");
  EXPECT_EQ(all.at("a")["namedBy"]["object"], "ns/x");
  EXPECT_EQ(all.at("a")["namedBy"]["filter"], 0);
  ASSERT_EQ(all.at("a")["conflicts"].size(), 1U);
  EXPECT_EQ(all.at("a")["conflicts"][0]["loser"], "ns/y");
  EXPECT_EQ(all.at("b")["published"], false);
  EXPECT_EQ(all.at("b")["namedBy"], nullptr);
  EXPECT_EQ(all.at("b")["attempts"][0]["reason"],
            "pciAddresses: the device has \"0000:08:00.4\", the filter wants \"0000:08:00.2\"");
}

TEST_F(DeviceReport, UnknownFiltersAreNoDecision) {
  unknown_ = "no cluster";
  const auto all = report();
  EXPECT_EQ(all.at("a")["published"], nullptr);
  EXPECT_EQ(all.at("a")["reason"], "the filters are not known: no cluster");
}

TEST_F(DeviceReport, AHeldDeviceIsPublishedAsItWasAndShownAsItIs) {
  entries_ = {record("1", vf_at("a", "0000:08:00.2"), claim::RecordState::kPrepared)};
  devices_[0].facts["driver"] = "vfio-pci";
  const auto all = report();
  EXPECT_EQ(all.at("a")["published"], true);
  EXPECT_EQ(all.at("a")["driver"], "vfio-pci");
  EXPECT_EQ(all.at("a")["heldBy"]["name"], "claim-1");
  EXPECT_EQ(all.at("a")["heldBy"]["state"], "Prepared");
  EXPECT_EQ(all.at("a")["heldBy"]["pods"], json::parse(R"([{"name":"pod-1","uid":"pod-uid"}])"));
  EXPECT_EQ(all.at("b")["heldBy"], nullptr);
}

TEST_F(DeviceReport, WhatIsWithheldOrGoneOrUnreadableIsThereWithItsReason) {
  entries_ = {record("1", vf_at("a", "0000:08:00.2"), claim::RecordState::kUndoing),
              record("2", vf_at("gone", "0000:08:00.6"), claim::RecordState::kPrepared)};
  problems_ = {{"0000:09:00.0", "vanished"}, {"0000:08:00.4", "odd"}};
  const auto all = report();
  EXPECT_EQ(all.at("a")["published"], false);
  EXPECT_NE(all.at("a")["reason"].get<std::string>().find("claim ns/claim-1 could not be undone"),
            std::string::npos);
  EXPECT_EQ(all.at("gone")["present"], false);
  EXPECT_EQ(all.at("gone")["health"]["healthy"], false);
  EXPECT_EQ(all.at("0000:09:00.0")["published"], false);
  EXPECT_EQ(all.at("0000:09:00.0")["reason"], "discovery could not read it: vanished");
  EXPECT_EQ(all.at("b")["problems"], json::array({"odd"})) << "a problem of a device that is there";
  EXPECT_EQ(all.size(), 4U);
}

TEST_F(DeviceReport, ADeviceThatASliceCannotHoldSaysWhy) {
  devices_[0].attributes["long"] = std::string(65, 'x');
  const auto all = report();
  EXPECT_EQ(all.at("a")["published"], false);
  EXPECT_NE(all.at("a")["reason"].get<std::string>().find("long"), std::string::npos);
}

TEST_F(DeviceReport, ClaimsShowDriversBeforeAndNowAndNoSecrets) {
  entries_ = {record("1", vf_at("a", "0000:08:00.2"), claim::RecordState::kPrepared)};
  devices_[0].facts["driver"] = "vfio-pci";
  const device::Inventory inventory(1, devices_, {});
  const auto now = std::chrono::system_clock::from_time_t(1'000'000);
  entries_[0].written = now - std::chrono::seconds(90);
  const json claims = claim_report({entries_, "other boot", &inventory, now});
  const json& device = claims.at(0).at("devices").at(0);
  EXPECT_EQ(device["driverBefore"], "igbvf");
  EXPECT_EQ(device["driverPrepared"], "vfio-pci");
  EXPECT_EQ(device["driverNow"], "vfio-pci");
  EXPECT_EQ(claims[0]["ageSeconds"], 90);
  EXPECT_EQ(claims[0]["earlierBoot"], true);
  EXPECT_EQ(claims.dump().find("do-not-show"), std::string::npos);
  EXPECT_EQ(claim_report({entries_, "", nullptr, now})[0]["earlierBoot"], nullptr);
}

TEST(Redact, ReplacesWhatSoundsSecretAtAnyDepth) {
  json value = json::parse(
      R"({"a":[{"API_KEY":"x","bearerToken":{"y":1},"name":"n"}],"Password":null,"tokens":["t"],"port":1})");
  redact(value);
  EXPECT_EQ(value["a"],
            json::array({{{"API_KEY", kRedacted}, {"bearerToken", kRedacted}, {"name", "n"}}}));
  EXPECT_EQ(value["Password"], kRedacted);
  EXPECT_EQ(value["tokens"], kRedacted);
  EXPECT_EQ(value["port"], 1);
}

TEST(Redact, TheConfigurationKeepsItsKeysAndTypes) {
  config::Configuration configuration;
  configuration.node_name = "n";
  configuration.modules.resize(1);
  configuration.modules[0].name = "m";
  configuration.modules[0].config_json = R"({"clientSecret":"x","level":2})";
  const json shown = redacted_configuration(configuration);
  EXPECT_EQ(shown["nodeName"], "n");
  EXPECT_EQ(shown["healthcheckPort"], -1);
  EXPECT_EQ(shown["insecureDev"], false);
  EXPECT_EQ(shown["roots"]["sys"], "/sys");
  EXPECT_EQ(shown["modules"][0]["config"]["clientSecret"], kRedacted);
  EXPECT_EQ(shown["modules"][0]["config"]["level"], 2);
}

}  // namespace
}  // namespace drasriov::app
