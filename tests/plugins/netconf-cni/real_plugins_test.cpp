// SPDX-License-Identifier: Apache-2.0
//
// The module with the reference CNI plugins (tests/tools/get-cni-plugins) on real interfaces, in network
// and mount namespaces of the test: vf0, one end of a veth pair, is what /sys/bus/pci there shows as
// the VF's interface. Skipped, and said so, where plugins or namespaces cannot be had.
#include <gmock/gmock.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <drasriov/sdk/module.hpp>
#include <drasriov/sdk/testing/module_under_test.hpp>
#include <drasriov/sdk/testing/program.hpp>
#include <filesystem>
#include <fstream>

#include "plugins/netconf-cni/netconf_cni.hpp"

namespace drasriov::netconf_cni {
namespace {

namespace fs = std::filesystem;
using sdk::testing::FakeHost;
using sdk::testing::ModuleUnderTest;
using sdk::testing::TestNetconfRequest;
using ::testing::HasSubstr;

constexpr sdk::ModuleInfo kInfo{.name = "netconf-cni",
                                .version = "1.0.0",
                                .vendor = "tests",
                                .license = "Apache-2.0",
                                .min_host_abi = "1.0"};
constexpr drasriov_module_table kTable = sdk::make_module_table<NetconfCni, kInfo>();

/// What the command writes, and its status as system() tells it.
std::pair<std::string, int> output_of(const std::string& command) {
  std::string text;
  std::FILE* output = ::popen(command.c_str(), "re");
  if (output == nullptr) return {"", -1};
  for (int c = std::fgetc(output); c != EOF; c = std::fgetc(output)) text += static_cast<char>(c);
  return {text, ::pclose(output)};
}

bool run(const std::string& script) {
  return std::system(("exec 2>&1; set -e; " + script).c_str()) == 0;
}

class RealCniPlugins : public ::testing::Test {
 protected:
  void SetUp() override {
    auto [plugins, status] = output_of("timeout 240 " DRASRIOV_GET_CNI_PLUGINS);
    if (status != 0) {
      GTEST_SKIP() << "NOT TESTED with real CNI plugins: tests/tools/get-cni-plugins could not get "
                      "them from Debian's package";
    }
    plugins.erase(plugins.find_last_not_of('\n') + 1);
    // This thread is the process's only one.
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        !run("mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs "
             "/sys/bus/pci && ip link add vf0 address 02:00:00:00:08:02 type veth peer name wire "
             "address 02:00:00:00:08:03 && ip link set wire up && ip netns add pod")) {
      GTEST_SKIP()
          << "NOT TESTED with real CNI plugins: it takes CAP_SYS_ADMIN, veth, /sys/bus/pci "
             "and the program ip";
    }
    ASSERT_TRUE(run("mkdir -p /sys/bus/pci/drivers/igbvf " + device() + "/net/vf0 && ln -s " +
                    "../../drivers/igbvf " + device() + "/driver"));
    host_.set_exec(sdk::testing::run_program);
    auto module = ModuleUnderTest::create(
        kTable, host_, "test",
        R"({"mountNamespace":"container","pluginDirs":[")" + plugins + "\"]}");
    ASSERT_TRUE(module.ok()) << module.error().message();
    module_ = *std::move(module);
    request_.device.emplace("0000-08-00-2", "vf").fact(DRASRIOV_FACT_PCI_ADDRESS, "0000:08:00.2");
    request_.pod = {"uid-1", "default", "web", "sandbox", {}, {}};
    request_.netns_path = "/run/netns/pod";
  }

  static std::string device() { return "/sys/bus/pci/devices/0000:08:00.2"; }

  [[nodiscard]] fs::path leases() const { return host_.root(sdk::Root::kData) / "leases"; }
  [[nodiscard]] std::string host_local(const std::string& subnet = "10.9.0.0/24") const {
    return R"("ipam":{"type":"host-local","dataDir":")" + leases().string() +
           R"(","ranges":[[{"subnet":")" + subnet + R"("}]]})";
  }
  [[nodiscard]] bool has_lease(const std::string& address) const {
    return fs::exists(leases() / "n" / address);
  }
  [[nodiscard]] std::size_t kept() const {
    const fs::path folder = host_.root(sdk::Root::kData) / "results";
    return fs::exists(folder) ? static_cast<std::size_t>(std::distance(
                                    fs::directory_iterator(folder), fs::directory_iterator()))
                              : 0;
  }

  /// ADD, which must succeed; the result is that of the next calls.
  Json add() {
    const auto result = module_->add(request_);
    if (!result.ok()) {
      ADD_FAILURE() << result.error().message();
      return Json::object();
    }
    request_.result_json = *result;
    return Json::parse(*result);
  }
  void del() {
    const auto ok = module_->del(request_);
    EXPECT_TRUE(ok.ok()) << ok.error().message();
  }

  /// As `ip -j addr` shows it; null when it is not there.
  static Json interface_of(const std::string& in, const std::string& name) {
    const auto [text, status] = output_of(in + "ip -j addr show dev " + name + " 2>/dev/null");
    return status == 0 ? Json::parse(text).at(0) : Json();
  }
  static Json in_pod(const std::string& name) { return interface_of("ip netns exec pod ", name); }
  static Json on_node(const std::string& name) { return interface_of("", name); }
  static std::string address_of(const Json& interface) {
    for (const Json& address : interface.at("addr_info")) {
      if (address.at("family") == "inet") {
        return address.at("local").get<std::string>() + '/' +
               std::to_string(address.at("prefixlen").get<int>());
      }
    }
    return {};
  }

  FakeHost host_;
  std::unique_ptr<ModuleUnderTest> module_;
  TestNetconfRequest request_;
};

TEST_F(RealCniPlugins, MoveTheInterfaceIntoThePodAndBack) {
  request_.config_json =
      R"({"cniVersion":"1.1.0","name":"n","type":"host-device",)" + host_local() + "}";
  TestNetconfRequest network;
  network.config_json = request_.config_json;
  ASSERT_TRUE(module_->validate(network).ok());
  ASSERT_TRUE(module_->status(network).ok());
  for (const char* address : {"10.9.0.2", "10.9.0.3"}) {  // the second is an ADD after a DEL
    const Json result = add();
    EXPECT_EQ(result.at("interfaces").at(0).at("name"), "net1");
    EXPECT_EQ(result.at("interfaces").at(0).at("mac"), "02:00:00:00:08:02");
    EXPECT_EQ(result.at("interfaces").at(0).at("sandbox"), "/run/netns/pod");
    EXPECT_EQ(result.at("ips").at(0).at("address"), std::string(address) + "/24");
    const Json moved = in_pod("net1");
    ASSERT_FALSE(moved.is_null());
    EXPECT_EQ(moved.at("address"), "02:00:00:00:08:02");
    EXPECT_EQ(address_of(moved), std::string(address) + "/24");
    EXPECT_TRUE(on_node("vf0").is_null());
    EXPECT_TRUE(has_lease(address));
    const auto check = module_->check(request_);
    EXPECT_TRUE(check.ok()) << check.error().message();

    del();
    EXPECT_TRUE(in_pod("net1").is_null());
    EXPECT_FALSE(on_node("vf0").is_null());
    EXPECT_FALSE(has_lease(address));
    EXPECT_EQ(kept(), 0U);
    // As after a host that was killed between DEL and its journal.
    del();
    EXPECT_FALSE(on_node("vf0").is_null());
    request_.result_json.clear();
  }
}

TEST_F(RealCniPlugins, ChainedTheyChangeTheInterfaceAndPutItBack) {
  request_.config_json =
      R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"host-device","ipam":{"type":"static",)"
      R"("addresses":[{"address":"10.8.0.2/24"}]}},{"type":"tuning","mtu":1400,)"
      R"("mac":"02:00:00:00:00:77","sysctl":{"net.ipv4.conf.net1.arp_filter":"1"}}]})";
  const Json result = add();
  EXPECT_EQ(result.at("interfaces").at(0).at("mac"), "02:00:00:00:00:77");
  EXPECT_EQ(result.at("ips").at(0).at("address"), "10.8.0.2/24");
  EXPECT_EQ(in_pod("net1").at("mtu"), 1400);
  EXPECT_EQ(in_pod("net1").at("address"), "02:00:00:00:00:77");
  EXPECT_TRUE(run("test 1 = $(ip netns exec pod cat /proc/sys/net/ipv4/conf/net1/arp_filter)"));
  ASSERT_TRUE(module_->check(request_).ok());
  ASSERT_TRUE(run("ip netns exec pod ip link set net1 mtu 1300"));
  const auto changed = module_->check(request_);
  ASSERT_FALSE(changed.ok());
  EXPECT_THAT(changed.error().message(), HasSubstr("CNI plugin tuning: CHECK: "));

  del();
  ASSERT_FALSE(on_node("vf0").is_null());
  EXPECT_EQ(on_node("vf0").at("mtu"), 1500);
  EXPECT_EQ(on_node("vf0").at("address"), "02:00:00:00:08:02");
}

TEST_F(RealCniPlugins, DelTakesBackWhatAFailedAddLeft) {
  // host-device leaves the interface in the pod when its IPAM has no address left.
  fs::create_directories(leases() / "n");
  std::ofstream(leases() / "n" / "10.9.0.2") << "other\r\nnet1";
  request_.config_json =
      R"({"cniVersion":"1.1.0","name":"n","type":"host-device",)" + host_local("10.9.0.0/30") + "}";
  const auto full = module_->add(request_);
  ASSERT_FALSE(full.ok());
  EXPECT_THAT(full.error().message(), HasSubstr("no IP addresses available"));
  EXPECT_THAT(full.error().hint(), HasSubstr("`ipam` is used up"));
  EXPECT_TRUE(on_node("vf0").is_null());
  del();
  EXPECT_FALSE(on_node("vf0").is_null());
  EXPECT_TRUE(has_lease("10.9.0.2")) << "that of the other sandbox";
}

TEST_F(RealCniPlugins, DelWithoutTheNamespaceFreesTheLease) {
  request_.config_json =
      R"({"cniVersion":"1.1.0","name":"n","type":"macvlan","master":"wire",)" + host_local() + "}";
  EXPECT_EQ(add().at("ips").at(0).at("address"), "10.9.0.2/24");
  ASSERT_FALSE(in_pod("net1").is_null());
  ASSERT_TRUE(run("ip netns del pod"));
  request_.netns_path.clear();
  del();
  EXPECT_FALSE(has_lease("10.9.0.2"));
  EXPECT_EQ(kept(), 0U);
  del();
}

TEST_F(RealCniPlugins, GcTakesBackWhatIsNotAlive) {
  request_.config_json =
      R"({"cniVersion":"1.1.0","name":"n","type":"macvlan","master":"wire",)" + host_local() + "}";
  ASSERT_TRUE(run("ip netns add other"));
  request_.container_id = "gone";
  EXPECT_EQ(add().at("ips").at(0).at("address"), "10.9.0.2/24");
  request_.container_id = "alive";
  request_.netns_path = "/run/netns/other";
  request_.result_json.clear();
  EXPECT_EQ(add().at("ips").at(0).at("address"), "10.9.0.3/24");
  const std::vector<drasriov_attachment> alive = {{sdk::to_abi("alive"), sdk::to_abi("net1")}};
  const auto ok = module_->gc(request_.config_json, alive);
  ASSERT_TRUE(ok.ok()) << ok.error().message();
  EXPECT_TRUE(in_pod("net1").is_null());
  EXPECT_FALSE(has_lease("10.9.0.2"));
  EXPECT_FALSE(interface_of("ip netns exec other ", "net1").is_null());
  EXPECT_TRUE(has_lease("10.9.0.3"));
  EXPECT_EQ(kept(), 1U);
}

TEST_F(RealCniPlugins, TakeAddressesFromTheRequest) {
  request_.config_json =
      R"({"cniVersion":"0.4.0","name":"n","plugins":[{"type":"macvlan","master":"wire",)"
      R"("capabilities":{"ips":true,"mac":true},"ipam":{"type":"static"}}]})";
  request_.args = {{"MAC", "02:00:00:00:00:09"}, {"IP", "10.5.0.9/24,fd00::9/64"}};
  const Json result = add();
  EXPECT_EQ(result.at("cniVersion"), "1.0.0");
  EXPECT_EQ(result.at("ips").size(), 2U);
  EXPECT_EQ(in_pod("net1").at("address"), "02:00:00:00:00:09");
  EXPECT_EQ(address_of(in_pod("net1")), "10.5.0.9/24");
  del();
  EXPECT_TRUE(in_pod("net1").is_null());
}

TEST_F(RealCniPlugins, FailuresHaveAHint) {
  struct Row {
    const char* before;
    const char* config;
    const char* message;
    const char* hint;
  };
  const Row rows[] = {
      {"true", R"("type":"macvlan","master":"wire","ipam":{"type":"nosuch"})",
       R"(failed to find plugin "nosuch")", "install the plugin that it calls"},
      {"true", R"("type":"macvlan","master":"wire","ipam":{"type":"dhcp"})", "dhcp.sock",
       "daemon of the dhcp plugin"},
      {"true", R"("type":"macvlan","master":"eth77")", "Link not found", "`master`"},
      {"true", R"("type":"macvlan","master":"wire","mode":7)", "cannot unmarshal",
       "correct spec.config"},
      {"ip netns exec pod ip link add net1 type bridge", R"("type":"macvlan","master":"wire")",
       "file exists", "set another `ifName`"},
      {"rmdir /sys/bus/pci/devices/0000:08:00.2/net/vf0", R"("type":"host-device")",
       "failed to find network device", "another sandbox has it"},
      {"rm /sys/bus/pci/devices/0000:08:00.2/driver", R"("type":"host-device")",
       "driver: no such file or directory", "no kernel driver"},
  };
  for (const Row& row : rows) {
    ASSERT_TRUE(run(row.before));
    request_.config_json = std::string(R"({"cniVersion":"1.1.0","name":"n",)") + row.config + "}";
    const auto result = module_->add(request_);
    ASSERT_FALSE(result.ok()) << row.config;
    EXPECT_THAT(result.error().message(), HasSubstr(row.message));
    EXPECT_THAT(result.error().hint(), HasSubstr(row.hint)) << result.error().message();
    EXPECT_EQ(kept(), 0U);
    run("ip netns del pod; ip netns add pod");
  }
}

}  // namespace
}  // namespace drasriov::netconf_cni
