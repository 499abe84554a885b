// SPDX-License-Identifier: Apache-2.0
#include "cdi_directory.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "runtime_watch.hpp"

namespace drasriov::cdi {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Written = CdiDirectory::Written;

constexpr std::string_view kClaimKind = "sriov.example.io/vf";
constexpr std::string_view kUid = "0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11";
const std::string kName = "sriov.example.io-vf_0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11.json";

std::string spec(std::string_view value = "0000:08:00.2") {
  return R"({"cdiVersion":"0.3.0","kind":"sriov.example.io/vf","devices":[{"name":"vf0","containerEdits":{"env":["A=)" +
         std::string(value) + R"("]}}]})";
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class CdiDirectoryTest : public ::testing::Test {
 protected:
  CdiDirectoryTest() {
    std::string pattern = (fs::temp_directory_path() / "cdi-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::system_error(errno, std::generic_category());
    folder_ = pattern;
    path_ = folder_ / "cdi";
  }
  ~CdiDirectoryTest() override { fs::remove_all(folder_); }

  /// All names, hidden ones too.
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> found;
    if (!fs::is_directory(path_)) return found;
    for (const auto& entry : fs::directory_iterator(path_)) found.insert(entry.path().filename());
    return found;
  }
  void put(const std::string& name, std::string_view content = "") const {
    fs::create_directories(path_);
    std::ofstream(path_ / name) << content;
  }
  [[nodiscard]] static std::string outcome_of(const sdk::Result<Written>& result) {
    return result ? "written" : result.error().message() + " | " + result.error().hint();
  }
  [[nodiscard]] std::string file() const { return (path_ / kName).native(); }

  fs::path folder_;
  fs::path path_;
};

// ---- writing ----

TEST_F(CdiDirectoryTest, WritesUnderTheNameThatRuntimesExpect) {
  CdiDirectory directory(path_);
  const auto written = directory.write(kClaimKind, kUid, spec());
  ASSERT_TRUE(written.ok()) << written.error().message();
  EXPECT_EQ(*written, Written::kNew);
  EXPECT_THAT(names(), ElementsAre(kName));
  EXPECT_EQ(read(path_ / kName), spec());
}

TEST_F(CdiDirectoryTest, ModesDoNotDependOnTheUmask) {
  path_ = folder_ / "run" / "cdi";
  const mode_t before = ::umask(0077);
  const auto written = CdiDirectory(path_).write(kClaimKind, kUid, spec());
  ::umask(before);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms(0755));
  EXPECT_EQ(fs::status(path_ / kName).permissions(), fs::perms(0644));
}

TEST_F(CdiDirectoryTest, EqualBytesAreNotWrittenAgain) {
  CdiDirectory directory(path_);
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec()).ok());
  RuntimeWatch watch(path_);
  const auto again = directory.write(kClaimKind, kUid, spec());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, Written::kUnchanged);
  EXPECT_THAT(watch.changes(), IsEmpty());
}

TEST_F(CdiDirectoryTest, WhateverDiffersIsWrittenAgain) {
  CdiDirectory directory(path_);
  const auto writes = [&] {
    const auto written = directory.write(kClaimKind, kUid, spec());
    return written.ok() && *written == Written::kNew && read(path_ / kName) == spec();
  };
  put(kName, "{}");
  EXPECT_TRUE(writes()) << "other size";
  put(kName, spec("0000:08:00.3"));
  EXPECT_TRUE(writes()) << "same size, other bytes";
  fs::permissions(path_ / kName, fs::perms(0600));
  EXPECT_TRUE(writes()) << "other mode";
  fs::remove(path_ / kName);
  EXPECT_TRUE(writes()) << "lost";
}

TEST_F(CdiDirectoryTest, ReplacesAndNeverWritesIntoTheOldFile) {
  CdiDirectory directory(path_);
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec("old")).ok());
  std::ifstream reader(path_ / kName);  // a runtime in the middle of its scan
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec("new")).ok());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), spec("old"));
  EXPECT_EQ(read(path_ / kName), spec("new"));
}

TEST_F(CdiDirectoryTest, ALinkInTheWayIsReplacedNotFollowed) {
  for (const std::string& content : {std::string("precious"), spec()}) {
    put("other", content);
    fs::permissions(path_ / "other", fs::perms(0644));
    fs::remove(path_ / kName);
    fs::create_symlink("other", path_ / kName);
    ASSERT_TRUE(CdiDirectory(path_).write(kClaimKind, kUid, spec()).ok());
    EXPECT_EQ(read(path_ / "other"), content);
    EXPECT_FALSE(fs::is_symlink(path_ / kName));
  }
}

TEST_F(CdiDirectoryTest, RuntimesNoticeEachChange) {
  CdiDirectory directory(path_);
  put("other.json");
  RuntimeWatch watch(path_);
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec("a")).ok());
  EXPECT_TRUE(watch.rescanned()) << "new";
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec("b")).ok());
  EXPECT_TRUE(watch.rescanned()) << "replaced";
  ASSERT_TRUE(directory.remove(kClaimKind, kUid).ok());
  EXPECT_TRUE(watch.rescanned()) << "removed";
}

TEST_F(CdiDirectoryTest, TheTemporaryFileIsInTheDirectoryUnderANameThatRuntimesIgnore) {
  CdiDirectory directory(path_);
  put("other.json");
  RuntimeWatch watch(path_);
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec()).ok());
  std::set<std::string> seen;
  for (const RuntimeWatch::Change& change : watch.changes()) seen.insert(change.name);
  seen.erase(kName);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_TRUE(seen.begin()->starts_with("." + kName.substr(0, kName.size() - 5))) << *seen.begin();
  EXPECT_TRUE(seen.begin()->ends_with(".tmp")) << *seen.begin();
}

// The watch of these tests sees what the runtimes' watch sees, and no more.
TEST_F(CdiDirectoryTest, RuntimesDoNotNoticeLinksAndMovesFromElsewhere) {
  put("here.json", spec());
  RuntimeWatch watch(path_);
  std::ofstream(folder_ / "elsewhere") << spec();
  fs::rename(folder_ / "elsewhere", path_ / "moved.json");
  EXPECT_FALSE(watch.rescanned());
  fs::create_hard_link(path_ / "here.json", path_ / "linked.json");
  EXPECT_FALSE(watch.rescanned());
  std::ofstream(path_ / "here.json", std::ios::app) << " ";
  EXPECT_TRUE(watch.rescanned());
}

TEST_F(CdiDirectoryTest, PrepareAndUnprepareNeverReadTheFolder) {
  for (int i = 0; i < 100; ++i) put("foreign-" + std::to_string(i) + ".json", "{");
  const auto result = run_in_child({{.number = SYS_getdents64}}, [&]() -> std::string {
    CdiDirectory directory(path_);
    if (!directory.write(kClaimKind, kUid, spec("a"))) return "write";
    if (!directory.write(kClaimKind, kUid, spec("b"))) return "rewrite";
    if (!directory.remove(kClaimKind, kUid)) return "remove";
    return "done";
  });
  EXPECT_EQ(result.said, "done");
  const auto listing = run_in_child({{.number = SYS_getdents64}}, [&]() -> std::string {
    return CdiDirectory(path_).list(kClaimKind) ? "listed" : "refused";
  });
  EXPECT_EQ(listing.killed_by, SIGSYS) << "list is what reads it: the trap works";
}

TEST_F(CdiDirectoryTest, ABadDocumentNeverReachesTheDirectory) {
  CdiDirectory directory(path_);
  const auto refused = directory.write(kClaimKind, kUid, R"({"cdiVersion":"0.3.0"})");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(refused.error().message(), file() + ": CDI spec: kind is missing");
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(CdiDirectoryTest, NamesThatWouldLeaveTheDirectoryAreRefused) {
  CdiDirectory directory(path_);
  for (const std::string_view id :
       {"", ".", "..", "../x", "a/b", "a_b", ".a", "-a", "a b", "a\n"}) {
    EXPECT_FALSE(directory.write(kClaimKind, id, spec()).ok()) << id;
    EXPECT_FALSE(directory.remove(kClaimKind, id).ok()) << id;
  }
  for (const std::string_view kind : {"", "a/b", "../vf", "a/../../vf"}) {
    EXPECT_FALSE(directory.write(kind, kUid, spec()).ok()) << kind;
    EXPECT_FALSE(directory.remove(kind, kUid).ok()) << kind;
    EXPECT_FALSE(directory.list(kind).ok()) << kind;
  }
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(CdiDirectoryTest, DifferentClaimsAreWrittenListedAndRemovedAtOnce) {
  CdiDirectory directory(path_);
  constexpr int kThreads = 4;
  constexpr int kClaims = 50;
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  std::atomic<int> writing = kThreads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kClaims; ++i) {
        const std::string id = "claim-" + std::to_string(thread) + "-" + std::to_string(i);
        if (!directory.write(kClaimKind, id, spec(id))) ++failures;
        if (i % 2 == 1 && !directory.remove(kClaimKind, id)) ++failures;
      }
      --writing;
    });
  }
  while (writing > 0) {
    if (!directory.list(kClaimKind)) ++failures;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0) << "a listing takes no temporary file from a write that is under way";
  EXPECT_EQ(directory.list(kClaimKind).value().ids.size(), std::size_t{kThreads * kClaims / 2});
  EXPECT_EQ(names().size(), std::size_t{kThreads * kClaims / 2});
}

// ---- removing ----

TEST_F(CdiDirectoryTest, RemovalIsIdempotent) {
  CdiDirectory directory(path_);
  EXPECT_TRUE(directory.remove(kClaimKind, kUid).ok()) << "no directory";
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec()).ok());
  put("foreign.json", "{");
  EXPECT_TRUE(directory.remove(kClaimKind, kUid).ok());
  EXPECT_TRUE(directory.remove(kClaimKind, kUid).ok());
  EXPECT_THAT(names(), ElementsAre("foreign.json"));
}

TEST_F(CdiDirectoryTest, TheGoDriversFileOfTheSameClaimGoesWithOurs) {
  const std::string go_name = "sriov.example.io-vf_" + std::string(kUid) + ".yaml";
  CdiDirectory directory(path_);
  put(go_name, "---\n");
  EXPECT_THAT(directory.list(kClaimKind).value().ids, ElementsAre(kUid));
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec()).ok());
  EXPECT_THAT(names(), ElementsAre(kName)) << "one device in two files is none at all";
  put(go_name, "---\n");
  EXPECT_THAT(directory.list(kClaimKind).value().ids, ElementsAre(kUid));
  const auto unchanged = directory.write(kClaimKind, kUid, spec());
  ASSERT_TRUE(unchanged.ok());
  EXPECT_EQ(*unchanged, Written::kUnchanged);
  EXPECT_THAT(names(), ElementsAre(kName));
  put(go_name, "---\n");
  ASSERT_TRUE(directory.remove(kClaimKind, kUid).ok());
  EXPECT_THAT(names(), IsEmpty());
}

// ---- listing ----

TEST_F(CdiDirectoryTest, ListsItsOwnSpecsWhateverIsInThem) {
  CdiDirectory directory(path_);
  EXPECT_THAT(directory.list(kClaimKind).value().ids, IsEmpty()) << "no directory";
  put("sriov.example.io-vf_uid-b.json", "broken {");
  put("sriov.example.io-vf_uid-a.json");
  const std::set<std::string> foreign = {
      "nvidia.com-gpu.json",
      "sriov.example.io-vf.json",
      "sriov.example.io-vf_.json",
      "sriov.example.io-vf_uid-c.txt",
      "sriov.example.io-vf_uid-c.json.bak",
      "sriov.example.io-vf_x_uid-c.json",
      "sriov.example.io-vfio_uid-c.json",
      "sriov.example.io_metadata_uid-c_req.json",
      "spec.12345.tmp",
      ".sriov.example.io-gpu_uid.0000-0.tmp",
      ".hidden.json",
  };
  for (const std::string& name : foreign) put(name);
  fs::create_directory(path_ / "sriov.example.io-vf_folder.json");

  const auto listing = directory.list(kClaimKind);
  ASSERT_TRUE(listing.ok()) << listing.error().message();
  EXPECT_THAT(listing->ids, ElementsAre("uid-a", "uid-b"));
  EXPECT_EQ(listing->removed_temporaries, 0U);
  const std::set<std::string> after = names();
  EXPECT_TRUE(std::ranges::includes(after, foreign));
}

// ---- crashes ----

TEST_F(CdiDirectoryTest, KilledBeforeTheRenameNothingIsVisibleAndTheRestIsCleanedUp) {
  const auto killed = run_in_child({{.number = SYS_renameat}}, [&]() -> std::string {
    return outcome_of(CdiDirectory(path_).write(kClaimKind, kUid, spec()));
  });
  ASSERT_EQ(killed.killed_by, SIGSYS) << killed.said;
  const std::set<std::string> left = names();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(left.begin()->ends_with(".tmp")) << *left.begin();

  CdiDirectory next(path_);
  const auto listing = next.list(kClaimKind);
  ASSERT_TRUE(listing.ok());
  EXPECT_THAT(listing->ids, IsEmpty());
  EXPECT_EQ(listing->removed_temporaries, 1U);
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_TRUE(next.write(kClaimKind, kUid, spec()).ok());
}

TEST_F(CdiDirectoryTest, KilledWhileReplacingTheOldSpecStays) {
  ASSERT_TRUE(CdiDirectory(path_).write(kClaimKind, kUid, spec("old")).ok());
  for (const long syscall : {SYS_fchmod, SYS_write, SYS_renameat}) {
    const auto killed = run_in_child({{.number = syscall}}, [&]() -> std::string {
      return outcome_of(CdiDirectory(path_).write(kClaimKind, kUid, spec("new")));
    });
    ASSERT_EQ(killed.killed_by, SIGSYS) << killed.said;
    EXPECT_EQ(read(path_ / kName), spec("old"));
    EXPECT_EQ(CdiDirectory(path_).list(kClaimKind).value().removed_temporaries, 1U);
    EXPECT_THAT(names(), ElementsAre(kName));
  }
}

// ---- failures of the file system ----

struct Failure {
  const char* name;
  SyscallFault fault;
  const char* cause;
  const char* hint;
  friend void PrintTo(const Failure& row, std::ostream* out) { *out << row.name; }
};

class CdiDirectoryFailure : public CdiDirectoryTest,
                            public ::testing::WithParamInterface<Failure> {};

TEST_P(CdiDirectoryFailure, NamesTheFileAndLeavesNothing) {
  ASSERT_TRUE(CdiDirectory(path_).write(kClaimKind, kUid, spec("old")).ok());
  const auto replace = run_in_child({GetParam().fault}, [&]() -> std::string {
    return outcome_of(CdiDirectory(path_).write(kClaimKind, kUid, spec("new")));
  });
  EXPECT_EQ(replace.said, "write CDI spec " + file() + ": " + GetParam().cause + " | " +
                              GetParam().hint +
                              (std::string(GetParam().hint).ends_with(" ") ? path_.native() : ""));
  EXPECT_EQ(read(path_ / kName), spec("old"));
  EXPECT_THAT(names(), ElementsAre(kName));
}

INSTANTIATE_TEST_SUITE_P(
    Of, CdiDirectoryFailure,
    ::testing::Values(
        Failure{"FullWhenCreating",
                {.number = SYS_openat, .error = ENOSPC, .flags = O_CREAT, .flag_argument = 2},
                "No space left on device",
                "free space or inodes on the file system of "},
        Failure{"FullWhenWriting",
                {.number = SYS_write, .error = ENOSPC},
                "No space left on device",
                "free space or inodes on the file system of "},
        Failure{"QuotaWhenWriting",
                {.number = SYS_write, .error = EDQUOT},
                "Disk quota exceeded",
                "free space or inodes on the file system of "},
        Failure{"FullWhenRenaming",
                {.number = SYS_renameat, .error = ENOSPC},
                "No space left on device",
                "free space or inodes on the file system of "},
        Failure{"NoPermission",
                {.number = SYS_openat, .error = EACCES, .flags = O_CREAT, .flag_argument = 2},
                "Permission denied",
                "the driver needs write permission on "},
        Failure{"InputOutput", {.number = SYS_write, .error = EIO}, "Input/output error", ""}),
    [](const auto& row) { return row.param.name; });

TEST_F(CdiDirectoryTest, AReadOnlyMountIsNamed) {
  fs::create_directory(path_);
  const SyscallFault read_only{
      .number = SYS_openat, .error = EROFS, .flags = O_CREAT, .flag_argument = 2};
  const auto result = run_in_child({read_only}, [&]() -> std::string {
    return outcome_of(CdiDirectory(path_).write(kClaimKind, kUid, spec()));
  });
  EXPECT_EQ(result.said,
            "write CDI spec " + file() + ": Read-only file system | " + path_.native() +
                " is mounted read-only: mount it writable into the driver's container");
}

TEST_F(CdiDirectoryTest, WhetherItMayBeWrittenIsKnownBeforeAWrite) {
  EXPECT_TRUE(CdiDirectory(path_).check_writable().ok()) << "it will be made";
  fs::create_directory(path_);
  EXPECT_TRUE(CdiDirectory(path_).check_writable().ok());
#ifdef SYS_access
  constexpr long kAccess = SYS_access;
#else
  constexpr long kAccess = SYS_faccessat;
#endif
  const auto result = run_in_child({{.number = kAccess, .error = EROFS}}, [&]() -> std::string {
    const auto status = CdiDirectory(path_).check_writable();
    return status ? "writable" : status.error().message() + " | " + status.error().hint();
  });
  EXPECT_EQ(result.said,
            "write into the CDI directory " + path_.native() + ": Read-only file system | " +
                path_.native() +
                " is mounted read-only: mount it writable into the driver's container");
}

TEST_F(CdiDirectoryTest, AFileInPlaceOfTheDirectory) {
  std::ofstream(path_) << "not a directory";
  CdiDirectory directory(path_);
  const auto written = directory.write(kClaimKind, kUid, spec());
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().message(),
            "open the CDI directory " + path_.native() + ": Not a directory");
  EXPECT_EQ(written.error().hint(),
            path_.native() +
                " or a part of it is a file: remove the file or choose another "
                "directory (--cdi-root)");
  EXPECT_FALSE(directory.list(kClaimKind).ok());
  EXPECT_TRUE(directory.remove(kClaimKind, kUid).ok()) << "what is not there is removed";
  EXPECT_EQ(read(path_), "not a directory");
}

TEST_F(CdiDirectoryTest, AFileInPlaceOfAParent) {
  std::ofstream(folder_ / "run") << "";
  const auto written = CdiDirectory(folder_ / "run" / "cdi").write(kClaimKind, kUid, spec());
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message(), HasSubstr("Not a directory"));
  EXPECT_THAT(written.error().hint(), HasSubstr("is a file: remove the file"));
}

TEST_F(CdiDirectoryTest, ADirectoryInPlaceOfTheSpec) {
  fs::create_directories(path_ / kName);
  CdiDirectory directory(path_);
  const auto written = directory.write(kClaimKind, kUid, spec());
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().message(), "write CDI spec " + file() + ": Is a directory");
  EXPECT_EQ(written.error().hint(), "a directory stands where the spec file belongs: remove it");
  EXPECT_FALSE(directory.remove(kClaimKind, kUid).ok());
  EXPECT_THAT(names(), ElementsAre(kName));
}

TEST_F(CdiDirectoryTest, ADirectoryThatVanishedIsMadeAgain) {
  CdiDirectory directory(path_);
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec()).ok());
  fs::remove_all(path_);
  ASSERT_TRUE(directory.write(kClaimKind, kUid, spec()).ok());
  EXPECT_THAT(names(), ElementsAre(kName));
}

}  // namespace
}  // namespace drasriov::cdi
