// SPDX-License-Identifier: Apache-2.0
#include "plugins/netconf-cni/network.hpp"

#include <gmock/gmock.h>

#include "plugins/netconf-cni/settings.hpp"

namespace drasriov::netconf_cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(NetconfCniSettings, HaveTheDefaultsOfTheSchema) {
  const Json schema = Json::parse(kConfigSchema);
  const auto settings = Settings::read(*sdk::Config::parse("{}"));
  ASSERT_TRUE(settings.ok());
  const Json& properties = schema.at("properties");
  EXPECT_EQ(properties.at("pluginDirs").at("default"), Json(settings->plugin_dirs));
  EXPECT_EQ(properties.at("mountNamespace").at("default"), "host");
  EXPECT_EQ(settings->mount, sdk::Mount::kHost);
  EXPECT_EQ(properties.size(), 2U);  // none without a reader
}

TEST(CniNetwork, IsASinglePluginOrAList) {
  const auto single = Network::read(R"({"name":"n","type":"sriov","ipam":{"type":"static"}})");
  ASSERT_TRUE(single.ok()) << single.error().message();
  EXPECT_EQ(single->version, "1.0.0");
  EXPECT_THAT(single->executables(), ElementsAre("sriov", "static"));
  const auto list = Network::read(
      R"({"name":"n","cniVersion":"0.4.0","disableCheck":"TRUE","plugins":[{"type":"a"},{"type":"b"}]})");
  ASSERT_TRUE(list.ok()) << list.error().message();
  EXPECT_EQ(list->version, "0.4.0");
  EXPECT_TRUE(list->disable_check);
  EXPECT_THAT(list->executables(), ElementsAre("a", "b"));
  const auto without = Network::read(R"({"name":"n","type":"a","ipam":{"type":null}})");
  ASSERT_TRUE(without.ok());
  EXPECT_THAT(without->executables(), ElementsAre("a"));
}

TEST(CniNetwork, TakesTheNewestVersionThatItSpeaks) {
  const auto network = Network::read(
      R"({"name":"n","cniVersion":"0.4.0","cniVersions":["0.4.0","1.1.0","2.0.0"],"type":"a"})");
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_EQ(network->version, "1.1.0");
}

TEST(CniNetwork, IsRefusedWithItsMistake) {
  struct Row {
    std::string config;
    const char* message;
  };
  const Row rows[] = {
      {"", "spec.config is no JSON: error at byte 1"},
      {"{\"name\":\"n\",}", "spec.config is no JSON: error at byte 13"},
      {"[]", "spec.config is no JSON object but array"},
      {R"({"type":"a"})", "`name` \"\""},
      {R"({"name":"../x","type":"a"})", "`name` \"../x\""},
      {R"({"name":7,"type":"a"})", "`name` is no string"},
      {R"({"name":"n","type":"../a"})", "names no executable"},
      {R"({"name":"n","type":".."})", "names no executable"},
      {R"({"name":"n"})", "neither a `type` nor a list of `plugins`"},
      {R"({"name":"n","plugins":[]})", "neither a `type` nor a list of `plugins`"},
      {R"({"name":"n","plugins":[{"type":"a"},{}]})", "plugin 2"},
      {R"({"name":"n","plugins":["a"]})", "plugin 1 is no object"},
      {R"({"name":"n","type":"a","ipam":{"type":"/bin/sh"}})", "is a path"},
      {R"({"name":"n","type":"a","cniVersion":"0.2.0"})", "cniVersion \"0.2.0\""},
      {R"({"name":"n","type":"a","cniVersion":"9"})", "cniVersion \"9\""},
      {R"({"name":"n","type":"a","disableGC":"no"})", "`disableGC`"},
      {R"({"name":"n","type":"a","x":)" + std::string(100000, '['), "nested deeper"},
      {R"({"name":"n","type":")" + std::string(5 << 20, 'a') + "\"}", "at most 1048576 are read"},
      {R"({"name":"n","type":"a","x":1e999})", "out of range"},
  };
  for (const Row& row : rows) {
    const auto network = Network::read(row.config);
    ASSERT_FALSE(network.ok()) << row.message;
    EXPECT_EQ(network.error().code(), sdk::Code::kInvalidArgument);
    EXPECT_THAT(network.error().message(), HasSubstr(row.message));
    EXPECT_FALSE(network.error().hint().empty() && row.config.size() < 1000) << row.message;
  }
}

TEST(CniNetwork, GivesEachPluginWhatItReads) {
  const auto network = Network::read(
      R"({"name":"n","cniVersion":"1.0.0","plugins":[
          {"type":"sriov","vlan":7,"capabilities":{"mac":true,"ips":false,"deviceID":true}},
          {"type":"host-device","device":"eth9"}]})");
  ASSERT_TRUE(network.ok());
  Additions add;
  add.device_id = "0000:08:00.2";
  add.capability_args = {{"mac", "02:00:00:00:00:01"}, {"ips", {"10.0.0.1/24"}}, {"deviceID", "d"}};
  EXPECT_EQ(
      plugin_input(*network, 0, add).dump(),
      R"({"capabilities":{"deviceID":true,"ips":false,"mac":true},"cniVersion":"1.0.0",)"
      R"("deviceID":"0000:08:00.2","name":"n","pciBusID":"0000:08:00.2",)"
      R"("runtimeConfig":{"deviceID":"d","mac":"02:00:00:00:00:01"},"type":"sriov","vlan":7})");
  add.previous_result = {{"cniVersion", "1.0.0"}};
  EXPECT_EQ(plugin_input(*network, 1, add).dump(),
            R"({"cniVersion":"1.0.0","device":"eth9","deviceID":"0000:08:00.2","name":"n",)"
            R"("prevResult":{"cniVersion":"1.0.0"},"type":"host-device"})");
}

TEST(CniNetwork, ChecksNamesThatBecomePaths) {
  const auto network = Network::read(R"({"name":"n","type":"a"})");
  ASSERT_TRUE(network.ok());
  EXPECT_TRUE(check_names(*network, "abc-1", "net1").ok());
  for (const char* bad : {"", "../a", "-a", "a/b"})
    EXPECT_FALSE(check_names(*network, bad, "net1").ok()) << bad;
  for (const char* bad : {"", ".", "..", "a b", "a/b", "a:b", "net%d", "1234567890123456"})
    EXPECT_FALSE(check_names(*network, "abc", bad).ok()) << bad;
  EXPECT_FALSE(check_names(*network, std::string(230, 'a'), "net1").ok());
}

}  // namespace
}  // namespace drasriov::netconf_cni
