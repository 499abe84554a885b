// SPDX-License-Identifier: Apache-2.0
//
// The module behind its C table. Plugins are shell scripts that really run.
#include "plugins/netconf-cni/netconf_cni.hpp"

#include <gmock/gmock.h>

#include <drasriov/sdk/module.hpp>
#include <drasriov/sdk/testing/module_under_test.hpp>
#include <drasriov/sdk/testing/program.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace drasriov::netconf_cni {
namespace {

namespace fs = std::filesystem;
using sdk::testing::FakeCall;
using sdk::testing::FakeHost;
using sdk::testing::ModuleUnderTest;
using sdk::testing::TestNetconfRequest;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr sdk::ModuleInfo kInfo{.name = "netconf-cni",
                                .version = "1.0.0",
                                .vendor = "tests",
                                .license = "Apache-2.0",
                                .min_host_abi = "1.0"};
constexpr drasriov_module_table kTable = sdk::make_module_table<NetconfCni, kInfo>();

constexpr std::string_view kResult =
    R"({"cniVersion":"0.4.0","interfaces":[{"name":"net1","mac":"02:00:00:00:00:01","sandbox":"/n"}],)"
    R"("ips":[{"version":"4","address":"10.1.2.3/24","interface":0}]})";

class NetconfCniTest : public ::testing::Test {
 protected:
  NetconfCniTest() {
    host_.set_exec(sdk::testing::run_program);
    fs::create_directories(plugins());
    module_ = create();
    request_.device.emplace("0000-08-00-2", "vf").fact(DRASRIOV_FACT_PCI_ADDRESS, "0000:08:00.2");
    request_.pod = {"uid-1", "default", "web", "sandbox", {}, {}};
    request_.netns_path = "/proc/self/ns/net";
    request_.config_json =
        R"({"name":"n","cniVersion":"0.4.0","plugins":[{"type":"first"},{"type":"second"}]})";
  }

  std::unique_ptr<ModuleUnderTest> create() {
    auto module = ModuleUnderTest::create(
        kTable, host_, "test",
        R"({"mountNamespace":"container","pluginDirs":[")" + plugins().string() + "\"]}");
    EXPECT_TRUE(module.ok()) << module.error().message();
    return *std::move(module);
  }

  [[nodiscard]] fs::path plugins() const { return host_.root(sdk::Root::kData) / "bin"; }

  /// A plugin that notes how it was called, and then does as `script` says.
  void plugin(const std::string& name, const std::string& script) {
    const fs::path path = plugins() / name;
    std::ofstream(path) << "#!/bin/sh\ncat > " << plugins().string() << "/input." << name
                        << "\necho $CNI_COMMAND " << name << " >> " << plugins().string()
                        << "/calls\nenv | grep ^CNI_ | sort > " << plugins().string() << "/env\n"
                        << script << "\n";
    fs::permissions(path, fs::perms::owner_all);
  }
  std::string text(const std::string& name) const {
    std::ifstream file(plugins() / name);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
  }
  std::string calls() {
    std::string all = text("calls");
    fs::remove(plugins() / "calls");
    return all;
  }
  Json input(const std::string& name) const { return Json::parse(text("input." + name)); }
  void good_plugins() {
    for (const char* name : {"first", "second"})
      plugin(name, "echo '" + std::string(kResult) + "'");
  }
  std::size_t kept() const {
    const fs::path folder = host_.root(sdk::Root::kData) / "results";
    return fs::exists(folder) ? static_cast<std::size_t>(std::distance(
                                    fs::directory_iterator(folder), fs::directory_iterator()))
                              : 0;
  }

  FakeHost host_;
  std::unique_ptr<ModuleUnderTest> module_;
  TestNetconfRequest request_;
};

TEST_F(NetconfCniTest, ChainsPluginsAndTakesThemBackInReverse) {
  good_plugins();
  const auto result = module_->add(request_);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(Json::parse(*result).at("cniVersion"), "1.0.0");
  EXPECT_EQ(Json::parse(*result).at("ips").at(0).at("address"), "10.1.2.3/24");
  EXPECT_EQ(calls(), "ADD first\nADD second\n");
  EXPECT_FALSE(input("first").contains("prevResult"));
  EXPECT_EQ(input("second").at("prevResult"), Json::parse(kResult));
  EXPECT_EQ(input("second").at("deviceID"), "0000:08:00.2");
  EXPECT_EQ(text("env"),
            "CNI_ARGS=IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;"
            "K8S_POD_INFRA_CONTAINER_ID=sandbox;K8S_POD_UID=uid-1\nCNI_COMMAND=ADD\n"
            "CNI_CONTAINERID=sandbox\nCNI_IFNAME=net1\nCNI_NETNS=/proc/self/ns/net\nCNI_PATH=" +
                plugins().string() + "\n");
  EXPECT_EQ(kept(), 1U);

  request_.result_json = *result;
  ASSERT_TRUE(module_->check(request_).ok());
  EXPECT_EQ(calls(), "CHECK first\nCHECK second\n");
  ASSERT_TRUE(module_->del(request_).ok());
  EXPECT_EQ(calls(), "DEL second\nDEL first\n");
  EXPECT_EQ(input("first").at("prevResult"), Json::parse(kResult));
  EXPECT_EQ(kept(), 0U);
}

TEST_F(NetconfCniTest, ADelKnowsTheResultThatTheHostWasKilledBeforeItKnew) {
  good_plugins();
  ASSERT_TRUE(module_->add(request_).ok());
  module_.reset();
  module_ = create();
  request_.netns_path.clear();
  ASSERT_TRUE(module_->del(request_).ok());
  EXPECT_EQ(input("first").at("prevResult"), Json::parse(kResult));
  EXPECT_THAT(text("env"), HasSubstr("CNI_NETNS=\n"));
  EXPECT_EQ(kept(), 0U);
  EXPECT_TRUE(module_->del(request_).ok()) << "it may come twice";
}

TEST_F(NetconfCniTest, ADelGoesOnWhenTheResultIsUnreadable) {
  good_plugins();
  request_.result_json = "garbage";
  EXPECT_TRUE(module_->del(request_).ok());
  EXPECT_FALSE(input("first").contains("prevResult"));
  plugin("first", R"(echo '{"code":3,"msg":"unknown container"}'; exit 1)");
  EXPECT_TRUE(module_->del(request_).ok());
  EXPECT_FALSE(module_->add(request_).ok());
}

TEST_F(NetconfCniTest, ArgumentsReachThePluginsThatDeclareThem) {
  good_plugins();
  request_.config_json =
      R"({"name":"n","type":"first","capabilities":{"mac":true,"ips":true,"deviceID":true}})";
  request_.args = {{"MAC", "02:00:00:00:00:09"}, {"IP", "10.0.0.1/24,fd00::1/64"}};
  ASSERT_TRUE(module_->add(request_).ok());
  EXPECT_EQ(
      input("first").at("runtimeConfig").dump(),
      R"({"deviceID":"0000:08:00.2","ips":["10.0.0.1/24","fd00::1/64"],"mac":"02:00:00:00:00:09"})");
  request_.args = {{"A", "1;CNI=2"}};
  EXPECT_THAT(module_->add(request_).error().message(), HasSubstr("CNI_ARGS"));
}

TEST_F(NetconfCniTest, FailuresNamePluginNetworkAndSandbox) {
  struct Row {
    const char* script;
    const char* message;
    const char* hint;
  };
  const Row rows[] = {
      {R"(echo '{"code":7,"msg":"bad vlan"}'; exit 1)", "CNI error 7: bad vlan", "spec.config"},
      {R"(echo '{"code":11,"msg":"busy"}'; exit 1)", "CNI error 11: busy", "later"},
      {"echo oops >&2; exit 3", "exit status 3 without a CNI error: \"oops\"", ""},
      {"kill -SEGV $$", "signal 11", "crashed"},
      {"echo garbage", "no JSON", "violates"},
      {"head -c 10000000 /dev/zero", "more than 4194304 bytes", "standard output"},
  };
  plugin("first", "echo '" + std::string(kResult) + "'");
  for (const Row& row : rows) {
    plugin("second", row.script);
    const auto result = module_->add(request_);
    ASSERT_FALSE(result.ok()) << row.script;
    EXPECT_THAT(result.error().message(),
                AllOf(HasSubstr("network n: CNI plugin second: ADD: "), HasSubstr(row.message)));
    EXPECT_THAT(result.error().hint(), HasSubstr(row.hint));
    EXPECT_EQ(kept(), 0U);
  }
}

TEST_F(NetconfCniTest, APluginThatHangsIsKilledAtTheDeadline) {
  plugin("first", "exec sleep 1000");
  FakeCall call;
  call.deadline = sdk::Call::Clock::now() + std::chrono::milliseconds(400);
  const auto result = module_->add(request_, call);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), sdk::Code::kDeadlineExceeded);
  EXPECT_THAT(result.error().message(), HasSubstr("CNI plugin first: ADD: "));
  EXPECT_THAT(result.error().message(), ::testing::Not(HasSubstr("sandbox")))
      << "it is new with each try";
  EXPECT_THAT(result.error().hint(), HasSubstr("hung"));
}

TEST_F(NetconfCniTest, WhatAPluginComplainsOfIsLogged) {
  plugin("first", "echo '" + std::string(kResult) + "'; echo 'mtu is odd' >&2");
  request_.config_json = R"({"name":"n","type":"first"})";
  ASSERT_TRUE(module_->add(request_).ok());
  ASSERT_EQ(host_.logs().size(), 1U);
  EXPECT_THAT(host_.logs().front().message,
              AllOf(HasSubstr("plugin first"), HasSubstr("mtu is odd")));
}

TEST_F(NetconfCniTest, ValidateFindsWhatIsMissingAndRunsNothing) {
  good_plugins();
  TestNetconfRequest request;
  request.config_json = request_.config_json;
  EXPECT_TRUE(module_->validate(request).ok());
  request.config_json = R"({"name":"n","type":"first","ipam":{"type":"whereabouts"}})";
  const auto missing = module_->validate(request);
  EXPECT_EQ(missing.error().code(), sdk::Code::kNotFound);
  EXPECT_THAT(missing.error().message(),
              HasSubstr("network n: CNI plugin whereabouts is in none of"));
  EXPECT_THAT(missing.error().hint(), HasSubstr("pluginDirs"));
  fs::permissions(plugins() / "second", fs::perms::owner_read);
  request.config_json = R"({"name":"n","type":"second"})";
  EXPECT_EQ(module_->validate(request).error().code(), sdk::Code::kPermissionDenied);
  EXPECT_THAT(host_.executed(), IsEmpty());
}

TEST_F(NetconfCniTest, StatusAsksPluginsOfCni11Only) {
  good_plugins();
  TestNetconfRequest request;
  request.config_json = R"({"name":"n","cniVersion":"1.0.0","type":"first"})";
  EXPECT_TRUE(module_->status(request).ok());
  EXPECT_EQ(calls(), "");
  plugin("first", R"(echo '{"code":50,"msg":"no daemon"}'; exit 1)");
  request.config_json = R"({"name":"n","cniVersion":"1.1.0","type":"first"})";
  const auto status = module_->status(request);
  EXPECT_EQ(status.error().code(), sdk::Code::kUnavailable);
  EXPECT_EQ(calls(), "STATUS first\n");
}

TEST_F(NetconfCniTest, GcTakesBackWhatIsNotAlive) {
  good_plugins();
  request_.config_json = R"({"name":"n","cniVersion":"1.1.0","type":"first"})";
  for (const char* id : {"one", "two"}) {
    request_.container_id = id;
    ASSERT_TRUE(module_->add(request_).ok());
  }
  calls();
  const std::vector<drasriov_attachment> alive = {{sdk::to_abi("two"), sdk::to_abi("net1")}};
  const auto ok = module_->gc(request_.config_json, alive);
  ASSERT_TRUE(ok.ok()) << ok.error().message();
  EXPECT_EQ(calls(), "DEL first\nGC first\n");
  EXPECT_EQ(input("first").at("cni.dev/valid-attachments").dump(),
            R"([{"containerID":"two","ifname":"net1"}])");
  EXPECT_EQ(kept(), 1U);
}

TEST_F(NetconfCniTest, GcDoesNotEnterAnotherNamespaceWithTheSamePath) {
  good_plugins();
  const fs::path path = plugins() / "netns";
  std::ofstream(path) << "one";
  request_.config_json = R"({"name":"n","cniVersion":"1.1.0","disableGC":false,"type":"first"})";
  request_.netns_path = path;
  ASSERT_TRUE(module_->add(request_).ok());
  plugin("first",
         "test $CNI_COMMAND = GC || echo \"at '$CNI_NETNS'\" >> " + (plugins() / "where").string());
  ASSERT_TRUE(module_->gc(request_.config_json, {}).ok());
  EXPECT_EQ(text("where"), "at '" + path.native() + "'\n");

  good_plugins();
  ASSERT_TRUE(module_->add(request_).ok());
  std::ofstream(plugins() / "other") << "two";
  fs::rename(plugins() / "other", path);
  plugin("first",
         "test $CNI_COMMAND = GC || echo \"at '$CNI_NETNS'\" > " + (plugins() / "where").string());
  ASSERT_TRUE(module_->gc(request_.config_json, {}).ok());
  EXPECT_EQ(text("where"), "at ''\n");
}

TEST_F(NetconfCniTest, TheNodesLinksLeadToTheNodesNamespaces) {
  // As on Debian: /var/run is an absolute link, which would end in the driver's own root.
  const fs::path node = host_.root(sdk::Root::kProc) / "1/root";
  const fs::path run = "/run-of-the-node-only";
  fs::create_directories(node / run.relative_path() / "netns");
  fs::create_directories(node / "var");
  fs::create_directory_symlink(run, node / "var/run");
  std::ofstream(node / run.relative_path() / "netns/x") << "one";
  good_plugins();
  fs::create_directories(node / plugins().relative_path());
  fs::copy(plugins(), node / plugins().relative_path(), fs::copy_options::recursive);
  auto module = ModuleUnderTest::create(kTable, host_, "test",
                                        R"({"pluginDirs":[")" + plugins().string() + "\"]}");
  ASSERT_TRUE(module.ok()) << module.error().message();
  request_.config_json = R"({"name":"n","cniVersion":"1.1.0","type":"first"})";
  request_.netns_path = "/var/run/netns/x";
  ASSERT_TRUE((*module)->add(request_).ok());
  plugin("first",
         "test $CNI_COMMAND = GC || echo \"at '$CNI_NETNS'\" > " + (plugins() / "where").string());
  ASSERT_TRUE((*module)->gc(request_.config_json, {}).ok());
  EXPECT_EQ(text("where"), "at '/var/run/netns/x'\n");
}

TEST(NetconfCniSettings, AnEmptyListOfDirectoriesIsRefused) {
  FakeHost host;
  const auto module = ModuleUnderTest::create(kTable, host, "test", R"({"pluginDirs":[]})");
  ASSERT_FALSE(module.ok());
  EXPECT_THAT(module.error().message(), HasSubstr("config.pluginDirs: names no directory"));
}

}  // namespace
}  // namespace drasriov::netconf_cni
