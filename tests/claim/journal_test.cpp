// SPDX-License-Identifier: Apache-2.0
//
// Journal: durable writes, strict reading with quarantine, what is held, and a disk that refuses.
#include "host/claim/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "host/base/durable_file.hpp"
#include "tests/claim/fakes.hpp"
#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempDir;

Record record_for(int number, std::vector<int> functions, const std::string& pod = "pod-a") {
  Record record;
  record.state = RecordState::kPrepared;
  record.claim = {"tenant", "claim-" + std::to_string(number), "uid-" + std::to_string(number)};
  record.boot_id = "boot-1";
  record.consumers = {{"pods", pod, "uid-of-" + pod}};
  record.pod_uid = "uid-of-" + pod;
  for (const int index : functions) {
    DeviceRecord device;
    device.plan.published = testing::virtual_function(index);
    device.plan.allocated = {"main", "node-1", device.plan.published.name, false, {}};
    device.plan.interface_name = "net" + std::to_string(index);
    record.devices.push_back(device);
  }
  return record;
}
RecordPtr shared(Record record) {
  return std::make_shared<const Record>(std::move(record));
}

ClaimObject object_for(const Record& record) {
  ClaimObject claim;
  claim.ref = record.claim;
  claim.consumers = record.consumers;
  for (const DeviceRecord& device : record.devices) claim.devices.push_back(device.plan.allocated);
  return claim;
}

class JournalTest : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path claims() const { return directory_.path() / "claims"; }
  std::unique_ptr<Journal> open(const std::string& boot_id = "boot-1") {
    auto journal = Journal::open(claims(), boot_id);
    EXPECT_TRUE(journal) << journal.error().to_string();
    return journal ? std::move(*journal) : nullptr;
  }
  static std::vector<std::string> files(const fs::path& folder) {
    return testing::record_files(folder);
  }
  void put_text(const std::string& name, const std::string& text) {
    fs::create_directories((claims() / name).parent_path());
    std::ofstream(claims() / name) << text;
  }
  TempDir directory_;
};

TEST_F(JournalTest, WhatIsWrittenIsThereAfterAReopen) {
  const RecordPtr one = shared(record_for(1, {0}));
  const RecordPtr two = shared(record_for(2, {1, 2}));
  {
    auto journal = open();
    ASSERT_TRUE(journal->write(one));
    ASSERT_TRUE(journal->write(two));
  }
  auto journal = open();
  EXPECT_EQ(*journal->find("uid-1"), *one);
  EXPECT_EQ(*journal->find("uid-2"), *two);
  EXPECT_EQ(journal->find("uid-3"), nullptr);
  EXPECT_EQ(journal->held()->size(), 3U);
  ASSERT_TRUE(journal->erase("uid-2"));
  ASSERT_TRUE(journal->erase("uid-2")) << "what is not there is gone already";
  EXPECT_EQ(journal->held()->size(), 1U);
  EXPECT_THAT(files(claims()), ElementsAre("uid-1.json"));
}

TEST_F(JournalTest, RecordsAreForTheDriverOnly) {
  auto journal = open();
  ASSERT_TRUE(journal->write(shared(record_for(1, {0}))));
  struct stat info {};
  ASSERT_EQ(::stat((claims() / "uid-1.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(claims().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(JournalTest, TheHeldSnapshotIsTheSameUntilItChanges) {
  auto journal = open();
  ASSERT_TRUE(journal->write(shared(record_for(1, {0}))));
  const HeldSnapshot first = journal->held();
  EXPECT_EQ(journal->held(), first);
  ASSERT_TRUE(journal->reserve(shared(record_for(2, {1}))));
  EXPECT_EQ(journal->held(), first) << "a reservation is not on disk: nothing is held by it";
  ASSERT_TRUE(journal->write(shared(record_for(2, {1}))));
  const HeldSnapshot second = journal->held();
  EXPECT_NE(second, first);
  EXPECT_EQ(second->at("0000-08-00-0"), first->at("0000-08-00-0")) << "values are shared";
  EXPECT_EQ(first->size(), 1U);
}

TEST_F(JournalTest, AReservationKeepsOthersFromDeviceAndName) {
  auto journal = open();
  ASSERT_TRUE(journal->reserve(shared(record_for(1, {0}))));
  EXPECT_FALSE(journal->reserve(shared(record_for(2, {0}, "pod-b")))) << "same device";
  Record same_name = record_for(3, {5});
  same_name.devices[0].plan.interface_name = "net0";
  EXPECT_FALSE(journal->reserve(shared(same_name))) << "same name in the same pod";
  same_name.consumers = {{"pods", "pod-b", "uid-of-pod-b"}};
  same_name.pod_uid = "uid-of-pod-b";
  EXPECT_TRUE(journal->reserve(shared(same_name))) << "same name in another pod";
  journal->cancel_reservation("uid-1");
  EXPECT_TRUE(journal->reserve(shared(record_for(2, {0}, "pod-c"))));
}

TEST_F(JournalTest, CancellingAReservationBringsBackWhatWasThere) {
  auto journal = open();
  const RecordPtr before = shared(record_for(1, {0}));
  ASSERT_TRUE(journal->write(before));
  ASSERT_TRUE(journal->reserve(shared(record_for(1, {1}))));
  journal->cancel_reservation("uid-1");
  EXPECT_EQ(journal->find("uid-1"), before);
  EXPECT_FALSE(journal->surroundings(object_for(record_for(2, {0}, "pod-b"))).holders.empty());
  EXPECT_TRUE(journal->surroundings(object_for(record_for(2, {1}, "pod-b"))).holders.empty());
}

TEST_F(JournalTest, SurroundingsNameHoldersAndNames) {
  auto journal = open();
  Record undoing = record_for(1, {0});
  undoing.state = RecordState::kUndoing;
  undoing.last_error = "busy";
  ASSERT_TRUE(journal->write(shared(undoing)));
  const Surroundings around = journal->surroundings(object_for(record_for(2, {0, 1})));
  ASSERT_EQ(around.holders.size(), 1U);
  EXPECT_EQ(around.holders.at("0000-08-00-0").claim, undoing.claim);
  EXPECT_EQ(around.holders.at("0000-08-00-0").state, "Undoing");
  EXPECT_EQ(around.holders.at("0000-08-00-0").cause, "busy");
  EXPECT_EQ(around.interface_names.at("net0"), undoing.claim);
  EXPECT_TRUE(journal->surroundings(object_for(record_for(1, {0}))).holders.empty())
      << "one's own does not block";
}

TEST_F(JournalTest, AdminAccessHoldsNothing) {
  auto journal = open();
  Record looking = record_for(1, {0});
  looking.devices[0].plan.allocated.admin_access = true;
  ASSERT_TRUE(journal->write(shared(looking)));
  EXPECT_TRUE(journal->held()->empty());
  EXPECT_TRUE(journal->surroundings(object_for(record_for(2, {0}))).holders.empty());
}

TEST_F(JournalTest, ARecordOfAnotherBootHoldsNothingButItsNames) {
  ASSERT_TRUE(open()->write(shared(record_for(1, {0}))));
  auto journal = open("boot-2");
  EXPECT_TRUE(journal->held()->empty());
  EXPECT_TRUE(journal->surroundings(object_for(record_for(2, {0}))).holders.empty());
  EXPECT_EQ(journal->surroundings(object_for(record_for(2, {0}))).interface_names.count("net0"),
            1U);
  EXPECT_EQ(journal->surroundings(object_for(record_for(1, {0}))).previous_names.at("0000-08-00-0"),
            "net0");
}

TEST_F(JournalTest, RecordsOfAPodAreThoseOfItsDocument) {
  auto journal = open();
  ASSERT_TRUE(journal->write(shared(record_for(1, {0}))));
  ASSERT_TRUE(journal->write(shared(record_for(2, {1}))));
  Record shared_claim = record_for(3, {2});
  shared_claim.pod_uid.reset();
  ASSERT_TRUE(journal->write(shared(shared_claim)));
  EXPECT_EQ(journal->of_pod("uid-of-pod-a").size(), 2U);
  EXPECT_TRUE(journal->of_pod("uid-of-pod-b").empty());
}

struct BadFile {
  const char* name;
  std::string text;
  const char* reason;
};

class Quarantine : public JournalTest, public ::testing::WithParamInterface<BadFile> {};

TEST_P(Quarantine, KeepsTheFileAndTheReasonAndTheOthersLive) {
  ASSERT_TRUE(open()->write(shared(record_for(1, {0}))));
  put_text("uid-9.json", GetParam().text);
  {
    auto journal = open();
    ASSERT_NE(journal, nullptr);
    EXPECT_NE(journal->find("uid-1"), nullptr);
    EXPECT_EQ(journal->find("uid-9"), nullptr);
    ASSERT_EQ(journal->quarantined().size(), 1U);
    EXPECT_EQ(journal->quarantined()[0].uid, "uid-9");
    EXPECT_TRUE(journal->quarantined()[0].fresh);
    EXPECT_EQ(journal->quarantined()[0].reason,
              "record " + (claims() / "uid-9.json").native() + ": " + GetParam().reason);
    EXPECT_THAT(files(claims()), ElementsAre("quarantine", "uid-1.json"));
    EXPECT_THAT(files(claims() / "quarantine"), ElementsAre("uid-9.json", "uid-9.reason"));
    EXPECT_EQ(*read_file(claims() / "quarantine/uid-9.json"), GetParam().text);
  }
  auto journal = open();
  ASSERT_EQ(journal->quarantined().size(), 1U) << "known over a restart, told once";
  EXPECT_FALSE(journal->quarantined()[0].fresh);
  EXPECT_THAT(journal->quarantined()[0].reason, HasSubstr(GetParam().reason));
  ASSERT_TRUE(journal->release_quarantined("uid-9"));
  EXPECT_TRUE(journal->quarantined().empty());
  EXPECT_THAT(files(claims() / "quarantine"), IsEmpty());
}

std::string newer_format() {
  std::string text = encode_record(record_for(9, {3}));
  text.replace(text.find("\"format\":1"), 10, "\"format\":2");
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    Files, Quarantine,
    ::testing::Values(
        BadFile{"Empty", "", "it does not begin like a record of format 1"},
        BadFile{"Zeros", std::string(4096, '\0'), "it does not begin like a record of format 1"},
        BadFile{"NewerFormat", newer_format(), "it does not begin like a record of format 1"},
        BadFile{"CutShort", encode_record(record_for(9, {3})).substr(0, 500), "it is cut short"},
        BadFile{"OtherClaim", encode_record(record_for(8, {3})), "it is about claim UID uid-8"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(JournalTest, ADamagedRecordThatIsReadableStillBlocksItsDevices) {
  std::string text = encode_record(record_for(9, {3}));
  text.replace(text.find("\"vfID\":{\"int\":3}"), 16, "\"vfID\":{\"int\":4}");
  put_text("uid-9.json", text);
  for (int start = 0; start < 2; ++start) {
    auto journal = open();
    ASSERT_EQ(journal->held()->size(), 1U);
    EXPECT_EQ(journal->held()->at("0000-08-00-3")->state, "Quarantined");
    const Surroundings around = journal->surroundings(object_for(record_for(1, {3}, "pod-b")));
    EXPECT_EQ(around.holders.at("0000-08-00-3").state, "Quarantined");
    EXPECT_THAT(around.holders.at("0000-08-00-3").cause, HasSubstr("its checksum does not match"));
    EXPECT_TRUE(journal->surroundings(object_for(record_for(9, {3}))).holders.empty())
        << "not the claim itself";
  }
  auto journal = open();
  ASSERT_TRUE(journal->release_quarantined("uid-9"));
  EXPECT_TRUE(journal->held()->empty());
}

class UnreadableRecord : public JournalTest, public ::testing::WithParamInterface<int> {};

TEST_P(UnreadableRecord, StillHoldsWhatTheOneBesideItHolds) {
  Record record = record_for(9, {3});
  {
    auto journal = open();
    for (int earlier = 0; earlier < GetParam(); ++earlier) {
      record.state = RecordState::kPreparing;
      ASSERT_TRUE(journal->write(shared(record)));
    }
    record.state = RecordState::kPrepared;
    ASSERT_TRUE(journal->write(shared(record)));
    EXPECT_TRUE(fs::exists(claims() / "uid-9.previous"));
  }
  put_text("uid-9.json", "");
  for (int start = 0; start < 2; ++start) {
    auto journal = open();
    ASSERT_EQ(journal->quarantined().size(), 1U);
    ASSERT_NE(journal->quarantined()[0].claimed, nullptr);
    EXPECT_EQ(journal->quarantined()[0].claimed->claim, record.claim);
    EXPECT_EQ(journal->held()->at("0000-08-00-3")->state, "Quarantined");
    EXPECT_EQ(journal->surroundings(object_for(record_for(1, {3}, "pod-b")))
                  .holders.at("0000-08-00-3")
                  .claim,
              record.claim);
    EXPECT_THAT(files(claims()), ElementsAre("quarantine"));
  }
  auto journal = open();
  ASSERT_TRUE(journal->release_quarantined("uid-9"));
  EXPECT_TRUE(journal->held()->empty());
  EXPECT_THAT(files(claims() / "quarantine"), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(EarlierWrites, UnreadableRecord, ::testing::Values(0, 1, 2));

TEST_F(JournalTest, ARecordThatCannotBeLookedAtHoldsWhatTheOneBesideItHolds) {
  ASSERT_TRUE(open()->write(shared(record_for(9, {3}))));
  fs::remove(claims() / "uid-9.json");
  fs::create_symlink("uid-9.json", claims() / "uid-9.json");  // ELOOP, as EIO of a damaged disk
  auto journal = open();
  ASSERT_NE(journal, nullptr);
  ASSERT_EQ(journal->quarantined().size(), 1U);
  EXPECT_NE(journal->quarantined()[0].claimed, nullptr);
  EXPECT_EQ(journal->held()->count("0000-08-00-3"), 1U);
}

TEST_F(JournalTest, AGoodRecordBesideItIsBelievedBeforeADamagedOne) {
  {
    auto journal = open();
    ASSERT_TRUE(journal->write(shared(record_for(9, {3}))));
    ASSERT_TRUE(journal->write(shared(record_for(9, {3}))));
  }
  // One flipped bit: still JSON, of another device.
  std::string damaged = encode_record(record_for(9, {3}));
  for (std::size_t at = 0; (at = damaged.find("0000-08-00-3", at)) != std::string::npos; ++at)
    damaged[at + 11] = '2';
  put_text("uid-9.json", damaged);
  const auto journal = open();
  ASSERT_EQ(journal->quarantined().size(), 1U);
  EXPECT_EQ(journal->held()->count("0000-08-00-3"), 1U);
  EXPECT_EQ(journal->held()->count("0000-08-00-2"), 0U);
}

TEST_F(JournalTest, ThePreviousRecordOfAnotherBootIsNoneForThisOne) {
  ASSERT_TRUE(open()->write(shared(record_for(9, {3}))));
  Record again = record_for(9, {3});
  again.boot_id = "boot-2";
  ASSERT_TRUE(open("boot-2")->write(shared(again)));
  put_text("uid-9.json", "");
  EXPECT_EQ(open("boot-2")->held()->count("0000-08-00-3"), 1U);
}

TEST_F(JournalTest, ARecordOfAnotherBootIsNotBelievedBeforeADamagedOneOfThis) {
  ASSERT_TRUE(open()->write(shared(record_for(9, {3}))));
  Record again = record_for(9, {3});
  again.boot_id = "boot-2";
  again.state = RecordState::kPreparing;
  ASSERT_TRUE(open("boot-2")->write(shared(again)));
  std::string damaged = encode_record(again);
  damaged.replace(damaged.find("pod-a"), 5, "pod-b");
  put_text("uid-9.json", damaged);
  EXPECT_EQ(open("boot-2")->held()->count("0000-08-00-3"), 1U);
}

TEST_F(JournalTest, ThePreviousRecordGoesWithItsRecord) {
  auto journal = open();
  ASSERT_TRUE(journal->write(shared(record_for(1, {0}))));
  ASSERT_TRUE(journal->write(shared(record_for(1, {0}))));
  ASSERT_TRUE(journal->erase("uid-1"));
  EXPECT_THAT(files(claims()), IsEmpty());
  put_text("uid-2.previous", encode_record(record_for(2, {1})));
  journal = open();
  EXPECT_TRUE(journal->quarantined().empty()) << "of a removal that was cut short";
  EXPECT_THAT(files(claims()), IsEmpty());
}

TEST_F(JournalTest, TemporaryFilesOfAKilledWriteGo) {
  ASSERT_TRUE(open()->write(shared(record_for(1, {0}))));
  put_text(".uid-2.json.abcdef.tmp", "half a rec");
  auto journal = open();
  EXPECT_THAT(files(claims()), ElementsAre("uid-1.json"));
}

TEST_F(JournalTest, OtherFilesAreLeftAlone) {
  put_text("README.txt", "hello");
  auto journal = open();
  EXPECT_THAT(files(claims()), ElementsAre("README.txt"));
  EXPECT_TRUE(journal->quarantined().empty());
}

TEST_F(JournalTest, AFileInTheWayOfTheDirectoryIsSaidSo) {
  std::ofstream(claims()) << "x";
  const auto journal = Journal::open(claims(), "boot-1");
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().to_string(),
            "journal of claims: create directory " + claims().native() +
                ": a file of that name exists — hint: remove the file or configure another "
                "directory");
}

TEST_F(JournalTest, AWriteThatFailsChangesNothing) {
  auto journal = open();
  const RecordPtr before = shared(record_for(1, {0}));
  ASSERT_TRUE(journal->write(before));
  // A directory of the record's name: rename(2) refuses it for root as well.
  fs::create_directory(claims() / "uid-2.json");
  const auto written = journal->write(shared(record_for(2, {1})));
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message(),
              HasSubstr("journal: rename to " + (claims() / "uid-2.json").native()));
  EXPECT_EQ(journal->find("uid-2"), nullptr);
  EXPECT_EQ(journal->find("uid-1"), before);
  EXPECT_EQ(journal->held()->size(), 1U);
  EXPECT_THAT(files(claims()), ElementsAre("uid-1.json", "uid-2.json"))
      << "no temporary file is left";
}

TEST_F(JournalTest, AFullDiskIsSaidSoAndChangesNothing) {
  auto journal = open();
  // A limit on the size of files is the disk that is full for this process alone (EFBIG instead of ENOSPC).
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit tight = before;
  tight.rlim_cur = 100;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto written = journal->write(shared(record_for(1, {0})));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message(),
            "journal: write " + (claims() / "uid-1.json").native() + ": File too large");
  EXPECT_EQ(journal->find("uid-1"), nullptr);
  EXPECT_THAT(files(claims()), IsEmpty());
  EXPECT_TRUE(journal->write(shared(record_for(1, {0})))) << "goes on when there is room";
}

/// A file system of its own below `path`; needs the privilege to mount.
class Mount {
 public:
  Mount(fs::path path, const char* options) : path_(std::move(path)) {
    fs::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, options) == 0;
  }
  ~Mount() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] bool make_read_only() const {
    return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  fs::path path_;
  bool mounted_ = false;
};

TEST_F(JournalTest, NoSpaceLeftOnDevice) {
  const Mount disk(claims(), "size=16k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  auto journal = open();
  Status written;
  int count = 0;
  for (; written && count < 100; ++count)
    written = journal->write(shared(record_for(count, {count})));
  ASSERT_FALSE(written);
  const std::string failed = "uid-" + std::to_string(count - 1);
  EXPECT_EQ(
      written.error().to_string(),
      "journal: write " + (claims() / (failed + ".json")).native() +
          ": No space left on device — hint: free space on the file system of that directory");
  EXPECT_EQ(journal->find(failed), nullptr);
  ASSERT_TRUE(journal->erase("uid-0")) << "a claim can be forgotten on a full disk";
  EXPECT_TRUE(journal->write(shared(record_for(0, {0}))));
}

TEST_F(JournalTest, ReadOnlyFileSystem) {
  const Mount disk(claims(), "size=64k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  ASSERT_TRUE(open()->write(shared(record_for(1, {0}))));
  ASSERT_TRUE(disk.make_read_only());
  auto journal = open();
  ASSERT_NE(journal, nullptr);
  const auto written = journal->write(shared(record_for(2, {1})));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().to_string(), "journal: create a temporary file for " +
                                             (claims() / "uid-2.json").native() +
                                             ": Read-only file system — hint: the file system is "
                                             "mounted read-only: mount it writable for the driver");
  const auto erased = journal->erase("uid-1");
  ASSERT_FALSE(erased);
  EXPECT_NE(journal->find("uid-1"), nullptr);
}

TEST_F(JournalTest, ADirectoryThatWasRemovedUnderItIsSaid) {
  auto journal = open();
  ASSERT_NE(journal, nullptr);
  fs::remove_all(claims());
  const auto written = journal->write(shared(record_for(1, {0})));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().hint().find("directory " + claims().native() + " does not exist"),
            std::string::npos)
      << written.error().to_string();
  EXPECT_EQ(journal->find("uid-1"), nullptr);
}

TEST_F(JournalTest, BootId) {
  fs::create_directories(directory_.path() / "sys/kernel/random");
  std::ofstream(directory_.path() / "sys/kernel/random/boot_id")
      << "11111111-2222-3333-4444-555555555555\n";
  EXPECT_EQ(*read_boot_id(directory_.path()), "11111111-2222-3333-4444-555555555555");
  std::ofstream(directory_.path() / "sys/kernel/random/boot_id") << "\n";
  EXPECT_FALSE(read_boot_id(directory_.path()));
  EXPECT_FALSE(read_boot_id(directory_.path() / "nowhere"));
}

}  // namespace
}  // namespace drasriov::claim
