// SPDX-License-Identifier: Apache-2.0
//
// What a scan does with a tree that is broken, incomplete or changes under its feet: it names
// object, cause and hint, and keeps all other devices. Each case breaks capture b, which has two
// PFs with four VFs each.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "plugins/discovery-sysfs/pci_scan.hpp"
#include "tests/plugins/discovery-sysfs/scanned.hpp"
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

namespace drasriov::discovery_sysfs::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

constexpr auto kPf = "0000:11:00.0";
constexpr auto kVf = "0000:11:10.2";
constexpr auto kGone =
    " — hint: nothing to do when it was just removed: that event starts another scan";
constexpr auto kBroken =
    " — hint: the kernel never shows this; check the captured tree, or the kernel log for this "
    "address";

struct Case {
  std::string name;
  std::function<void(SysfsTree&)> breaks;
  std::vector<std::string> missing;   ///< devices of the capture that are not reported
  std::vector<std::string> problems;  ///< all of them, whole
};

void PrintTo(const Case& bad, std::ostream* out) {
  *out << bad.name;
}

const std::vector<std::string> kVfsOfPf = {"0000-11-10-0", "0000-11-10-2", "0000-11-10-4",
                                           "0000-11-10-6"};

std::vector<std::string> for_each_vf(const std::string& message) {
  std::vector<std::string> lines;
  for (const char* address : {"0000:11:10.0", "0000:11:10.2", "0000:11:10.4", "0000:11:10.6"}) {
    lines.push_back(address + message);
  }
  return lines;
}

std::vector<std::string> with(std::vector<std::string> list, std::string one) {
  list.push_back(std::move(one));
  return list;
}

std::vector<Case> cases() {
  return {
      {"DanglingDeviceLink",
       [](SysfsTree& tree) { fs::remove_all(tree.device(kVf)); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: vanished or incomplete: its directory: No such file or "
                    "directory") +
        kGone}},
      {"DeviceLinkLoop",
       [](SysfsTree& tree) {
         fs::remove(tree.device_link(kVf));
         fs::create_symlink(kVf, tree.device_link(kVf));
       },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: its directory: Too many levels of symbolic links") +
        kBroken}},
      {"NoDeviceLink",
       [](SysfsTree& tree) { fs::remove(tree.device_link(kVf)); },
       {"0000-11-10-2"},
       {std::string("0000:11:00.0: virtfn1 leads to 0000:11:10.2, which is not there") + kGone}},
      {"NoPciAddress",
       [](SysfsTree& tree) { fs::create_directory(tree.root() / "bus/pci/devices/0000:11:20.0"); },
       {},
       {"<root>/bus/pci/devices/0000:11:20.0: skipped: the name is not a PCI address" +
        std::string(kBroken)}},
      {"NoUevent",
       [](SysfsTree& tree) { tree.remove(kVf, "uevent"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: vanished or incomplete: uevent: No such file or directory") +
        kGone}},
      {"HugeUevent",
       [](SysfsTree& tree) { tree.write(kVf, "uevent", std::string(5000, 'x')); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: uevent: File too large") + kBroken}},
      {"NoClass",
       [](SysfsTree& tree) { tree.set_uevent(kVf, "PCI_CLASS", ""); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: uevent has no valid PCI_CLASS") + kBroken}},
      {"GarbageClass",
       [](SysfsTree& tree) { tree.set_uevent(kVf, "PCI_CLASS", "2zz00"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: uevent has no valid PCI_CLASS") + kBroken}},
      {"NoId",
       [](SysfsTree& tree) { tree.set_uevent(kVf, "PCI_ID", ""); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: uevent has no valid PCI_ID") + kBroken}},
      {"GarbageId",
       [](SysfsTree& tree) { tree.set_uevent(kVf, "PCI_ID", "8086:10CAFE"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: uevent has no valid PCI_ID") + kBroken}},
      {"GarbageNuma",
       [](SysfsTree& tree) { tree.write(kVf, "numa_node", "abc\n"); },
       {},
       {std::string("0000:11:10.2: published without numaNode: numa_node is \"abc\"") + kBroken}},
      {"NegativeNuma",
       [](SysfsTree& tree) { tree.write(kVf, "numa_node", "-2\n"); },
       {},
       {std::string("0000:11:10.2: published without numaNode: numa_node is \"-2\"") + kBroken}},
      {"EmptyNuma",
       [](SysfsTree& tree) { tree.write(kVf, "numa_node", ""); },
       {},
       {std::string("0000:11:10.2: published without numaNode: numa_node is \"\"") + kBroken}},
      {"GarbageIommuGroup",
       [](SysfsTree& tree) { tree.link(kVf, "iommu_group", "../../kernel/iommu_groups/x"); },
       {},
       {std::string("0000:11:10.2: no IOMMU group: iommu_group leads to "
                    "\"../../kernel/iommu_groups/x\"") +
        kBroken}},
      {"IommuGroupIsNoLink",
       [](SysfsTree& tree) {
         tree.remove(kVf, "iommu_group");
         tree.write(kVf, "iommu_group", "10\n");
       },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: iommu_group: Invalid argument") + kBroken}},
      {"DanglingPhysfn",
       [](SysfsTree& tree) { tree.link(kVf, "physfn", "../0000:11:01.0"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: physfn leads to 0000:11:01.0, which cannot be opened: "
                    "No such file or directory") +
        kGone}},
      {"PhysfnLoop",
       [](SysfsTree& tree) { tree.link(kVf, "physfn", "physfn"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: physfn leads to \"physfn\", not to a PCI device") +
        kBroken}},
      {"PhysfnIsNoLink",
       [](SysfsTree& tree) {
         tree.remove(kVf, "physfn");
         tree.write(kVf, "physfn", "0000:11:00.0\n");
       },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: physfn: Invalid argument") + kBroken}},
      {"PhysfnLeadsToItself",
       [](SysfsTree& tree) { tree.link(kVf, "physfn", "../0000:11:10.2"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: physfn leads to 0000:11:10.2, which is itself a VF") +
        kBroken}},
      {"PhysfnLeadsToABridge",
       [](SysfsTree& tree) { tree.link(kVf, "physfn", "../../0000:10:00.0"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: physfn leads to 0000:10:00.0, which has neither "
                    "sriov_totalvfs nor a virtfn link") +
        kBroken}},
      {"PhysfnLeadsToAnotherPf",
       [](SysfsTree& tree) { tree.link(kVf, "physfn", "../../../0000:41:00.0"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: no virtfn link of 0000:41:00.0 leads to it") + kGone}},
      {"VirtfnLoop",
       [](SysfsTree& tree) { tree.link(kPf, "virtfn1", "virtfn1"); },
       {"0000-11-10-2"},
       {std::string("0000:11:00.0: virtfn1 leads to \"virtfn1\", not to a PCI device") + kBroken,
        std::string("0000:11:10.2: skipped: no virtfn link of 0000:11:00.0 leads to it") + kGone}},
      {"VirtfnLeadsToThePf",
       [](SysfsTree& tree) { tree.link(kPf, "virtfn1", "../0000:11:00.0"); },
       {"0000-11-10-2"},
       {std::string("0000:11:00.0: virtfn1 leads to the PF itself") + kBroken,
        std::string("0000:11:10.2: skipped: no virtfn link of 0000:11:00.0 leads to it") + kGone}},
      {"VirtfnIsNoLink",
       [](SysfsTree& tree) {
         tree.remove(kPf, "virtfn1");
         tree.write(kPf, "virtfn1", "");
       },
       {"0000-11-10-2"},
       {std::string("0000:11:00.0: skipped: virtfn1: Invalid argument") + kBroken,
        std::string("0000:11:10.2: skipped: no virtfn link of 0000:11:00.0 leads to it") + kGone}},
      {"TwoVirtfnsForOneVf",
       [](SysfsTree& tree) { tree.link(kPf, "virtfn3", "../0000:11:10.2"); },
       {"0000-11-10-6"},
       {std::string("0000:11:00.0: virtfn1 and virtfn3 both lead to 0000:11:10.2") + kBroken,
        std::string("0000:11:10.6: skipped: no virtfn link of 0000:11:00.0 leads to it") + kGone}},
      {"NoVirtfn",
       [](SysfsTree& tree) { tree.remove(kPf, "virtfn1"); },
       {"0000-11-10-2"},
       {std::string("0000:11:10.2: skipped: no virtfn link of 0000:11:00.0 leads to it") + kGone}},
      {"PfWithoutId", [](SysfsTree& tree) { tree.set_uevent(kPf, "PCI_ID", ""); },
       with(kVfsOfPf, "0000-11-00-0"),
       with(for_each_vf(": skipped: physfn leads to 0000:11:00.0, which has problems of its own" +
                        std::string(kBroken)),
            std::string("0000:11:00.0: skipped: uevent has no valid PCI_ID") + kBroken)},
      {"NoPf", [](SysfsTree& tree) { fs::remove_all(tree.device(kPf)); },
       with(kVfsOfPf, "0000-11-00-0"),
       with(for_each_vf(": skipped: physfn leads to 0000:11:00.0, which cannot be opened: No such "
                        "file or directory" +
                        std::string(kGone)),
            std::string("0000:11:00.0: vanished or incomplete: its directory: No such file or "
                        "directory") +
                kGone)},
  };
}

class BadTree : public ::testing::TestWithParam<Case> {};

TEST_P(BadTree, CostsOnlyTheDeviceThatIsBad) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  std::vector<std::string> expected;
  const nlohmann::json whole = Scanned(tree).json();
  for (const auto& [name, device] : whole.items()) {
    if (std::find(GetParam().missing.begin(), GetParam().missing.end(), name) ==
        GetParam().missing.end()) {
      expected.push_back(name);
    }
  }
  GetParam().breaks(tree);
  const Scanned scanned(tree);
  ASSERT_TRUE(scanned.status().ok());
  std::vector<std::string> reported;
  for (const sdk::Device& device : scanned.devices()) {
    reported.push_back(device.name());
  }
  EXPECT_THAT(reported, UnorderedElementsAreArray(expected));
  std::vector<std::string> problems = GetParam().problems;
  for (std::string& problem : problems) {
    if (problem.starts_with("<root>")) {
      problem.replace(0, 6, tree.root().string());
    }
  }
  EXPECT_THAT(scanned.problems(), UnorderedElementsAreArray(problems));
}

INSTANTIATE_TEST_SUITE_P(Discovery, BadTree, ::testing::ValuesIn(cases()),
                         [](const auto& bad) { return bad.param.name; });

TEST(BadTreeAsAWhole, LowestIndexWinsAmongTwoVirtfns) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  tree.link(kPf, "virtfn3", "../0000:11:10.2");
  EXPECT_EQ(Scanned(tree).number("0000-11-10-2", "vfID"), 1);
}

TEST(BadTreeAsAWhole, WithoutNetFolderTheDevicesStay) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  fs::remove_all(tree.root() / "class");
  const Scanned scanned(tree);
  EXPECT_THAT(scanned.devices(), SizeIs(10));
  EXPECT_EQ(scanned.text("0000-11-10-2", "PFName"), "(none)");
  EXPECT_THAT(scanned.problems(),
              ElementsAre(tree.root().string() +
                          "/class/net: no interface names: No such file or directory — hint: "
                          "devices are listed without PFName; a live sysfs always has this "
                          "folder"));
}

TEST(BadTreeAsAWhole, WithoutPciDevicesNothingIsKnown) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  fs::remove_all(tree.root() / "bus/pci/devices");
  const Scanned scanned(tree);
  ASSERT_FALSE(scanned.status().ok());
  EXPECT_EQ(scanned.status().error().code(), sdk::Code::kUnavailable);
  EXPECT_EQ(scanned.status().error().message(),
            tree.root().string() + "/bus/pci/devices: No such file or directory");
  EXPECT_EQ(
      scanned.status().error().hint(),
      "mount sysfs there (in a container: the host's /sys), or set roots.sys to a sysfs tree");
  EXPECT_THAT(scanned.devices(), IsEmpty());
}

/// Scans, and lets `when` happen right before the device at `address` is read.
Snapshot scan_while(const SysfsTree& tree, std::string_view address,
                    const std::function<void()>& when) {
  auto snapshot = PciScan(tree.root()).run([&](std::string_view next) {
    if (next == address) {
      when();
    }
    return sdk::Status();
  });
  return *std::move(snapshot);
}

TEST(DuringAScan, AVfThatVanishesIsSkipped) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  const Snapshot snapshot = scan_while(tree, kVf, [&] { tree.remove_vf(kVf); });
  EXPECT_THAT(snapshot.pfs, SizeIs(2));
  EXPECT_THAT(snapshot.vfs, SizeIs(7));
  EXPECT_THAT(snapshot.problems,
              ElementsAre(Problem{kVf,
                                  "vanished or incomplete: its directory: No such file or "
                                  "directory" +
                                      std::string(kGone)}));
}

TEST(DuringAScan, VfsThatVanishWithTheirPfAreSkipped) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  const Snapshot snapshot = scan_while(tree, kPf, [&] { fs::remove_all(tree.device(kPf)); });
  EXPECT_THAT(snapshot.pfs, SizeIs(1));
  EXPECT_THAT(snapshot.vfs, SizeIs(4));
  EXPECT_THAT(snapshot.problems, SizeIs(5));
}

TEST(DuringAScan, AVfThatComesIsLeftToTheNextScan) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  const Snapshot snapshot = scan_while(tree, kPf, [&] { tree.add_vf(kPf, 4, "0000:11:11.0"); });
  EXPECT_THAT(snapshot.vfs, SizeIs(8));
  EXPECT_THAT(snapshot.problems,
              ElementsAre(Problem{
                  kPf, "virtfn4 leads to 0000:11:11.0, which is not there" + std::string(kGone)}));
  EXPECT_THAT(scan_while(tree, kPf, [] {}).vfs, SizeIs(9));
}

TEST(DuringAScan, CancellationAndDeadlineEndIt) {
  SysfsTree tree = SysfsTree::capture("b-vfs-igbvf");
  sdk::testing::FakeHost host;
  host.set_root(sdk::Root::kSys, tree.root());
  const auto module = sdk::testing::ModuleUnderTest::create(kTable, host);
  ASSERT_TRUE(module.ok());
  sdk::testing::RecordedScan found;
  sdk::testing::FakeCall cancelled;
  cancelled.cancelled = true;
  EXPECT_EQ((*module)->scan(found, cancelled).error().code(), sdk::Code::kCancelled);
  sdk::testing::FakeCall late;
  late.deadline = sdk::Call::Clock::now();
  EXPECT_EQ((*module)->scan(found, late).error().code(), sdk::Code::kDeadlineExceeded);
  EXPECT_THAT(found.devices, IsEmpty());
}

}  // namespace
}  // namespace drasriov::discovery_sysfs::testing
