// SPDX-License-Identifier: Apache-2.0
//
// The watcher with a source that the test feeds, and the module's watch on a tree that the test
// changes as the kernel would. Nothing sleeps: each step waits for its effect, with a deadline that
// only a failing test reaches.
#include "plugins/discovery-sysfs/watcher.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/plugins/discovery-sysfs/scanned.hpp"
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

namespace drasriov::discovery_sysfs::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr auto kPatience = std::chrono::seconds(30);

/// What happened, in order; any thread.
class Journal {
 public:
  void add(const std::string& entry) {
    const std::lock_guard lock(mutex_);
    entries_.push_back(entry);
    changed_.notify_all();
  }
  /// True as soon as there are `count` entries of that text.
  [[nodiscard]] bool wait_for(const std::string& entry, std::ptrdiff_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      return std::count(entries_.begin(), entries_.end(), entry) >= count;
    });
  }
  [[nodiscard]] std::vector<std::string> entries() const {
    const std::lock_guard lock(mutex_);
    return entries_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> entries_;
};

using Entries = std::vector<std::string>;

/// Gives one Drained for each feed().
class FedSource final : public EventSource {
 public:
  explicit FedSource(Journal& journal)
      : journal_(journal),
        fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) {}

  void feed(const Drained& drained) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(drained);
    }
    ASSERT_EQ(::eventfd_write(fd_.get(), 1), 0);
  }

  [[nodiscard]] int descriptor() const noexcept override { return fd_.get(); }
  [[nodiscard]] Drained drain() override {
    eventfd_t one = 0;
    EXPECT_EQ(::eventfd_read(fd_.get(), &one), 0);
    journal_.add("drain");
    const std::lock_guard lock(mutex_);
    const Drained next = waiting_.front();
    waiting_.pop_front();
    return next;
  }
  void prepare_notice() override { journal_.add("prepare"); }

 private:
  Journal& journal_;
  Descriptor fd_;
  std::mutex mutex_;
  std::deque<Drained> waiting_;
};

class WatcherTest : public ::testing::Test {
 protected:
  void prepare(milliseconds quiet, milliseconds cap) {
    auto source = std::make_unique<FedSource>(journal_);
    source_ = source.get();
    watcher_ = std::make_unique<Watcher>(std::move(source), Debouncer(quiet, cap));
  }
  void start() {
    ASSERT_TRUE(watcher_
                    ->start({
                        .changed = [this] { journal_.add("changed"); },
                        .overflow = [this] { journal_.add("overflow"); },
                        .source_failed =
                            [this](int error) { journal_.add("failed " + std::to_string(error)); },
                    })
                    .ok());
  }
  void start(milliseconds quiet, milliseconds cap) {
    prepare(quiet, cap);
    start();
  }

  Journal journal_;
  FedSource* source_ = nullptr;
  std::unique_ptr<Watcher> watcher_;
};

TEST_F(WatcherTest, PreparesThenTellsOfAChange) {
  start(milliseconds(0), milliseconds(0));
  source_->feed({.relevant = true});
  ASSERT_TRUE(journal_.wait_for("changed", 1));
  EXPECT_EQ(journal_.entries(), (Entries{"drain", "prepare", "changed"}));
}

TEST_F(WatcherTest, SaysNothingOfWhatNoScanWouldSee) {
  start(milliseconds(0), milliseconds(0));
  source_->feed({});
  ASSERT_TRUE(journal_.wait_for("drain", 1));
  source_->feed({});
  ASSERT_TRUE(journal_.wait_for("drain", 2));  // the first has been acted on by now
  EXPECT_EQ(journal_.entries(), (Entries{"drain", "drain"}));
}

TEST_F(WatcherTest, TellsOfABurstOnce) {
  prepare(milliseconds(300), std::chrono::seconds(60));
  for (int i = 0; i < 5; ++i) {
    source_->feed({.relevant = true});
  }
  start();
  ASSERT_TRUE(journal_.wait_for("changed", 1));
  EXPECT_EQ(journal_.entries(),
            (Entries{"drain", "drain", "drain", "drain", "drain", "prepare", "changed"}));
}

TEST_F(WatcherTest, TellsOfABurstThatDoesNotSettle) {
  start(std::chrono::hours(1), milliseconds(20));
  source_->feed({.relevant = true});
  EXPECT_TRUE(journal_.wait_for("changed", 1));
}

TEST_F(WatcherTest, ScansAgainWhenEventsWereLost) {
  start(milliseconds(0), milliseconds(0));
  source_->feed({.overflow = true});
  ASSERT_TRUE(journal_.wait_for("changed", 1));
  EXPECT_EQ(journal_.entries(), (Entries{"drain", "overflow", "prepare", "changed"}));
}

TEST_F(WatcherTest, ScansOnceMoreWhenTheSourceDies) {
  start(milliseconds(0), milliseconds(0));
  source_->feed({.error = EBADF});
  ASSERT_TRUE(journal_.wait_for("changed", 1));
  source_->feed({.relevant = true});  // never drained: that could spin for ever
  watcher_->poke();
  ASSERT_TRUE(journal_.wait_for("changed", 2));
  EXPECT_EQ(journal_.entries(), (Entries{"drain", "failed " + std::to_string(EBADF), "prepare",
                                         "changed", "prepare", "changed"}));
}

TEST_F(WatcherTest, EndsWithoutALastNotice) {
  start(std::chrono::hours(1), std::chrono::hours(1));
  source_->feed({.relevant = true});
  ASSERT_TRUE(journal_.wait_for("drain", 1));
  watcher_->stop();
  watcher_->stop();
  watcher_->poke();
  EXPECT_EQ(journal_.entries(), (Entries{"drain"}));
}

TEST(WatcherPoke, BeforeTheStartIsNotLost) {
  Journal journal;
  Watcher watcher(std::make_unique<FedSource>(journal),
                  Debouncer(milliseconds(0), milliseconds(0)));
  watcher.poke();
  ASSERT_TRUE(watcher.start({.changed = [&] { journal.add("changed"); }}).ok());
  EXPECT_TRUE(journal.wait_for("changed", 1));
}

// ---- the module on a tree ----

class ModuleWatch : public ::testing::Test {
 protected:
  void SetUp() override {
    host_.set_root(sdk::Root::kSys, tree_.root());
    auto module = sdk::testing::ModuleUnderTest::create(
        kTable, host_, "test", R"({"debounceMs": 1, "debounceCapMs": 100})");
    ASSERT_TRUE(module.ok());
    module_ = *std::move(module);
  }

  /// Devices of a scan that begins now.
  [[nodiscard]] std::size_t devices() {
    sdk::testing::RecordedScan found;
    EXPECT_TRUE(module_->scan(found).ok());
    return found.devices.size();
  }
  /// Until a scan after a notice finds that many: a notice may come in the middle of a change.
  [[nodiscard]] bool settles_at(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (int seen = 0; devices() != count; ++seen) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !changes_.wait_for(seen + 1, left)) {
        return false;
      }
    }
    return true;
  }

  SysfsTree tree_ = SysfsTree::capture("b-vfs-igbvf");
  sdk::testing::FakeHost host_;
  sdk::testing::ChangeCounter changes_;
  std::unique_ptr<sdk::testing::ModuleUnderTest> module_;
};

TEST_F(ModuleWatch, SeesVfsComeAndGo) {
  ASSERT_TRUE(module_->start().ok());
  ASSERT_TRUE(module_->watch(changes_).ok());
  ASSERT_EQ(devices(), 10u);
  tree_.add_vf("0000:11:00.0", 4, "0000:11:11.0");
  EXPECT_TRUE(changes_.wait_for(1, kPatience));
  EXPECT_TRUE(settles_at(11));
  tree_.remove_vf("0000:11:11.0");
  tree_.remove_vf("0000:41:10.6");
  EXPECT_TRUE(settles_at(9));
}

TEST_F(ModuleWatch, SeesAVirtfnLinkThatComesLast) {
  tree_.add_vf("0000:41:00.0", 4, "0000:41:11.0");
  tree_.remove("0000:41:00.0", "virtfn4");
  ASSERT_TRUE(module_->start().ok());
  ASSERT_TRUE(module_->watch(changes_).ok());
  ASSERT_EQ(devices(), 10u);
  tree_.link("0000:41:00.0", "virtfn4", "../0000:41:11.0");
  EXPECT_TRUE(settles_at(11));
}

TEST_F(ModuleWatch, SeesTheVfsOfAPfThatCameAfterTheStart) {
  ASSERT_TRUE(module_->start().ok());
  ASSERT_TRUE(module_->watch(changes_).ok());
  const fs::path port = tree_.device("0000:11:00.0").parent_path();
  fs::create_directory(port / "0000:11:01.0");
  std::ofstream(port / "0000:11:01.0/uevent") << "PCI_CLASS=20000\nPCI_ID=8086:10C9\n";
  std::ofstream(port / "0000:11:01.0/sriov_totalvfs") << "7\n";
  fs::create_symlink(fs::relative(port / "0000:11:01.0", tree_.root() / "bus/pci/devices"),
                     tree_.device_link("0000:11:01.0"));
  ASSERT_TRUE(settles_at(11));
  tree_.add_vf("0000:11:01.0", 0, "0000:11:12.0");
  EXPECT_TRUE(settles_at(12));
}

TEST_F(ModuleWatch, SeesDriversAndInterfaces) {
  ASSERT_TRUE(module_->start().ok());
  ASSERT_TRUE(module_->watch(changes_).ok());
  const fs::path drivers = tree_.root() / "bus/pci/drivers";
  fs::remove(drivers / "igbvf/0000:11:10.0");
  ASSERT_TRUE(changes_.wait_for(1, kPatience));
  int before = changes_.count();
  tree_.remove_netdevs("0000:11:10.2");
  ASSERT_TRUE(changes_.wait_for(before + 1, kPatience));
  before = changes_.count();
  fs::create_directory(drivers / "uio_pci_generic");
  ASSERT_TRUE(changes_.wait_for(before + 1, kPatience));
  before = changes_.count();
  fs::create_symlink("x", drivers / "uio_pci_generic/0000:11:10.0");
  EXPECT_TRUE(changes_.wait_for(before + 1, kPatience));
}

TEST_F(ModuleWatch, MissesNothingBetweenStartAndWatch) {
  ASSERT_TRUE(module_->start().ok());
  ASSERT_EQ(devices(), 10u);
  tree_.remove_vf("0000:41:10.6");
  ASSERT_TRUE(module_->watch(changes_).ok());
  EXPECT_TRUE(changes_.wait_for(1, kPatience));
}

TEST_F(ModuleWatch, NeedsAStartAndATree) {
  EXPECT_EQ(module_->watch(changes_).error().code(), sdk::Code::kFailedPrecondition);
  fs::remove_all(tree_.root() / "bus/pci/devices");
  ASSERT_TRUE(module_->start().ok());
  const sdk::Status watched = module_->watch(changes_);
  EXPECT_EQ(watched.error().message(),
            "watch " + tree_.root().string() + "/bus/pci/devices: No such file or directory");
  EXPECT_EQ(watched.error().hint(), "set roots.sys to a sysfs tree");
}

std::size_t entries_of(const char* folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_F(ModuleWatch, LeavesNoThreadAndNoDescriptor) {
  // ThreadSanitizer starts a thread of its own with the first of the program: not the module's.
  std::thread([] {}).join();
  const std::size_t threads = entries_of("/proc/self/task");
  const std::size_t descriptors = entries_of("/proc/self/fd");
  for (const bool live : {false, true}) {
    host_.set_sys_is_live(live);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(module_->start().ok());
      static_cast<void>(module_->watch(changes_));  // nobody may listen to uevents: fine
      EXPECT_EQ(devices(), 10u);
      module_->stop();
    }
  }
  EXPECT_EQ(entries_of("/proc/self/task"), threads);
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
}

// ---- the live machine ----

/// uevent file of a PCI network device whose "change" event this process may cause; empty when
/// there is none.
fs::path network_uevent() {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/sys/bus/pci/devices", none)) {
    std::ifstream file(entry.path() / "class");
    std::string pci_class;
    if (file >> pci_class && pci_class.starts_with("0x02") &&
        std::ofstream(entry.path() / "uevent")) {
      return entry.path() / "uevent";
    }
  }
  return {};
}

TEST(LiveWatch, HearsTheKernel) {
  const fs::path uevent = network_uevent();
  if (uevent.empty()) {
    GTEST_SKIP() << "no PCI network device, or not root";
  }
  sdk::testing::FakeHost host;
  host.set_root(sdk::Root::kSys, "/sys");
  host.set_sys_is_live(true);
  sdk::testing::ChangeCounter changes;  // outlives the module's stop, as watch demands
  auto module = sdk::testing::ModuleUnderTest::create(kTable, host);
  ASSERT_TRUE(module.ok());
  ASSERT_TRUE((*module)->start().ok());
  sdk::testing::RecordedScan found;
  EXPECT_TRUE((*module)->scan(found).ok());
  const sdk::Status watched = (*module)->watch(changes);
  if (!watched.ok()) {
    GTEST_SKIP() << watched.error().message();
  }
  std::ofstream(uevent) << "change";
  EXPECT_TRUE(changes.wait_for(1, kPatience));
}

}  // namespace
}  // namespace drasriov::discovery_sysfs::testing
