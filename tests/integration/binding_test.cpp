// SPDX-License-Identifier: Apache-2.0
//
// Claims with `driver`, from kubelet's call to the device and back: the real driver with its own modules on a captured
// sysfs, whose kernel is played by tests/fake_kernel.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "host/base/durable_file.hpp"
#include "tests/fake_kernel/fake_kernel.hpp"
#include "tests/fake_kernel/kernel_thread.hpp"
#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kVfio =
    R"({"apiVersion": "sriovnetwork.openshift.io/v1alpha1", "kind": "VfConfig", "driver": "vfio-pci"})";
/// Of kSecondVf.
constexpr const char* kAddress = "0000:11:10.2";

class Binding : public ::testing::Test {
 protected:
  Binding() : kernel_(machine_.sysfs(), machine_.dev()), thread_(kernel_, machine_.sysfs()) {}

  void expect_pristine() const {
    EXPECT_EQ(kernel_.driver(kAddress), "igbvf");
    EXPECT_EQ(kernel_.override(kAddress), "");
    EXPECT_THAT(kernel_.netdevs(kAddress), SizeIs(1));
    EXPECT_THAT(Machine::files(machine_.cdi()), IsEmpty());
    EXPECT_THAT(Machine::files(machine_.data() / "claims"), IsEmpty());
  }
  [[nodiscard]] std::string error(const std::string& action, const Claim& claim) {
    return machine_.kubelet(action, {claim})["claims"][claim.uid]["error"];
  }

  /// What containers of the claim get for kSecondVf.
  [[nodiscard]] Json edits_of(const Claim& claim) const {
    for (const std::string& file : Machine::files(machine_.cdi())) {
      const Json spec = Json::parse(read_file(machine_.cdi() / file).value());
      for (const Json& device : spec["devices"]) {
        if (device["name"] == claim.uid + "-" + kSecondVf) return device["containerEdits"];
      }
    }
    return {};
  }

  Machine machine_;
  testing::FakeKernel kernel_;
  testing::KernelThread thread_;
};

TEST_F(Binding, VfioAndBack) {
  const Claim claim = machine_.put_claim("vfio", {kSecondVf}, kVfio);
  const auto driver = machine_.start_driver();
  EXPECT_EQ(error("prepare", claim), "");
  EXPECT_EQ(kernel_.driver(kAddress), "vfio-pci");

  const Json edits = edits_of(claim);
  const std::string vfio = (machine_.dev() / "vfio").native();
  EXPECT_EQ(edits["deviceNodes"],
            Json::parse(R"([{"path": "/dev/vfio/10", "hostPath": ")" + vfio +
                        R"(/10", "type": "c"}, {"path": "/dev/vfio/vfio", "hostPath": ")" + vfio +
                        R"(/vfio", "type": "c"}])"));
  EXPECT_THAT(edits["env"].dump(),
              HasSubstr("\"SRIOVNETWORK_0000_11_10_2_VFIO_DEVICE=/dev/vfio/10\""));

  // Schedulers go on seeing the device as it is at rest.
  EXPECT_TRUE(eventually([&] { return machine_.published_names().size() == 8; }));
  EXPECT_EQ(
      machine_.published()[kSecondVf]["attributes"][std::string(kDriverName) + "/driver"]["string"],
      "igbvf");

  EXPECT_EQ(error("unprepare", claim), "");
  expect_pristine();
}

TEST_F(Binding, ADeviceInUseIsNotTakenAwayAndTheHolderIsNamed) {
  const Claim claim = machine_.put_claim("vfio", {kSecondVf}, kVfio);
  const auto driver = machine_.start_driver();
  ASSERT_EQ(error("prepare", claim), "");
  const int held = ::open((machine_.dev() / "vfio/10").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(held, 0);
  const std::string busy = error("unprepare", claim);
  EXPECT_THAT(busy, HasSubstr("unbind 0000:11:10.2: device held open by pid " +
                              std::to_string(::getpid()) + " ("));
  EXPECT_EQ(kernel_.driver(kAddress), "vfio-pci");
  ::close(held);
  EXPECT_EQ(error("unprepare", claim), "");
  expect_pristine();
}

TEST_F(Binding, KilledWhileItBindsTheNextStartPutsTheDeviceBack) {
  const Claim claim = machine_.put_claim("vfio", {kSecondVf}, kVfio);
  for (const char* place : {"prepare.bind", "prepare.bound", "prepare.committed"}) {
    SCOPED_TRACE(place);
    auto dying = machine_.spawn_dying_driver(place);
    ASSERT_TRUE(
        eventually([&] { return std::filesystem::exists(machine_.registration_socket()); }));
    const Process kubelet(
        DRASRIOV_KUBELET_PLAYER_PATH,
        {"--registry", machine_.registry().native(), "prepare", claim.reference()},
        machine_.root() / "kubelet");
    ASSERT_EQ(dying->wait(), 128 + SIGKILL) << dying->errors();
    const auto driver = machine_.start_driver();
    EXPECT_EQ(error("unprepare", claim), "");
    expect_pristine();
    driver->signal(SIGTERM);
    EXPECT_EQ(driver->wait(), 0);
  }
}

TEST_F(Binding, VhostNodesBesideVfio) {
  for (const char* module : {"tun", "vhost_net"})
    std::filesystem::create_directories(machine_.sysfs() / "module" / module);
  std::filesystem::create_directory(machine_.dev() / "net");
  for (const char* node : {"vhost-net", "net/tun"}) std::ofstream(machine_.dev() / node) << "";
  const Claim claim = machine_.put_claim(
      "vhost", {kSecondVf},
      R"({"apiVersion": "sriovnetwork.openshift.io/v1alpha1", "kind": "VfConfig", "driver": "vfio-pci", "addVhostMount": true})");
  const auto driver = machine_.start_driver();
  ASSERT_EQ(error("prepare", claim), "");
  const Json edits = edits_of(claim);
  std::vector<std::string> nodes;
  for (const Json& node : edits["deviceNodes"]) nodes.push_back(node["path"]);
  EXPECT_THAT(nodes, ::testing::ElementsAre("/dev/vfio/10", "/dev/vfio/vfio", "/dev/vhost-net",
                                            "/dev/net/tun"));
  EXPECT_EQ(error("unprepare", claim), "");
  expect_pristine();
}

TEST_F(Binding, ADriverThatIsNotAllowedChangesNothing) {
  const Claim claim = machine_.put_claim(
      "other", {kSecondVf},
      R"({"apiVersion": "sriovnetwork.openshift.io/v1alpha1", "kind": "VfConfig", "driver": "usbhid"})");
  const auto driver = machine_.start_driver();
  EXPECT_THAT(error("prepare", claim), HasSubstr("VfConfig.driver \"usbhid\" is not allowed"));
  expect_pristine();
  EXPECT_THAT(kernel_.writes(), IsEmpty());
}

}  // namespace
}  // namespace drasriov::integration
