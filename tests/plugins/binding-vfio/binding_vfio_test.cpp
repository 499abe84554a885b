// SPDX-License-Identifier: Apache-2.0
//
// The module over a captured sysfs with a kernel that answers: to a driver and back, and everything
// that can be in the way.
#include <gmock/gmock.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/plugins/binding-vfio/captured_node.hpp"

namespace drasriov::binding_vfio::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kQuick = R"({"timeoutMs":1000})";  // enough for an instrumented program

class BindingVfioTest : public ::testing::Test {
 protected:
  /// Driver and override as they were found, netdev there.
  static void expect_pristine(const CapturedNode& node) {
    EXPECT_EQ(node.kernel.driver(kVf), "igbvf");
    EXPECT_EQ(node.kernel.override(kVf), "");
    EXPECT_THAT(node.kernel.netdevs(kVf), SizeIs(1));
  }
};

TEST_F(BindingVfioTest, ToVfioAndBack) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  ASSERT_TRUE(prepared.status.ok()) << prepared.status.error().message();
  EXPECT_EQ(node.kernel.driver(kVf), "vfio-pci");
  EXPECT_EQ(node.kernel.override(kVf), "vfio-pci");
  EXPECT_THAT(prepared.facts, ElementsAre(::testing::Pair("driver", "vfio-pci"),
                                          ::testing::Pair("iommuGroup", "10")));
  EXPECT_THAT(node.kernel.writes(),
              ElementsAre("driver_override vfio-pci", "unbind " + kVf, "drivers_probe " + kVf));
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, TheSnapshotChangesNothing) {
  CapturedNode node;
  auto asked = node.request("vfio-pci");
  const auto snapshot = node.module().snapshot(node.host.call(), asked.view());
  ASSERT_TRUE(snapshot.ok());
  EXPECT_EQ(Snapshot::parse(*snapshot)->before, (DeviceState{"igbvf", ""}));
  EXPECT_THAT(node.kernel.writes(), IsEmpty());
}

TEST_F(BindingVfioTest, AgainChangesNothing) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  const auto writes = node.kernel.writes();
  auto asked = node.request("vfio-pci");
  sdk::testing::RecordedPrepare recorded;
  auto sink = recorded.sink();
  ASSERT_TRUE(node.module().prepare(node.host.call(), asked.view(), prepared.snapshot, sink).ok());
  EXPECT_EQ(recorded.edits, prepared.edits);
  EXPECT_EQ(recorded.facts, prepared.facts);
  EXPECT_EQ(node.kernel.writes(), writes);
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  const auto after = node.kernel.writes();
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  EXPECT_EQ(node.kernel.writes(), after);
}

TEST_F(BindingVfioTest, TheDriverAtRestIsAllowedAndLeftAlone) {
  CapturedNode node;
  const auto prepared = node.prepare("igbvf");
  ASSERT_TRUE(prepared.status.ok());
  EXPECT_THAT(node.kernel.writes(), IsEmpty());
  EXPECT_THAT(prepared.edits, IsEmpty());
  EXPECT_THAT(prepared.facts, ::testing::Contains(::testing::Key("netdev")));
  ASSERT_TRUE(node.unprepare("igbvf", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, AnotherDriverIsRefusedBeforeAnythingIsTouched) {
  CapturedNode node;
  const auto refused = node.prepare("usbhid");
  ASSERT_FALSE(refused.status.ok());
  EXPECT_EQ(refused.status.error().code(), sdk::Code::kPermissionDenied);
  EXPECT_THAT(node.kernel.writes(), IsEmpty());
  EXPECT_THAT(node.modules->loaded, IsEmpty());
}

TEST_F(BindingVfioTest, LoadsTheModuleOfAnAllowedDriver) {
  CapturedNode node;
  node.modules->available = {"uio_pci_generic"};
  const auto prepared = node.prepare("uio_pci_generic");
  ASSERT_TRUE(prepared.status.ok()) << prepared.status.error().message();
  EXPECT_EQ(node.kernel.driver(kVf), "uio_pci_generic");
  EXPECT_THAT(node.modules->loaded, ElementsAre("uio_pci_generic"));
  ASSERT_TRUE(node.unprepare("uio_pci_generic", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, ADriverThatThisKernelLacksChangesNothing) {
  CapturedNode node;
  const auto refused = node.prepare("igb_uio");
  ASSERT_FALSE(refused.status.ok());
  EXPECT_EQ(refused.status.error().message(),
            "bind " + kVf + " to igb_uio: this kernel has no module igb_uio");
  EXPECT_THAT(node.kernel.writes(), IsEmpty());
}

TEST_F(BindingVfioTest, DefaultFromUserSpaceIsTheKernelsChoice) {
  CapturedNode node;
  ASSERT_TRUE(node.prepare("vfio-pci").status.ok());  // an administrator's doing, say
  const auto prepared = node.prepare("default");
  ASSERT_TRUE(prepared.status.ok()) << prepared.status.error().message();
  EXPECT_EQ(node.kernel.driver(kVf), "igbvf");
  EXPECT_EQ(node.kernel.override(kVf), "");
  EXPECT_THAT(prepared.facts.at("netdev"), Not(IsEmpty()));
  ASSERT_TRUE(node.unprepare("default", prepared.snapshot).ok());
  EXPECT_EQ(node.kernel.driver(kVf), "vfio-pci");
  EXPECT_EQ(node.kernel.override(kVf), "vfio-pci");
}

// ---- PFs with sriov_drivers_autoprobe=0 (rule 1 of FakeKernel) ----

TEST_F(BindingVfioTest, BackWithoutAutoprobe) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  ASSERT_TRUE(prepared.status.ok());
  node.kernel.set_autoprobe(kPf, false);
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, DefaultWithoutAutoprobeNamesTheDriver) {
  CapturedNode node;
  ASSERT_TRUE(node.prepare("vfio-pci").status.ok());
  node.kernel.set_autoprobe(kPf, false);
  auto refused = node.prepare("default");
  ASSERT_FALSE(refused.status.ok());
  EXPECT_THAT(refused.status.error().message(), HasSubstr("sriov_drivers_autoprobe=0"));
  EXPECT_EQ(node.kernel.driver(kVf), "vfio-pci");

  node.modules->claims = {"igbvf"};
  fs::create_directories(node.host.root(sdk::Root::kSys) / "module/igbvf/drivers/pci:igbvf");
  const auto prepared = node.prepare("default");
  ASSERT_TRUE(prepared.status.ok()) << prepared.status.error().message();
  EXPECT_EQ(node.kernel.driver(kVf), "igbvf");
  EXPECT_EQ(node.kernel.override(kVf), "");
}

// ---- what is in the way ----

TEST_F(BindingVfioTest, AnOpenDeviceIsNotUnboundAndTheHolderIsNamed) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  node.open_node("4711", "dpdk-testpmd", "vfio/10");
  const auto writes = node.kernel.writes();
  const auto busy = node.unprepare("vfio-pci", prepared.snapshot);
  ASSERT_FALSE(busy.ok());
  EXPECT_EQ(busy.error().code(), sdk::Code::kUnavailable);
  EXPECT_EQ(busy.error().message(),
            "unbind " + kVf + ": device held open by pid 4711 (dpdk-testpmd)");
  EXPECT_EQ(node.kernel.writes(), writes) << "an unbind would have waited in the kernel";
  node.close_node("4711");
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, AnUnbindThatStaysInTheKernelIsLeftAndTakenUpAgain) {
  CapturedNode node(kQuick);
  const auto prepared = node.prepare("vfio-pci");
  node.kernel.open_device(kVf);  // between our look at /proc and the unbind
  for (int i = 0; i < 2; ++i) {
    const auto busy = node.unprepare("vfio-pci", prepared.snapshot);
    ASSERT_FALSE(busy.ok());
    EXPECT_EQ(busy.error().code(), sdk::Code::kUnavailable);
    EXPECT_THAT(busy.error().message(), HasSubstr("device held open by an unknown process"));
  }
  const auto unbinds = node.kernel.writes();
  EXPECT_EQ(std::ranges::count(unbinds, "unbind " + kVf), 2) << "one to vfio-pci, one from it";
  // The next claim of the device waits for the kernel as well, and changes nothing.
  EXPECT_EQ(node.prepare("vfio-pci").status.error().code(), sdk::Code::kUnavailable);
  node.kernel.close_device(kVf);
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, OtherDevicesAreNotHeldUp) {
  CapturedNode node(kQuick);
  const auto prepared = node.prepare("vfio-pci");
  node.kernel.open_device(kVf);
  ASSERT_FALSE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  EXPECT_TRUE(node.prepare("vfio-pci", "0000:11:10.4").status.ok());
  node.kernel.close_device(kVf);
}

TEST_F(BindingVfioTest, ADriverThatRefusesTheDeviceIsAnErrorAndUndone) {
  CapturedNode node(kQuick);
  node.kernel.refuse("vfio-pci");
  const auto failed = node.prepare("vfio-pci");
  ASSERT_FALSE(failed.status.ok());
  EXPECT_EQ(failed.status.error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_EQ(failed.status.error().message(),
            "bind " + kVf + " to vfio-pci: the driver did not take the device");
  ASSERT_TRUE(node.unprepare("vfio-pci", failed.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, EachFailedWriteIsNamedAndUndone) {
  for (const char* file : {"driver_override", "unbind", "drivers_probe"}) {
    for (const int error : {EBUSY, EINVAL, EPERM}) {
      CapturedNode node;
      node.kernel.fail_next(file, error);
      const auto failed = node.prepare("vfio-pci");
      ASSERT_FALSE(failed.status.ok()) << file;
      EXPECT_EQ(failed.status.error().code(), sdk::code_of_errno(error)) << file;
      EXPECT_THAT(failed.status.error().message(), HasSubstr(kVf));
      ASSERT_TRUE(node.unprepare("vfio-pci", failed.snapshot).ok()) << file;
      expect_pristine(node);
    }
  }
}

TEST_F(BindingVfioTest, EachFailedWriteOfTheWayBackIsTriedAgain) {
  for (const char* file : {"driver_override", "unbind", "drivers_probe"}) {
    CapturedNode node;
    const auto prepared = node.prepare("vfio-pci");
    node.kernel.fail_next(file, EBUSY);
    const auto failed = node.unprepare("vfio-pci", prepared.snapshot);
    ASSERT_FALSE(failed.ok()) << file;
    EXPECT_EQ(failed.error().code(), sdk::Code::kUnavailable) << file;
    ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok()) << file;
    expect_pristine(node);
  }
}

/// A process that is killed at its n-th write, and the next one that undoes.
TEST_F(BindingVfioTest, KilledBetweenAnyTwoWritesItIsPutBack) {
  for (const bool going_back : {false, true}) {
    for (int survived = 0; survived < 4; ++survived) {
      SCOPED_TRACE((going_back ? "back, " : "there, ") + std::to_string(survived));
      CapturedNode node;
      Prepared prepared;
      auto asked = node.request("vfio-pci");
      if (going_back) {
        prepared = node.prepare("vfio-pci");
        ASSERT_TRUE(prepared.status.ok());
      } else {
        prepared.snapshot = *node.module().snapshot(node.host.call(), asked.view());
      }
      int writes = 0;
      BindingVfio dying(node.host.host(), *Settings::read(*sdk::Config::parse(kQuick)),
                        Machine{node.host.root(sdk::Root::kSys), node.host.root(sdk::Root::kDev),
                                node.host.root(sdk::Root::kProc),
                                [&](const fs::path& file, const std::string& text) {
                                  return writes++ < survived ? node.kernel.write(file, text) : EIO;
                                },
                                node.modules});
      sdk::testing::RecordedPrepare recorded;
      auto sink = recorded.sink();
      const auto died =
          going_back ? dying.unprepare(node.host.call(), asked.view(), prepared.snapshot, "")
                     : dying.prepare(node.host.call(), asked.view(), prepared.snapshot, sink);
      EXPECT_EQ(died.ok(), survived >= (going_back ? 4 : 3));
      node.restart();
      ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
      expect_pristine(node);
    }
  }
}

TEST_F(BindingVfioTest, ADriverThatIsGoneMeanwhileIsLoadedAgain) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  node.kernel.remove_driver("igbvf");  // rmmod
  const auto missing = node.unprepare("vfio-pci", prepared.snapshot);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message(),
            "bind " + kVf + " to igbvf: this kernel has no module igbvf");
  EXPECT_EQ(node.kernel.driver(kVf), "vfio-pci") << "left bound, not without any driver";
  node.modules->available = {"igbvf"};
  ASSERT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, ADeviceThatIsGoneNeedsNothing) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  node.kernel.remove_device(kVf);
  EXPECT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  EXPECT_THAT(node.host.logs().back().message, HasSubstr("gone"));
  EXPECT_EQ(node.prepare("vfio-pci").status.error().code(), sdk::Code::kNotFound);
}

TEST_F(BindingVfioTest, ADeviceThatGoesMidwayNeedsNothing) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  auto asked = node.request("vfio-pci");
  BindingVfio module(node.host.host(), Settings(),
                     Machine{node.host.root(sdk::Root::kSys), node.host.root(sdk::Root::kDev),
                             node.host.root(sdk::Root::kProc),
                             [&](const fs::path& file, const std::string& text) {
                               if (file.filename() == "drivers_probe") {
                                 node.kernel.remove_device(kVf);
                               }
                               return node.kernel.write(file, text);
                             },
                             node.modules});
  EXPECT_TRUE(module.unprepare(node.host.call(), asked.view(), prepared.snapshot, "").ok());
}

/// sriov_numvfs 4 → 0 → 4: the same address, another VF.
TEST_F(BindingVfioTest, AnotherIncarnationIsNotTouched) {
  CapturedNode node;
  const auto prepared = node.prepare("vfio-pci");
  const fs::path real = fs::canonical(node.kernel.device(kVf));
  fs::rename(real, real.string() + ".old");
  fs::copy(real.string() + ".old", real,
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  const auto writes = node.kernel.writes();
  EXPECT_TRUE(node.unprepare("vfio-pci", prepared.snapshot).ok());
  EXPECT_EQ(node.kernel.writes(), writes);

  auto asked = node.request("vfio-pci");
  sdk::testing::RecordedPrepare recorded;
  auto sink = recorded.sink();
  const auto planned_before =
      node.module().prepare(node.host.call(), asked.view(), prepared.snapshot, sink);
  EXPECT_EQ(planned_before.error().code(), sdk::Code::kAborted);
  EXPECT_EQ(node.kernel.writes(), writes);
}

TEST_F(BindingVfioTest, ADeadlineOfTheCallCounts) {
  CapturedNode node;
  node.kernel.refuse("vfio-pci");
  auto asked = node.request("vfio-pci");
  const auto snapshot = node.module().snapshot(node.host.call(), asked.view());
  sdk::testing::FakeCall call;
  call.deadline = sdk::Call::Clock::now() + std::chrono::milliseconds(20);
  sdk::testing::RecordedPrepare recorded;
  auto sink = recorded.sink();
  EXPECT_FALSE(node.module().prepare(node.host.call(call), asked.view(), *snapshot, sink).ok());
  EXPECT_LT(sdk::Call::Clock::now(), *call.deadline + std::chrono::seconds(5))
      << "the module's own limit is 10 s";
}

TEST_F(BindingVfioTest, ACancelledCallStops) {
  CapturedNode node;
  node.kernel.refuse("vfio-pci");
  auto asked = node.request("vfio-pci");
  const auto snapshot = node.module().snapshot(node.host.call(), asked.view());
  sdk::testing::FakeCall call;
  call.cancelled = true;
  sdk::testing::RecordedPrepare recorded;
  auto sink = recorded.sink();
  const auto stopped = node.module().prepare(node.host.call(call), asked.view(), *snapshot, sink);
  EXPECT_EQ(stopped.error().code(), sdk::Code::kCancelled);
  EXPECT_THAT(node.kernel.writes(), IsEmpty());
}

TEST_F(BindingVfioTest, ABrokenSnapshotIsDataLoss) {
  CapturedNode node;
  EXPECT_EQ(node.unprepare("vfio-pci", "").error().code(), sdk::Code::kDataLoss);
}

TEST_F(BindingVfioTest, AnAddressThatIsNoneIsRefused) {
  CapturedNode node;
  auto asked = node.request("vfio-pci", "../../kernel");
  EXPECT_EQ(node.module().snapshot(node.host.call(), asked.view()).error().code(),
            sdk::Code::kInvalidArgument);
}

// ---- the Go driver's claims ----

TEST_F(BindingVfioTest, WhatTheGoDriverBoundIsPutBack) {
  CapturedNode node;
  ASSERT_TRUE(node.prepare("vfio-pci").status.ok());  // its doing
  node.restart();
  auto asked = node.request("vfio-pci");
  asked.device.fact(DRASRIOV_FACT_DRIVER, "igbvf");
  const auto adopted = node.module().adopt(node.host.call(), asked.view());
  ASSERT_TRUE(adopted.ok());
  ASSERT_TRUE(node.unprepare("vfio-pci", *adopted).ok());
  expect_pristine(node);
}

TEST_F(BindingVfioTest, WhatTheGoDriverFoundUnboundIsUnboundAgain) {
  CapturedNode node;
  ASSERT_TRUE(node.prepare("vfio-pci").status.ok());
  auto asked = node.request("vfio-pci");
  const auto adopted = node.module().adopt(node.host.call(), asked.view());
  ASSERT_TRUE(adopted.ok());
  ASSERT_TRUE(node.unprepare("vfio-pci", *adopted).ok());
  EXPECT_EQ(node.kernel.driver(kVf), "");
  EXPECT_EQ(node.kernel.override(kVf), "");
}

}  // namespace
}  // namespace drasriov::binding_vfio::testing
