// SPDX-License-Identifier: Apache-2.0
//
// The module over a captured sysfs, with interfaces that come, go and are changed as a pod, a CNI
// plugin and the kernel do it.
#include "plugins/vf-state/vf_state.hpp"

#include <gmock/gmock.h>
#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/recorders.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace drasriov::vf_state {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kVf = "0000:11:10.2";
constexpr std::uint32_t kIndex = 1;
const Mac kRandom = {0x52, 0, 0, 0, 0, 1};
const Mac kAdmin = {2, 0, 0, 0, 0, 9};

/// The interfaces of the captured tree, and what a PF knows of one VF.
class TreeLinks final : public Links {
 public:
  explicit TreeLinks(fs::path sys) : sys_(std::move(sys)) {}

  [[nodiscard]] sdk::Result<std::optional<VfSettings>> vf(int pf_index, std::uint32_t vf) override {
    EXPECT_EQ(pf_index, pf_);
    EXPECT_EQ(vf, kIndex);
    ++questions;
    if (fail) return sdk::Error(sdk::Code::kNotFound, "No such device");
    return settings;
  }
  [[nodiscard]] sdk::Status set_vf(int pf_index, std::uint32_t vf,
                                   const VfSettings& changes) override {
    EXPECT_EQ(pf_index, pf_);
    EXPECT_EQ(vf, kIndex);
    changed_settings.push_back(changes);
    if (changes.mac) settings->mac = changes.mac;
    if (changes.vlan) settings->vlan = changes.vlan;
    if (changes.rate) settings->rate = changes.rate;
    if (changes.spoof_check) settings->spoof_check = changes.spoof_check;
    if (changes.trust) settings->trust = changes.trust;
    if (changes.link_state) settings->link_state = changes.link_state;
    return {};
  }
  [[nodiscard]] sdk::Status set_link(int index, const LinkChange& change, bool is_up) override {
    for (const auto& entry : fs::directory_iterator(net())) {
      const fs::path at = entry.path();
      std::ifstream in(at / "ifindex");
      int found = 0;
      in >> found;
      if (found != index) continue;
      EXPECT_EQ(is_up, up_.load());
      if (change.name && swapped && *change.name == swapped->first &&
          at.filename() == swapped->second) {
        return sdk::Error(sdk::Code::kAlreadyExists, "File exists");
      }
      if (change.name && taken.contains(*change.name)) {
        if (--taken[*change.name] <= 0) taken.erase(*change.name);
        return sdk::Error(sdk::Code::kAlreadyExists, "File exists");
      }
      if (change.mac && mac_is_set_at_pf && settings->mac != Mac{} && change.mac != settings->mac) {
        return sdk::Error(sdk::Code::kInvalidArgument, "Cannot assign requested address");
      }
      if (change.mtu) std::ofstream(at / "mtu") << *change.mtu << "\n";
      if (change.mac) {
        std::ofstream(at / "address") << to_text(*change.mac) << "\n";
        std::ofstream(at / "addr_assign_type") << "3\n";
      }
      if (change.alias) std::ofstream(at / "ifalias") << *change.alias << "\n";
      if (change.up) {
        up_ = *change.up;
        std::ofstream(at / "flags") << (up_ ? "0x1003\n" : "0x1002\n");
      }
      if (change.name) fs::rename(at, net() / *change.name);
      return {};
    }
    return sdk::Error(sdk::Code::kNotFound, "No such device");
  }

  // ---- what others do ----

  void pf(int index) { pf_ = index; }
  /// The interface, in the host, with the attributes that matter.
  void appear(const std::string& name, std::uint32_t mtu, const Mac& mac, bool random, bool up,
              const std::string& alias = "") {
    const fs::path made = sys_ / "making";
    fs::create_directories(made);
    std::ofstream(made / "ifindex") << 23 << "\n";
    std::ofstream(made / "mtu") << mtu << "\n";
    std::ofstream(made / "address") << to_text(mac) << "\n";
    std::ofstream(made / "addr_assign_type") << (random ? 1 : 0) << "\n";
    std::ofstream(made / "flags") << (up ? "0x1003\n" : "0x1002\n");
    std::ofstream(made / "ifalias") << alias << "\n";
    up_ = up;
    fs::rename(made, net() / name);
  }
  /// Somebody has set the address at the interface that is in the host.
  void address_is_chosen() const {
    std::ofstream(fs::directory_iterator(net())->path() / "addr_assign_type") << "3\n";
  }
  /// net/ stays, empty: what the host sees while the interface is in another namespace.
  void disappear() {
    fs::remove_all(net());
    fs::create_directory(net());
  }
  [[nodiscard]] fs::path net() const { return sys_ / "bus/pci/devices" / kVf / "net"; }

  std::optional<VfSettings> settings =
      VfSettings{.mac = kRandom, .vlan = Vlan{}, .rate = Rate{}, .spoof_check = true};
  std::vector<VfSettings> changed_settings;
  std::map<std::string, int> taken;  ///< how many more times
  /// The first name belongs to one that gives it up only for the second, which this one has.
  std::optional<std::pair<std::string, std::string>> swapped;
  int questions = 0;
  bool fail = false;
  bool mac_is_set_at_pf = false;  ///< igb then refuses the VF any other address

 private:
  fs::path sys_;
  int pf_ = 0;
  std::atomic<bool> up_ = false;  ///< a kernel thread of a test writes it too
};

class VfStateTest : public ::testing::Test {
 protected:
  VfStateTest() : request_(sdk::Device("0000-11-10-2")) {
    const fs::path root = host_.root(sdk::Root::kSys).parent_path();
    const std::string command =
        "tar -C " + root.string() + " -xzf " + DRASRIOV_FIXTURES_DIR + "/sysfs/b-vfs-igbvf.tar.gz";
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
    request_.device.fact(DRASRIOV_FACT_PCI_ADDRESS, kVf)
        .fact(DRASRIOV_FACT_VF_INDEX, std::to_string(kIndex))
        .fact(DRASRIOV_FACT_PF_NETDEV, pf_name());
    make(R"({"timeoutMs":100})");
    links_->disappear();
    links_->appear("eth3", 1500, kRandom, /*random=*/true, /*up=*/false);
  }

  void make(std::string_view config) {
    auto links = std::make_unique<TreeLinks>(host_.root(sdk::Root::kSys));
    links_ = links.get();
    std::ifstream in(device() / "physfn/net" / pf_name() / "ifindex");
    int index = 0;
    in >> index;
    links_->pf(index);
    module_ = std::make_unique<VfState>(host_.host(), *Settings::read(*sdk::Config::parse(config)),
                                        std::move(links));
  }
  [[nodiscard]] fs::path device() const {
    return host_.root(sdk::Root::kSys) / "bus/pci/devices" / kVf;
  }
  [[nodiscard]] std::string pf_name() const {
    return fs::directory_iterator(device() / "physfn/net")->path().filename();
  }
  [[nodiscard]] std::string snapshot() {
    auto taken = module_->snapshot(host_.call(), request_.view());
    EXPECT_TRUE(taken.ok());
    return taken ? *taken : std::string();
  }
  [[nodiscard]] sdk::Status unprepare(const std::string& snapshot) {
    return module_->unprepare(host_.call(), request_.view(), snapshot, "");
  }
  [[nodiscard]] Netdev netdev() const {
    const auto found = VfSysfs(host_.root(sdk::Root::kSys), kVf).netdev();
    return found ? found->netdev : Netdev();
  }

  sdk::testing::FakeHost host_;
  sdk::testing::TestBindingRequest request_;
  TreeLinks* links_ = nullptr;
  std::unique_ptr<VfState> module_;
};

TEST_F(VfStateTest, TheSnapshotHoldsInterfaceAndSettings) {
  const auto taken = Snapshot::parse(snapshot());
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken->driver, "igbvf");
  EXPECT_EQ(taken->netdev, (Netdev{"eth3", 1500, kRandom, true, false, false, ""}));
  EXPECT_EQ(taken->settings,
            (VfSettings{.mac = Mac{}, .vlan = Vlan{}, .rate = Rate{}, .spoof_check = true}))
      << "the address is the VF's own";
  EXPECT_EQ(links_->questions, 1);
}

TEST_F(VfStateTest, NothingChangedNothingIsTouched) {
  const std::string taken = snapshot();
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_THAT(links_->changed_settings, IsEmpty());
  EXPECT_EQ(netdev().name, "eth3");
}

TEST_F(VfStateTest, WhatAPodAndACniPluginLeftIsPutBack) {
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("net1", 9000, kAdmin, /*random=*/false, /*up=*/true);
  links_->settings =
      VfSettings{.mac = kAdmin, .vlan = Vlan{100, 3}, .rate = Rate{0, 50}, .spoof_check = false};
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev().name, "eth3");
  EXPECT_EQ(netdev().mtu, 1500U);
  EXPECT_FALSE(netdev().up);
  EXPECT_EQ(links_->settings,
            (VfSettings{.mac = Mac{}, .vlan = Vlan{}, .rate = Rate{}, .spoof_check = true}));
  ASSERT_TRUE(unprepare(taken).ok()) << "again";
  EXPECT_EQ(links_->changed_settings.size(), 1U);
}

TEST_F(VfStateTest, AnAddressThatAnAdministratorSetIsPutBack) {
  links_->disappear();
  links_->appear("eth3", 1500, kAdmin, /*random=*/false, /*up=*/true);
  links_->settings->mac = kAdmin;
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("eth3", 1500, kRandom, /*random=*/false, /*up=*/true);
  links_->settings->mac = kRandom;
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev().mac, kAdmin);
  EXPECT_EQ(links_->settings->mac, kAdmin);
}

TEST_F(VfStateTest, ThePfIsPutBackBeforeTheInterfaceThatItWouldRefuse) {
  links_->disappear();
  links_->appear("eth3", 1500, kAdmin, /*random=*/false, /*up=*/true);
  links_->settings->mac = kAdmin;
  links_->mac_is_set_at_pf = true;
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("eth40", 1500, kRandom, /*random=*/false, /*up=*/false);
  links_->settings->mac = kRandom;
  const auto back = unprepare(taken);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(netdev(), (Netdev{"eth3", 1500, kAdmin, false, true, true, ""}));
  EXPECT_EQ(links_->settings->mac, kAdmin);
}

/// igbvf takes it over when the PF resets the VF, and only a new bind shows that it is not random.
TEST_F(VfStateTest, AnAddressThatTheVfTookOverFromThePfStaysThere) {
  links_->disappear();
  links_->appear("eth3", 1500, kAdmin, /*random=*/true, /*up=*/false);
  links_->settings->mac = kAdmin;
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("eth3", 1500, kAdmin, /*random=*/false, /*up=*/false);
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_THAT(links_->changed_settings, IsEmpty());
}

/// igbvf draws a new address at each bind, and igb reports it as the VF's.
TEST_F(VfStateTest, ANewRandomAddressStaysAndIsNotPinned) {
  const std::string taken = snapshot();
  const Mac drawn = {0x52, 0, 0, 0, 0, 2};
  links_->disappear();
  links_->appear("eth40", 1500, drawn, /*random=*/true, /*up=*/false);
  links_->settings->mac = drawn;
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev().mac, drawn);
  EXPECT_EQ(netdev().name, "eth3");
  EXPECT_THAT(links_->changed_settings, IsEmpty());
}

/// A pod has ended and nobody has run CNI's DEL. igb reports the pod's address as if it were set.
TEST_F(VfStateTest, APodsAddressAndAliasDoNotStay) {
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("net1", 1500, kAdmin, /*random=*/false, /*up=*/false, "eth3");
  links_->address_is_chosen();
  links_->settings->mac = kAdmin;
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev(), (Netdev{"eth3", 1500, kRandom, false, false, /*chosen_mac=*/true, ""}));

  // The next claim binds another driver, and the VF's own draws an address: it is no setting of the
  // PF, which would forbid the pods after it to have another one.
  links_->settings->mac = kRandom;
  const std::string next = snapshot();
  links_->disappear();
  links_->appear("eth40", 1500, {0x52, 0, 0, 0, 0, 2}, /*random=*/true, /*up=*/false);
  links_->settings->mac = Mac{0x52, 0, 0, 0, 0, 2};
  links_->changed_settings.clear();
  ASSERT_TRUE(unprepare(next).ok());
  EXPECT_EQ(netdev(), (Netdev{"eth3", 1500, kRandom, false, false, /*chosen_mac=*/true, ""}));
  EXPECT_THAT(links_->changed_settings, IsEmpty());
}

/// As sriov-cni does it; then the PF refuses every other one.
TEST_F(VfStateTest, AnAddressThatWasSetAtBothIsTakenBackAtBoth) {
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("net1", 1500, kAdmin, /*random=*/false, /*up=*/false);
  links_->address_is_chosen();
  links_->settings->mac = kAdmin;
  links_->mac_is_set_at_pf = true;
  const auto back = unprepare(taken);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(netdev().mac, kRandom);
  EXPECT_EQ(links_->settings->mac, Mac{});
}

/// Set by an administrator and not taken over yet, then set at the interface as well.
TEST_F(VfStateTest, ARandomAddressThatThePfWouldRefuseIsNotTried) {
  links_->settings->mac = kAdmin;
  links_->mac_is_set_at_pf = true;
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("net1", 1500, kAdmin, /*random=*/false, /*up=*/false);
  links_->address_is_chosen();
  const auto back = unprepare(taken);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(netdev().name, "eth3");
  EXPECT_EQ(netdev().mac, kAdmin);
}

/// The network namespace is gone; the kernel gives the interface back a little later.
TEST_F(VfStateTest, WaitsForTheInterfaceToComeBack) {
  make(R"({"timeoutMs":30000})");
  const std::string taken = snapshot();
  links_->disappear();
  std::thread kernel([&] { links_->appear("dev23", 1500, kRandom, true, false); });
  EXPECT_TRUE(module_->settle(host_.call(), request_.view(), taken).ok());
  kernel.join();
  EXPECT_EQ(netdev().name, "eth3");
}

TEST_F(VfStateTest, AnInterfaceThatStaysAwayIsAnErrorThatIsRetried) {
  const std::string taken = snapshot();
  links_->disappear();
  links_->settings->spoof_check = false;
  const auto away = unprepare(taken);
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.error().code(), sdk::Code::kUnavailable);
  EXPECT_THAT(away.error().message(), HasSubstr("eth3 has not come back"));
  EXPECT_EQ(links_->settings->spoof_check, true) << "what can be put back is";
}

TEST_F(VfStateTest, ANameThatIsTakenForAMomentIsWaitedFor) {
  make(R"({"timeoutMs":30000})");
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("eth40", 9000, kRandom, true, false);
  links_->taken["eth3"] = 3;
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev().name, "eth3");
  EXPECT_EQ(netdev().mtu, 1500U);
}

/// Both are put back at the same time.
TEST_F(VfStateTest, TwoThatHoldEachOthersNameDoNotWaitForEachOther) {
  make(R"({"timeoutMs":30000})");
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("eth40", 1500, kRandom, /*random=*/true, /*up=*/false);
  links_->swapped = {"eth3", "eth40"};
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev().name, "eth3");
}

TEST_F(VfStateTest, ANameThatStaysTakenIsSaidAndTheRestIsPutBack) {
  const std::string taken = snapshot();
  links_->disappear();
  links_->appear("eth40", 9000, kRandom, true, false);
  links_->taken["eth3"] = 1 << 30;
  ASSERT_TRUE(unprepare(taken).ok());
  EXPECT_EQ(netdev().name, "dev23");
  EXPECT_EQ(netdev().mtu, 1500U);
  const auto logs = host_.logs();
  EXPECT_TRUE(std::ranges::any_of(logs, [](const auto& line) {
    return line.level == sdk::Level::kWarning && line.value("taken") == "eth3" &&
           line.value("interface") == "dev23";
  }));
}

/// A claim with vfio-pci that is detached from a pod and goes on being prepared.
TEST_F(VfStateTest, WithAnotherDriverOnlyTheSettingsArePutBack) {
  const std::string taken = snapshot();
  links_->disappear();
  fs::remove(device() / "driver");
  fs::create_directory_symlink("../../../../bus/pci/drivers/vfio-pci", device() / "driver");
  links_->settings->vlan = Vlan{100, 0};
  EXPECT_TRUE(module_->settle(host_.call(), request_.view(), taken).ok());
  EXPECT_EQ(links_->settings->vlan, Vlan{});
}

TEST_F(VfStateTest, AnotherIncarnationIsNotTouched) {
  const std::string taken = snapshot();
  const fs::path real = fs::canonical(device());
  fs::rename(real, real.string() + ".old");
  fs::copy(real.string() + ".old", real,
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  links_->settings->vlan = Vlan{100, 0};
  EXPECT_TRUE(unprepare(taken).ok());
  EXPECT_THAT(links_->changed_settings, IsEmpty());
  fs::remove_all(real);
  EXPECT_TRUE(unprepare(taken).ok()) << "gone";
}

TEST_F(VfStateTest, APfWithoutInterfaceTellsNoSettings) {
  fs::remove_all(device() / "physfn/net");
  const std::string taken = snapshot();
  EXPECT_EQ(links_->questions, 0);
  EXPECT_TRUE(unprepare(taken).ok());
}

TEST_F(VfStateTest, ARenamedPfIsFound) {
  const fs::path net = device() / "physfn/net";
  fs::create_directory(net / "pf0vf1");  // what stands for a VF in switchdev mode
  std::ofstream(net / "pf0vf1/ifindex") << "99\n";
  std::ofstream(net / "pf0vf1/phys_port_name") << "pf0vf1\n";
  fs::rename(net / pf_name(), net / "uplink");
  EXPECT_THAT(snapshot(), HasSubstr("spoofCheck"));
}

TEST_F(VfStateTest, APfThatDoesNotAnswerIsAnError) {
  links_->fail = true;
  const auto taken = module_->snapshot(host_.call(), request_.view());
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().message(), kVf + ": No such device");
}

TEST_F(VfStateTest, WhichClaimsItTakesPartIn) {
  const auto handles = [&](std::string_view config, std::string_view netconf) {
    request_.config_json = config;
    request_.netconf_json = netconf;
    return module_->handles(request_.view());
  };
  EXPECT_FALSE(handles(R"({"driver":""})", ""));
  EXPECT_TRUE(handles(R"({"driver":"vfio-pci"})", ""));
  EXPECT_TRUE(handles(R"({"driver":""})", R"({"type":"sriov"})"));
  make(R"({"everyClaim":true})");
  EXPECT_TRUE(handles(R"({"driver":""})", ""));
  request_.device = sdk::Device("0000-11-00-0").fact(DRASRIOV_FACT_PCI_ADDRESS, "0000:11:00.0");
  EXPECT_FALSE(handles(R"({"driver":"vfio-pci"})", "")) << "no virtual function";
}

TEST_F(VfStateTest, PrepareChangesNothing) {
  const std::string taken = snapshot();
  sdk::testing::RecordedPrepare recorded;
  auto sink = recorded.sink();
  EXPECT_TRUE(module_->prepare(host_.call(), request_.view(), taken, sink).ok());
  EXPECT_THAT(links_->changed_settings, IsEmpty());
  EXPECT_THAT(recorded.edits, IsEmpty());
  EXPECT_THAT(recorded.facts, IsEmpty());
}

}  // namespace
}  // namespace drasriov::vf_state
