// SPDX-License-Identifier: Apache-2.0
#include "host/claim/hook_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "host/base/durable_file.hpp"
#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class HookFileTest : public ::testing::Test {
 protected:
  void SetUp() override { put(source_, "version 1"); }
  static void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_))
      names.push_back(entry.path().filename());
    return names;
  }
  [[nodiscard]] ino_t inode() const {
    struct stat info {};
    EXPECT_EQ(::lstat(hook_.path().c_str(), &info), 0);
    EXPECT_TRUE(S_ISREG(info.st_mode));
    EXPECT_EQ(info.st_mode & 07777, 0755U);
    return info.st_ino;
  }

  testing::TempDir root_;
  const fs::path source_ = root_.path() / "source";
  const fs::path directory_ = root_.path() / "made/hooks";
  const HookFile hook_{source_, directory_};
};

TEST_F(HookFileTest, IsWrittenOnlyWhenItDiffers) {
  ASSERT_TRUE(hook_.install());
  EXPECT_EQ(hook_.path(), directory_ / "dra-driver-sriov-hook");
  EXPECT_EQ(read_file(hook_.path()).value(), "version 1");
  const ino_t first = inode();
  ASSERT_TRUE(hook_.install());
  ASSERT_TRUE(hook_.keep());
  EXPECT_EQ(inode(), first);

  put(source_, "version 2");
  ASSERT_TRUE(hook_.install());
  EXPECT_EQ(read_file(hook_.path()).value(), "version 2");
  EXPECT_NE(inode(), first) << "a runtime that executes the old one keeps it";
}

TEST_F(HookFileTest, IsPutBackWhateverBecameOfIt) {
  ASSERT_TRUE(hook_.install());
  const auto damage = {
      +[](const fs::path& path) { fs::remove(path); },
      +[](const fs::path& path) { fs::resize_file(path, 3); },
      +[](const fs::path& path) { fs::permissions(path, fs::perms::owner_read); },
      +[](const fs::path& path) {
        fs::remove(path);
        fs::create_symlink("/bin/true", path);
      },
      +[](const fs::path& path) { fs::remove_all(path.parent_path()); },
  };
  for (const auto& how : damage) {
    how(hook_.path());
    ASSERT_TRUE(hook_.keep());
    EXPECT_EQ(read_file(hook_.path()).value(), "version 1");
    (void)inode();
  }
}

TEST_F(HookFileTest, AnInterruptedInstallLeavesNothing) {
  fs::create_directories(directory_);
  put(directory_ / ".dra-driver-sriov-hook.a1b2c3.tmp", "vers");
  put(directory_ / ".other.a1b2c3.tmp", "of somebody else");
  ASSERT_TRUE(hook_.install());
  EXPECT_THAT(files(), ::testing::UnorderedElementsAre(".other.a1b2c3.tmp", kHookName));
}

TEST_F(HookFileTest, SaysWhyItCannotBePutBack) {
  ASSERT_TRUE(hook_.install());
  fs::remove(source_);
  EXPECT_TRUE(hook_.keep()) << "what is in place needs no source";
  EXPECT_FALSE(hook_.install());
  ASSERT_TRUE(hook_.remove());
  ASSERT_TRUE(hook_.remove()) << "it is gone";
  const auto status = hook_.keep();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().to_string(),
              HasSubstr("the OCI hook " + hook_.path().native() +
                        " is missing and cannot be put back: open " + source_.native()));
  EXPECT_THAT(status.error().to_string(), HasSubstr("install the driver whole"));
  EXPECT_FALSE(fs::exists(hook_.path()));
}

}  // namespace
}  // namespace drasriov::claim
