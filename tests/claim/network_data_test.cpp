// SPDX-License-Identifier: Apache-2.0
#include "host/claim/network_data.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace drasriov::claim {
namespace {

NetworkData data_of(std::string_view result) {
  auto data = network_data(result, "net1");
  EXPECT_TRUE(data) << data.error().to_string();
  return data ? *data : NetworkData();
}

// The result of the bridge plugin, as the CNI specification 1.0.0 shows it (section "Success").
TEST(NetworkData, TakesTheInterfaceOfTheSandboxAndItsAddresses) {
  const NetworkData data = data_of(R"({"cniVersion":"1.0.0",
    "interfaces":[{"name":"cni0","mac":"00:11:22:33:44:55"},
                  {"name":"veth3243","mac":"55:44:33:22:11:11"},
                  {"name":"net1","mac":"99:88:77:66:55:44","sandbox":"/var/run/netns/blue"}],
    "ips":[{"address":"10.1.0.5/16","gateway":"10.1.0.1","interface":2},
           {"address":"10.9.0.1/16","interface":0}],
    "routes":[{"dst":"0.0.0.0/0"}],"dns":{}})");
  EXPECT_EQ(data, (NetworkData{"net1", {"10.1.0.5/16"}, "99:88:77:66:55:44"}));
}

TEST(NetworkData, PrefersTheNameAmongSeveralInTheSandbox) {
  const NetworkData data = data_of(R"({"interfaces":[{"name":"eth0","mac":"a","sandbox":"x"},
    {"name":"net1","mac":"b","sandbox":"x"}],"ips":[{"address":"fd00::1/64","interface":1},
    {"address":"10.0.0.1/8","interface":0}]})");
  EXPECT_EQ(data, (NetworkData{"net1", {"fd00::1/64"}, "b"}));
}

TEST(NetworkData, WhatIsMissingIsEmpty) {
  EXPECT_EQ(data_of("{}"), (NetworkData{"net1", {}, ""}));
  EXPECT_EQ(data_of(R"({"ips":[{"address":"10.0.0.1/8"}]})"),
            (NetworkData{"net1", {"10.0.0.1/8"}, ""}))
      << "an address of no interface is the sandbox's";
}

TEST(NetworkData, HostileResultsGiveNothingThatTheApiServerRefuses) {
  std::string many = R"({"ips":[)";
  for (int i = 0; i < 40; ++i)
    many += R"({"address":"10.0.0.)" + std::to_string(i % 20) + R"(/32"},)";
  many += R"({"address":7},null,{}],"interfaces":[null,7,{"sandbox":"x","name":")" +
          std::string(300, 'n') + R"(","mac":")" + std::string(200, 'm') + R"("}]})";
  const NetworkData data = data_of(many);
  EXPECT_EQ(data.ips.size(), 16U);
  EXPECT_EQ(data.interface_name, "net1");
  EXPECT_EQ(data.hardware_address, "");
  for (const char* text : {"", "[]", "7", "{", "null"})
    EXPECT_FALSE(network_data(text, "net1")) << text;
  EXPECT_EQ(data_of(R"({"interfaces":7,"ips":{}})"), (NetworkData{"net1", {}, ""}));
}

}  // namespace
}  // namespace drasriov::claim
