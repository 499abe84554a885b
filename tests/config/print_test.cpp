// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "host/config/load.hpp"

namespace drasriov::config {
namespace {

TEST(Print, WhatIsPrintedGivesTheSameConfiguration) {
  Configuration configuration;
  configuration.node_name = "123";
  configuration.cluster_directory = "/srv/${x} \"y\"";
  configuration.kube_api_qps = 0.1;
  configuration.net_attach_def_namespaces = {"*", "true"};
  configuration.modules = default_modules();
  ModuleEntry entry;
  entry.name = "acme";
  entry.module = "/opt/a b.so";
  entry.enabled = false;
  entry.capabilities = {"binding/1"};
  entry.failure_policy = FailurePolicy::kIgnore;
  entry.sha256 = std::string(64, 'a');
  entry.config_json =
      R"({"empty":{},"list":[],"n":1.5,"text":"1","tricky":"${A} # no\ncomment","yes":[true,null]})";
  configuration.modules.push_back(entry);

  const std::string text = to_yaml(configuration);
  Configuration again;
  const auto applied = apply_file(again, text, "printed", {});
  ASSERT_TRUE(applied) << applied.error().to_string() << "\n" << text;
  EXPECT_EQ(again.cluster_directory, configuration.cluster_directory);
  EXPECT_EQ(again.node_name, "123");
  EXPECT_EQ(again.net_attach_def_namespaces, configuration.net_attach_def_namespaces);
  ASSERT_EQ(again.modules.size(), configuration.modules.size());
  const ModuleEntry& acme = again.modules.back();
  EXPECT_EQ(acme.config_json, entry.config_json);
  EXPECT_EQ(acme.sha256, entry.sha256);
  EXPECT_EQ(acme.failure_policy, FailurePolicy::kIgnore);
  EXPECT_FALSE(acme.enabled);
  EXPECT_EQ(to_yaml(again), text);
}

TEST(Print, DefaultsAreReadable) {
  Configuration configuration;
  configuration.modules = default_modules();
  const std::string text = to_yaml(configuration);
  EXPECT_EQ(text.find("nodeName"), std::string::npos) << "it has no default";
  EXPECT_NE(text.find("driverName: \"sriovnetwork.openshift.io\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("healthcheckPort: -1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("metricsPort: -1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("    capabilities: [discovery/1]\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace drasriov::config
