// SPDX-License-Identifier: Apache-2.0
#include "host/claim/journal_files.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "host/base/durable_file.hpp"
#include "tests/claim/fakes.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;
using Condition = JournalEntry::Condition;

Record record(const std::string& uid, int device, const std::string& boot = "boot") {
  Record made;
  made.state = RecordState::kPrepared;
  made.claim = {"ns", "claim-" + uid, uid};
  made.boot_id = boot;
  DeviceRecord held;
  held.plan.published = testing::virtual_function(device);
  held.plan.allocated.device = held.plan.published.name;
  made.devices.push_back(held);
  return made;
}

class JournalFiles : public ::testing::Test {
 protected:
  JournalFiles() {
    std::string name = "/tmp/drasriov-journal.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~JournalFiles() override { fs::remove_all(directory_); }

  void put(const std::string& uid, std::string_view text) const {
    std::ofstream(directory_ / (uid + ".json")) << text;
  }
  [[nodiscard]] std::vector<JournalEntry> read() const {
    auto entries = read_journal_files(directory_);
    EXPECT_TRUE(entries) << entries.error().to_string();
    return entries ? *std::move(entries) : std::vector<JournalEntry>();
  }

  fs::path directory_;
};

TEST_F(JournalFiles, NoDirectoryIsNoRecords) {
  const auto entries = read_journal_files(directory_ / "nosuch");
  ASSERT_TRUE(entries);
  EXPECT_TRUE(entries->empty());
}

TEST_F(JournalFiles, ADirectoryThatIsNoneIsAnError) {
  std::ofstream(directory_ / "file") << "x";
  EXPECT_FALSE(read_journal_files(directory_ / "file"));
}

TEST_F(JournalFiles, ReadsWhatTheJournalWroteAndSeesNoTemporaries) {
  put("b", encode_record(record("b", 1)));
  put("a", encode_record(record("a", 0)));
  std::ofstream(directory_ / ".c.json.123456.tmp") << "half";
  std::ofstream(directory_ / ".hidden.json") << "half";
  const auto entries = read();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].uid, "a");
  EXPECT_EQ(*entries[1].record, record("b", 1));
  EXPECT_EQ(entries[0].condition, Condition::kGood);
  EXPECT_TRUE(entries[0].written);
}

TEST_F(JournalFiles, DamagedOnesAreShownAndStayWhereTheyAre) {
  std::string changed = encode_record(record("a", 0));
  changed.replace(changed.find("\"sha256\":\"") + 10, 1, "x");
  put("a", changed);
  put("b", "{\"format\":1,");
  put("c", encode_record(record("another", 2)));
  const auto entries = read();
  ASSERT_EQ(entries.size(), 3U);
  for (const JournalEntry& entry : entries) {
    EXPECT_EQ(entry.condition, Condition::kDamaged) << entry.uid;
    EXPECT_NE(entry.reason.find(entry.uid + ".json"), std::string::npos) << entry.reason;
    EXPECT_TRUE(fs::exists(directory_ / (entry.uid + ".json")));
  }
  EXPECT_TRUE(entries[0].record) << "only the checksum is wrong";
  EXPECT_FALSE(entries[1].record);
  EXPECT_FALSE(entries[2].record) << "it is about another claim";
  EXPECT_FALSE(fs::exists(directory_ / "quarantine"));
}

TEST_F(JournalFiles, SaysTheSameAsTheJournalThatOpensThem) {
  put("a", encode_record(record("a", 0)));
  put("old", encode_record(record("old", 1, "earlier")));
  std::string changed = encode_record(record("bad", 2));
  changed.replace(changed.find("\"sha256\":\"") + 10, 1, "x");
  put("bad", changed);
  const HeldDevices before = held_devices(read(), "boot");

  auto journal = Journal::open(directory_, "boot");
  ASSERT_TRUE(journal) << journal.error().to_string();
  const auto names = [](const HeldDevices& held) {
    std::map<std::string, std::string> states;
    for (const auto& [name, device] : held) states.emplace(name, device->state);
    return states;
  };
  EXPECT_EQ(names(before), names(*(*journal)->held()));
  EXPECT_EQ(before.size(), 2U);
  EXPECT_EQ(names(held_devices(read(), "boot")), names(before)) << "in quarantine now";

  const auto from_files = read();
  const auto from_journal = journal_entries(**journal, directory_);
  ASSERT_EQ(from_files.size(), from_journal.size());
  for (std::size_t i = 0; i < from_files.size(); ++i) {
    EXPECT_EQ(from_files[i].uid, from_journal[i].uid);
    EXPECT_EQ(from_files[i].condition, from_journal[i].condition);
    EXPECT_EQ(*from_files[i].record, *from_journal[i].record);
    EXPECT_EQ(from_files[i].reason, from_journal[i].reason);
    EXPECT_EQ(from_files[i].written, from_journal[i].written);
  }
}

TEST_F(JournalFiles, AGoodRecordOfTheDeviceCountsMoreThanADamagedOne) {
  put("good", encode_record(record("good", 0)));
  std::string changed = encode_record(record("bad", 0));
  changed.replace(changed.find("\"sha256\":\"") + 10, 1, "x");
  put("bad", changed);
  const HeldDevices held = held_devices(read(), "boot");
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held.begin()->second->claim.uid, "good");
}

}  // namespace
}  // namespace drasriov::claim
