// SPDX-License-Identifier: Apache-2.0
#include "host/dra/socket_path.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "host/base/unique_fd.hpp"

namespace drasriov::dra {
namespace {

namespace fs = std::filesystem;

UniqueFd listen_on(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  EXPECT_EQ(0, ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address))) << path;
  EXPECT_EQ(0, ::listen(fd.get(), 8));
  return fd;
}

class SocketPathTest : public testing::Test {
 protected:
  SocketPathTest() {
    std::string name = "/tmp/drasriov-socket.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~SocketPathTest() override { fs::remove_all(directory_); }
  fs::path directory_;
};

TEST(SocketPaths, ShortNamesAreTheContracts) {
  EXPECT_EQ(
      "/var/lib/kubelet/plugins_registry/sriovnetwork.openshift.io-reg.sock",
      *registration_socket_path("/var/lib/kubelet/plugins_registry", "sriovnetwork.openshift.io"));
  EXPECT_EQ("/var/lib/kubelet/plugins/d.example.com/dra.sock",
            *dra_socket_path("/var/lib/kubelet/plugins/d.example.com"));
}

TEST(SocketPaths, LimitIs107BytesAndLongNamesAreHashed) {
  const fs::path directory = "/" + std::string(40, 'd');
  const std::size_t rest = kMaxSocketPath - 41 - 1 - std::strlen("-reg.sock");
  EXPECT_EQ(kMaxSocketPath, registration_socket_path(directory, std::string(rest, 'n'))->size());

  // The expected hash is what Go's base64.RawURLEncoding gives for the first 16 bytes of SHA-256;
  // here from coreutils:
  //   printf 'n%.0s' $(seq 57) | sha256sum | xxd -r -p | head -c16 | base64 | tr +/ -_
  const auto shortened = registration_socket_path(directory, std::string(rest + 1, 'n'));
  ASSERT_TRUE(shortened);
  EXPECT_EQ(directory.native() + "/dra-gE3j6TgIW98ZZmJ3p6PBxw-reg.sock", *shortened);

  const auto impossible =
      registration_socket_path("/" + std::string(80, 'd'), std::string(60, 'n'));
  ASSERT_FALSE(impossible);
  EXPECT_NE(std::string::npos, impossible.error().message().find("at most 107"));
  EXPECT_NE(std::string::npos, impossible.error().hint().find("kubelet-registrar-directory-path"));

  const std::size_t room = kMaxSocketPath - std::strlen("/.dra-012345");
  EXPECT_TRUE(dra_socket_path("/" + std::string(room - 1, 'd')));
  EXPECT_FALSE(dra_socket_path("/" + std::string(room, 'd')));
}

TEST(SocketPaths, APrivateNameThatIsLongerThanThePublicOneIsChecked) {
  const std::string directory = "/" + std::string(kMaxSocketPath - 18, 'd');
  const PublishedSocket socket(directory + "/s.io-reg.sock", "reg-0123456");
  const auto place = socket.check_place();
  ASSERT_FALSE(place);
  EXPECT_EQ(place.error().code(), Code::kInvalidArgument);
  EXPECT_NE(place.error().message().find("the path has 110 bytes"), std::string::npos)
      << place.error().message();
}

TEST_F(SocketPathTest, PublishesWithModeAndWithdraws) {
  PublishedSocket socket((directory_ / "dra.sock").native(), "dra");
  const UniqueFd server = listen_on(socket.private_path());
  EXPECT_EQ(PublishedSocket::State::kMissing, socket.state());
  ASSERT_TRUE(socket.publish());
  EXPECT_EQ(PublishedSocket::State::kOurs, socket.state());
  struct stat info {};
  ASSERT_EQ(0, ::stat(socket.path().c_str(), &info));
  EXPECT_EQ(0600U, info.st_mode & 0777U);

  fs::remove(socket.path());
  EXPECT_EQ(PublishedSocket::State::kMissing, socket.state());
  ASSERT_TRUE(socket.publish());
  socket.withdraw();
  EXPECT_FALSE(fs::exists(socket.path()));
}

TEST_F(SocketPathTest, ReplacesTheSocketOfADeadProcess) {
  const std::string path = (directory_ / "dra.sock").native();
  listen_on(path).reset();  // the file stays
  ASSERT_TRUE(fs::exists(path));
  PublishedSocket socket(path, "dra");
  const UniqueFd server = listen_on(socket.private_path());
  ASSERT_TRUE(socket.publish());
  EXPECT_EQ(PublishedSocket::State::kOurs, socket.state());
}

TEST_F(SocketPathTest, LeavesALiveSocketAndAFileAlone) {
  const std::string path = (directory_ / "dra.sock").native();
  const UniqueFd other = listen_on(path);
  PublishedSocket socket(path, "dra");
  const UniqueFd server = listen_on(socket.private_path());
  const auto refused = socket.publish();
  ASSERT_FALSE(refused);
  EXPECT_EQ("socket " + path +
                ": another process listens there — hint: stop the other driver of this name first",
            refused.error().to_string());
  EXPECT_EQ(PublishedSocket::State::kForeign, socket.state());
  socket.withdraw();
  EXPECT_TRUE(fs::exists(path)) << "withdraw() removed a socket that is not ours";

  PublishedSocket on_file((directory_ / "file").native(), "dra");
  std::ofstream(on_file.path()) << "x";
  const UniqueFd second = listen_on(on_file.private_path());
  EXPECT_EQ(Code::kAlreadyExists, on_file.publish().error().code());
  EXPECT_EQ(1U, fs::file_size(on_file.path()));
}

TEST_F(SocketPathTest, LateEndOfAPredecessorKeepsTheSuccessor) {
  const std::string path = (directory_ / "dra.sock").native();
  PublishedSocket old_one(path, "dra");
  UniqueFd old_server = listen_on(old_one.private_path());
  ASSERT_TRUE(old_one.publish());
  old_server.reset();  // it stops listening first, as a server that shuts down does
  PublishedSocket successor(path, "dra");
  const UniqueFd server = listen_on(successor.private_path());
  ASSERT_TRUE(successor.publish());
  old_one.withdraw();
  EXPECT_EQ(PublishedSocket::State::kOurs, successor.state());
}

TEST_F(SocketPathTest, RemovesOnlyDeadPrivateSocketsOfItsPrefix) {
  const auto at = [&](const char* name) { return (directory_ / name).native(); };
  listen_on(at(".dra-0a1b2c")).reset();
  listen_on(at(".other-0a1b2c")).reset();
  const UniqueFd live = listen_on(at(".dra-ffffff"));
  std::ofstream(at(".dra-abcdef")) << "a file";
  PublishedSocket(at("dra.sock"), "dra").remove_stale();
  EXPECT_FALSE(fs::exists(at(".dra-0a1b2c")));
  EXPECT_TRUE(fs::exists(at(".other-0a1b2c")));
  EXPECT_TRUE(fs::exists(at(".dra-ffffff")));
  EXPECT_TRUE(fs::exists(at(".dra-abcdef")));
}

}  // namespace
}  // namespace drasriov::dra
