// SPDX-License-Identifier: Apache-2.0
#include "plugins/mount-vhost/mount_vhost.hpp"

#include <gmock/gmock.h>
#include <unistd.h>
#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/recorders.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace drasriov::mount_vhost {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

/// A kernel whose modules make their nodes, if it has them.
class NodeModules final : public kernel_modules::KernelModules {
 public:
  explicit NodeModules(fs::path dev) : dev_(std::move(dev)) {}

  [[nodiscard]] sdk::Status load(std::string_view name) override {
    loaded.emplace_back(name);
    if (!has_them) {
      return sdk::Error(sdk::Code::kNotFound, "this kernel has no module " + std::string(name));
    }
    const fs::path node = dev_ / (name == "tun" ? "net/tun" : "vhost-net");
    fs::create_directories(node.parent_path());
    std::ofstream(node) << "";
    return {};
  }
  [[nodiscard]] sdk::Result<std::vector<std::string>> claiming(std::string_view) override {
    return std::vector<std::string>();
  }

  bool has_them = true;
  std::vector<std::string> loaded;

 private:
  fs::path dev_;
};

class MountVhostTest : public ::testing::Test {
 protected:
  MountVhostTest()
      : modules_(std::make_shared<NodeModules>(dev())),
        request_(sdk::Device("0000-11-10-2")) {
    request_.config_json = R"({"addVhostMount":true})";
  }
  [[nodiscard]] fs::path dev() const { return host_.root(sdk::Root::kDev); }
  [[nodiscard]] fs::path sockets() const { return host_.root(sdk::Root::kData); }
  [[nodiscard]] Settings with_sockets() const {
    auto settings = *Settings::read(*sdk::Config::parse(R"({"socketMode":"0750"})"));
    settings.socket_dir = sockets();
    settings.socket_uid = ::getuid();
    settings.socket_gid = ::getgid();
    return settings;
  }
  [[nodiscard]] sdk::Status prepare(const Settings& settings,
                                    sdk::testing::RecordedPrepare& recorded) {
    MountVhost module(host_.host(), settings, modules_);
    auto sink = recorded.sink();
    return module.prepare(host_.call(), request_.view(), "", sink);
  }

  sdk::testing::FakeHost host_;
  std::shared_ptr<NodeModules> modules_;
  sdk::testing::TestBindingRequest request_;
};

Json node(const std::string& path, const fs::path& host) {
  return {{"path", path}, {"hostPath", host.native()}, {"type", "c"}};
}

TEST_F(MountVhostTest, NodesAndTheirModules) {
  sdk::testing::RecordedPrepare recorded;
  ASSERT_TRUE(prepare(Settings(), recorded).ok());
  ASSERT_EQ(recorded.edits.size(), 1U);
  EXPECT_EQ(Json::parse(recorded.edits.front()),
            (Json{{"deviceNodes",
                   {node("/dev/vhost-net", dev() / "vhost-net"),
                    node("/dev/net/tun", dev() / "net/tun")}}}));
  EXPECT_THAT(modules_->loaded, ElementsAre("vhost_net", "tun"));
}

TEST_F(MountVhostTest, WhatIsLoadedIsNotLoadedAgain) {
  for (const char* name : {"vhost_net", "tun"}) {
    ASSERT_TRUE(modules_->load(name).ok());
    fs::create_directories(host_.root(sdk::Root::kSys) / "module" / name);
  }
  modules_->loaded.clear();
  sdk::testing::RecordedPrepare recorded;
  ASSERT_TRUE(prepare(Settings(), recorded).ok());
  EXPECT_THAT(modules_->loaded, IsEmpty());
}

TEST_F(MountVhostTest, AKernelWithoutItIsAnErrorThatNamesNodeAndModule) {
  modules_->has_them = false;
  sdk::testing::RecordedPrepare recorded;
  const auto failed = prepare(with_sockets(), recorded);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_EQ(failed.error().message(), "addVhostMount: " + (dev() / "vhost-net").native() +
                                          " does not exist; this kernel has no module vhost_net");
  EXPECT_THAT(failed.error().hint(), HasSubstr("vhost_net"));
  EXPECT_THAT(recorded.edits, IsEmpty());
  EXPECT_TRUE(fs::is_empty(sockets()));
}

/// Built in without parameters: no directory in /sys/module, and nothing to load, but a node.
TEST_F(MountVhostTest, ANodeThatIsThereIsEnough) {
  for (const char* name : {"vhost_net", "tun"}) {
    ASSERT_TRUE(modules_->load(name).ok());
  }
  modules_->has_them = false;
  sdk::testing::RecordedPrepare recorded;
  EXPECT_TRUE(prepare(Settings(), recorded).ok());
}

TEST_F(MountVhostTest, ASocketDirectoryForTheClaimComesAndGoes) {
  sdk::testing::RecordedPrepare recorded;
  ASSERT_TRUE(prepare(with_sockets(), recorded).ok());
  const fs::path directory = sockets() / request_.claim_uid / "0000-11-10-2";
  const Json edits = Json::parse(recorded.edits.at(0));
  EXPECT_EQ(
      edits["env"],
      Json::array({"SRIOVNETWORK_0000_11_10_2_VHOST_SOCKET_DIR=/var/run/vhost-user/0000-11-10-2"}));
  EXPECT_EQ(edits["mounts"],
            Json::array({{{"hostPath", directory.native()},
                          {"containerPath", "/var/run/vhost-user/0000-11-10-2"},
                          {"options", {"bind", "rw", "nosuid", "nodev", "noexec"}}}}));
  EXPECT_EQ(fs::status(directory).permissions(), fs::perms(0750));

  MountVhost next_process(host_.host(), with_sockets(), modules_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(next_process.unprepare(host_.call(), request_.view(), "", "").ok());
    EXPECT_TRUE(fs::is_empty(sockets()));
  }
}

/// The configuration is another one when the claim is released: no directory is left behind.
TEST_F(MountVhostTest, ADirectoryGoesFromWhereItWasMade) {
  auto elsewhere = with_sockets();
  elsewhere.socket_dir = sockets() / "elsewhere";
  fs::create_directory(elsewhere.socket_dir);
  const std::array<Settings, 3> later = {Settings(), elsewhere, with_sockets()};
  for (const Settings& settings : later) {
    sdk::testing::RecordedPrepare recorded;
    const auto snapshot =
        MountVhost(host_.host(), with_sockets(), modules_).snapshot(host_.call(), request_.view());
    ASSERT_TRUE(snapshot.ok());
    ASSERT_TRUE(prepare(with_sockets(), recorded).ok());
    ASSERT_TRUE(fs::exists(sockets() / request_.claim_uid / "0000-11-10-2"));
    MountVhost next_process(host_.host(), settings, modules_);
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(next_process.unprepare(host_.call(), request_.view(), *snapshot, "").ok());
      EXPECT_FALSE(fs::exists(sockets() / request_.claim_uid));
    }
  }
  EXPECT_THAT(host_.logs(), IsEmpty());
}

TEST_F(MountVhostTest, ADirectoryThatTheDriverCannotSeeIsNamed) {
  MountVhost module(host_.host(), Settings(), modules_);
  const std::string snapshot = Json{{"socketDir", (sockets() / "not-mounted").native()}}.dump();
  EXPECT_TRUE(module.unprepare(host_.call(), request_.view(), snapshot, "").ok());
  ASSERT_EQ(host_.logs().size(), 1U);
  EXPECT_THAT(host_.logs().front().message,
              HasSubstr((sockets() / "not-mounted" / request_.claim_uid).native()));
}

TEST_F(MountVhostTest, ASnapshotThatIsNoneRemovesNothing) {
  sdk::testing::RecordedPrepare recorded;
  ASSERT_TRUE(prepare(with_sockets(), recorded).ok());
  MountVhost module(host_.host(), with_sockets(), modules_);
  for (const char* snapshot : {"{", "[]", R"({"socketDir":1})", R"({"socketDir":"a"})"}) {
    EXPECT_FALSE(module.unprepare(host_.call(), request_.view(), snapshot, "").ok()) << snapshot;
  }
  EXPECT_TRUE(fs::exists(sockets() / request_.claim_uid / "0000-11-10-2"));
}

TEST(SettingsTest, HaveTheDefaultsOfTheSchema) {
  const auto properties = Json::parse(kConfigSchema).at("properties");
  const auto settings = Settings::read(*sdk::Config::parse("{}"));
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->socket_dir.native(), properties.at("socketDir").at("default"));
  EXPECT_EQ(settings->socket_mount_path, properties.at("socketMountPath").at("default"));
  EXPECT_EQ(settings->socket_mode, 0770U);
  EXPECT_EQ(properties.at("socketMode").at("default"), "0770");
  EXPECT_EQ(settings->socket_uid, properties.at("socketUid").at("default"));
  EXPECT_EQ(settings->socket_gid, properties.at("socketGid").at("default"));
  EXPECT_EQ(settings->socket_selinux_label, properties.at("socketSelinuxLabel").at("default"));
  EXPECT_EQ(properties.size(), 6U);
}

TEST(SettingsTest, AModeThatIsNoneIsRefused) {
  for (const char* mode : {"", "rwx", "0888", "7777", "-1"}) {
    EXPECT_FALSE(Settings::read(*sdk::Config::parse(Json{{"socketMode", mode}}.dump())).ok())
        << mode;
  }
}

}  // namespace
}  // namespace drasriov::mount_vhost
