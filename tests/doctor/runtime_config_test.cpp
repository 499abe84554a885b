// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/runtime_config.hpp"

#include <gtest/gtest.h>

#include "tests/doctor/machine_tree.hpp"

namespace drasriov::doctor {
namespace {

constexpr const char* kMain = "/etc/containerd/config.toml";

class RuntimeConfig : public testing::Test {
 protected:
  Runtime containerd(const char* main = kMain) {
    Runtime runtime;
    const auto host = HostFiles::open(tree_.path("proc/1/root"));
    EXPECT_TRUE(host);
    read_containerd_config(*host, main, runtime);
    return runtime;
  }
  Runtime crio() {
    Runtime runtime;
    const auto host = HostFiles::open(tree_.path("proc/1/root"));
    EXPECT_TRUE(host);
    read_crio_config(*host, "/etc/crio/crio.conf", runtime);
    return runtime;
  }
  MachineTree tree_;
};

TEST_F(RuntimeConfig, VersionTwoOfContainerd) {
  tree_.put_host(kMain, R"(version = 2
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "/run/nri.sock"
  plugin_request_timeout = "1m30s"
[plugins."io.containerd.grpc.v1.cri"]
  enable_cdi = true
  cdi_spec_dirs = ["/etc/cdi", "/run/cdi"]
)");
  const Runtime runtime = containerd();
  EXPECT_EQ(runtime.nri_enabled, true);
  EXPECT_EQ(runtime.nri_socket, "/run/nri.sock");
  EXPECT_EQ(runtime.nri_request_timeout_ms, 90'000);
  EXPECT_EQ(runtime.cdi_enabled, true);
  EXPECT_EQ(runtime.cdi_directories, (std::vector<std::string>{"/etc/cdi", "/run/cdi"}));
  ASSERT_EQ(runtime.files.size(), 1U);
  EXPECT_EQ(runtime.files[0].error, "");
}

TEST_F(RuntimeConfig, VersionThreeOfContainerd) {
  tree_.put_host(kMain, R"(version = 3
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.cri.v1.runtime']
  enable_cdi = false
  cdi_spec_dirs = ['/run/cdi']
)");
  const Runtime runtime = containerd();
  EXPECT_EQ(runtime.nri_enabled, false);
  EXPECT_EQ(runtime.cdi_enabled, false);
  EXPECT_EQ(runtime.cdi_directories, (std::vector<std::string>{"/run/cdi"}));
}

TEST_F(RuntimeConfig, ImportsWinAndMayBePatternsAndCircles) {
  tree_.put_host(kMain, R"(imports = ["conf.d/*.toml", "/etc/containerd/config.toml"]
[plugins."io.containerd.nri.v1.nri"]
  disable = true
  plugin_request_timeout = "2s"
)");
  tree_.put_host("/etc/containerd/conf.d/nri.toml",
                 "[plugins.\"io.containerd.nri.v1.nri\"]\n  disable = false\n");
  tree_.put_host("/etc/containerd/conf.d/ignored.conf", "not toml at all");
  const Runtime runtime = containerd();
  EXPECT_EQ(runtime.nri_enabled, true);
  EXPECT_EQ(runtime.nri_request_timeout_ms, 2'000);
  EXPECT_EQ(runtime.files.size(), 2U);
}

TEST_F(RuntimeConfig, ConnectionsOrPluginSwitchedOffMeanOff) {
  tree_.put_host(kMain, "[plugins.\"io.containerd.nri.v1.nri\"]\ndisable_connections = true\n");
  EXPECT_EQ(containerd().nri_enabled, false);
  tree_.put_host(kMain, "disabled_plugins = [\"io.containerd.nri.v1.nri\"]\n");
  EXPECT_EQ(containerd().nri_enabled, false);
}

TEST_F(RuntimeConfig, WithoutAFileTheDefaultsCount) {
  const Runtime runtime = containerd();
  EXPECT_TRUE(runtime.files.empty());
  EXPECT_FALSE(runtime.nri_enabled);
  EXPECT_FALSE(runtime.cdi_directories);
}

TEST_F(RuntimeConfig, AMistakeNamesItsLine) {
  tree_.put_host(kMain, "version = 2\n[plugins\n");
  const Runtime runtime = containerd();
  ASSERT_EQ(runtime.files.size(), 1U);
  EXPECT_EQ(runtime.files[0].error.find("line 2: "), 0U) << runtime.files[0].error;
}

TEST_F(RuntimeConfig, CrioAndItsFolder) {
  tree_.put_host("/etc/crio/crio.conf", "[crio.nri]\nenable_nri = false\n");
  tree_.put_host("/etc/crio/crio.conf.d/10-a",
                 "[crio.nri]\nenable_nri = true\nnri_listen = \"/run/x.sock\"\n"
                 "nri_plugin_request_timeout = \"500ms\"\n");
  tree_.put_host("/etc/crio/crio.conf.d/20-b", "[crio.runtime]\ncdi_spec_dirs = [\"/opt/cdi\"]\n");
  const Runtime runtime = crio();
  EXPECT_EQ(runtime.nri_enabled, true);
  EXPECT_EQ(runtime.nri_socket, "/run/x.sock");
  EXPECT_EQ(runtime.nri_request_timeout_ms, 500);
  EXPECT_EQ(runtime.cdi_directories, (std::vector<std::string>{"/opt/cdi"}));
  EXPECT_EQ(runtime.files.size(), 3U);
}

TEST_F(RuntimeConfig, LinksAreResolvedOnTheHost) {
  // An absolute link that leads nowhere in the container.
  tree_.put_host("/host-only/config.toml",
                 "[plugins.\"io.containerd.nri.v1.nri\"]\ndisable=true\n");
  tree_.link("proc/1/root/etc/containerd", "/host-only");
  EXPECT_EQ(containerd().nri_enabled, false);
  tree_.link("proc/1/root/escape", "../../../../../../../../../../etc");
  const auto host = HostFiles::open(tree_.path("proc/1/root"));
  ASSERT_TRUE(host);
  EXPECT_FALSE(host->exists("/escape/passwd")) << "a link left the host's root";
}

TEST(GoDuration, IsInMilliseconds) {
  EXPECT_EQ(parse_go_duration("10s"), 10'000);
  EXPECT_EQ(parse_go_duration("1h2m3.5s"), 3'723'500);
  EXPECT_EQ(parse_go_duration("0"), 0);
  for (const char* bad : {"", "10", "s", "10x", "-1s", "1..2s", "999999999999999999h"})
    EXPECT_FALSE(parse_go_duration(bad)) << bad;
}

}  // namespace
}  // namespace drasriov::doctor
