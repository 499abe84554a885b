// SPDX-License-Identifier: Apache-2.0
#include "plugins/mount-vhost/socket_directory.hpp"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace drasriov::mount_vhost {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kUid = "c1a10000-0000-4000-8000-000000000001";

class SocketDirectoryTest : public ::testing::Test {
 protected:
  SocketDirectoryTest() {
    std::string name = "/tmp/drasriov-vhost.XXXXXX";
    settings_.socket_dir = ::mkdtemp(name.data());
    settings_.socket_uid = ::getuid();
    settings_.socket_gid = ::getgid();
  }
  ~SocketDirectoryTest() override { fs::remove_all(settings_.socket_dir); }

  [[nodiscard]] fs::path directory(std::string_view device = "0000-11-10-2") const {
    return socket_directory(settings_.socket_dir, kUid, device).value();
  }

  Settings settings_;
};

TEST_F(SocketDirectoryTest, NamesCannotLeaveTheDirectory) {
  EXPECT_EQ(directory(), settings_.socket_dir / kUid / "0000-11-10-2");
  for (const char* name : {"", ".", "..", "a/b", "../../etc", "a b"}) {
    EXPECT_FALSE(socket_directory(settings_.socket_dir, name, "0000-11-10-2").ok()) << name;
    EXPECT_FALSE(socket_directory(settings_.socket_dir, kUid, name).ok()) << name;
  }
  EXPECT_FALSE(socket_directory("sockets", kUid, "0000-11-10-2").ok()) << "of wherever we run";
}

TEST_F(SocketDirectoryTest, HasModeAndOwner) {
  settings_.socket_mode = 0750;
  if (::getuid() == 0) {
    settings_.socket_uid = 107;
    settings_.socket_gid = 108;
  }
  for (int i = 0; i < 2; ++i) {  // again after a crash
    ASSERT_TRUE(make_socket_directory(settings_, directory()).ok());
    struct stat status = {};
    ASSERT_EQ(::stat(directory().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0750U);
    EXPECT_EQ(status.st_uid, settings_.socket_uid);
    EXPECT_EQ(status.st_gid, settings_.socket_gid);
  }
}

TEST_F(SocketDirectoryTest, GoesWithAllThatIsInItAndFollowsNoLink) {
  const fs::path outside = settings_.socket_dir / "of-somebody-else";
  fs::create_directories(outside / "deep");
  ASSERT_TRUE(make_socket_directory(settings_, directory()).ok());
  std::ofstream(directory() / "vhost.sock") << "x";
  fs::create_directories(directory() / "a/b/c");
  fs::create_directory_symlink(outside, directory() / "link");
  ASSERT_TRUE(remove_socket_directory(directory()).ok());
  EXPECT_TRUE(fs::exists(outside / "deep"));
  EXPECT_FALSE(fs::exists(settings_.socket_dir / kUid));
  EXPECT_TRUE(remove_socket_directory(directory()).ok()) << "again";
}

TEST_F(SocketDirectoryTest, TheClaimsDirectoryStaysForItsOtherDevice) {
  ASSERT_TRUE(make_socket_directory(settings_, directory()).ok());
  ASSERT_TRUE(make_socket_directory(settings_, directory("0000-11-10-4")).ok());
  ASSERT_TRUE(remove_socket_directory(directory()).ok());
  EXPECT_TRUE(fs::exists(directory("0000-11-10-4")));
  ASSERT_TRUE(remove_socket_directory(directory("0000-11-10-4")).ok());
  EXPECT_FALSE(fs::exists(settings_.socket_dir / kUid));
}

TEST_F(SocketDirectoryTest, ALinkInItsPlaceIsRefused) {
  fs::create_directories(settings_.socket_dir / kUid);
  fs::create_directory_symlink("/tmp", directory());
  const auto made = make_socket_directory(settings_, directory());
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message(), HasSubstr(directory().native()));
  ASSERT_TRUE(remove_socket_directory(directory()).ok());
  EXPECT_TRUE(fs::exists("/tmp"));
}

TEST_F(SocketDirectoryTest, AClaimsDirectoryThatWeHaveNotMadeIsLeft) {
  const fs::path elsewhere = settings_.socket_dir / "elsewhere";
  fs::create_directories(elsewhere / "0000-11-10-2");
  fs::create_directory_symlink(elsewhere, settings_.socket_dir / kUid);
  const auto link = remove_socket_directory(directory());
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_EQ(link.error().message(), "remove " + (settings_.socket_dir / kUid).native() +
                                        ": it is not the directory that was made for the claim");
  EXPECT_TRUE(fs::exists(elsewhere / "0000-11-10-2"));
  const auto made = make_socket_directory(settings_, directory());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().message(), "use " + (settings_.socket_dir / kUid).native() +
                                        ": it is not the directory that was made for the claim");

  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory away needs root";
  fs::remove(settings_.socket_dir / kUid);
  ASSERT_TRUE(make_socket_directory(settings_, directory()).ok());
  ASSERT_EQ(::chown((settings_.socket_dir / kUid).c_str(), 107, 108), 0);
  const auto foreign = remove_socket_directory(directory());
  ASSERT_FALSE(foreign.ok());
  EXPECT_THAT(foreign.error().message(), HasSubstr("somebody else's"));
  EXPECT_TRUE(fs::exists(directory()));
  const auto used = make_socket_directory(settings_, directory("0000-11-10-4"));
  ASSERT_FALSE(used.ok());
  EXPECT_THAT(used.error().message(), HasSubstr("somebody else's"));
  EXPECT_FALSE(fs::exists(directory("0000-11-10-4")));
}

TEST_F(SocketDirectoryTest, WithoutItsParentTheHintSaysWhichSetting) {
  settings_.socket_dir /= "missing";
  const auto made = make_socket_directory(settings_, directory());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code(), sdk::Code::kNotFound);
  EXPECT_THAT(made.error().hint(), HasSubstr("socketDir"));
}

}  // namespace
}  // namespace drasriov::mount_vhost
