// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "host/base/unique_fd.hpp"
#include "host/status/status_client.hpp"
#include "host/status/status_server.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::status {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string document(const std::string& padding = {}) {
  return nlohmann::json{{"apiVersion", kApiVersion}, {"kind", kStatusKind}, {"padding", padding}}
      .dump();
}

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  EXPECT_EQ(0, ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
  return fd;
}

class StatusSocket : public testing::Test {
 protected:
  StatusSocket() {
    std::string name = "/tmp/drasriov-status.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~StatusSocket() override { fs::remove_all(directory_); }

  [[nodiscard]] std::unique_ptr<StatusServer> start(StatusServer::Describe describe,
                                                    milliseconds patience = seconds(30),
                                                    milliseconds check = seconds(10)) {
    auto server = StatusServer::start({directory_, patience, check}, std::move(describe), log_);
    EXPECT_TRUE(server) << server.error().to_string();
    return server ? *std::move(server) : nullptr;
  }
  [[nodiscard]] Result<nlohmann::json> read(milliseconds budget = seconds(30)) const {
    return read_status(directory_, Deadline::after(budget));
  }
  [[nodiscard]] Code failure(milliseconds budget = seconds(30)) const {
    const auto got = read(budget);
    return got ? Code::kOk : got.error().code();
  }
  /// Of the data directory, sorted.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  fs::path directory_;
  telemetry::KeptLog log_;
};

TEST_F(StatusSocket, GivesTheDocumentOfTheMomentToEveryReader) {
  int count = 0;
  const auto server = start([&count] { return document(std::to_string(++count)); });
  for (const char* padding : {"1", "2", "3"}) {
    const auto got = read();
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_EQ((*got)["padding"], padding);
  }
  server->describe_by([] { return document("other"); });
  EXPECT_EQ((*read())["padding"], "other");
}

TEST_F(StatusSocket, IsItsOwnersOnlyFromTheFirstMoment) {
  const auto server = start([] { return document(); });
  struct stat info {};
  ASSERT_EQ(0, ::stat((directory_ / "status.sock").c_str(), &info));
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
}

TEST_F(StatusSocket, ACleanStopLeavesNothing) {
  start([] { return document(); }).reset();
  EXPECT_EQ(files(), std::vector<std::string>{});
  EXPECT_EQ(failure(), Code::kNotFound);
}

TEST_F(StatusSocket, ADocumentLargerThanTheSocketsBufferArrivesWhole) {
  const std::string padding(8U << 20U, 'x');
  const auto server = start([&padding] { return document(padding); });
  const auto got = read();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ((*got)["padding"].get_ref<const std::string&>().size(), padding.size());
}

TEST_F(StatusSocket, AReaderThatDoesNotReadLosesItsConnection) {
  // More than a socket's buffers hold; the limit leaves a loaded machine time to read it.
  const std::string padding(2U << 20U, 'x');
  const auto server = start([&padding] { return document(padding); }, std::chrono::seconds(1));
  const UniqueFd stuck = connect_to(server->path());
  const auto got = read();
  ASSERT_TRUE(got) << got.error().to_string();
}

TEST_F(StatusSocket, AStuckReaderDoesNotHoldUpTheStop) {
  const std::string padding(8U << 20U, 'x');
  std::promise<void> asked;
  auto server = start(
      [&] {
        asked.set_value();
        return document(padding);
      },
      std::chrono::hours(1));
  const UniqueFd stuck = connect_to(server->path());
  asked.get_future().wait();
  server.reset();  // the test's own time limit is the check
  EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(StatusSocket, WhatAClientSendsIsIgnored) {
  const auto server = start([] { return document(); });
  const UniqueFd client = connect_to(server->path());
  const auto sent = ::send(client.get(), "stop", 4, MSG_NOSIGNAL);
  EXPECT_TRUE(sent == 4 || errno == EPIPE) << "the answer may have been there before";
  EXPECT_TRUE(read());
}

TEST_F(StatusSocket, ReplacesTheSocketOfAKilledProcess) {
  {
    UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    for (const char* name : {"status.sock", ".st-0a1b2c"}) {
      UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::strncpy(address.sun_path, (directory_ / name).c_str(), sizeof(address.sun_path) - 1);
      ASSERT_EQ(0, ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
      ASSERT_EQ(0, ::listen(fd.get(), 1));
    }
  }
  EXPECT_EQ(failure(), Code::kNotFound) << "a socket without a listener is no driver";
  auto server = start([] { return document("new"); });
  EXPECT_EQ((*read())["padding"], "new");
  server.reset();
  EXPECT_EQ(files(), std::vector<std::string>{}) << "the dead one's private name went at the start";
}

TEST_F(StatusSocket, RefusesToTakeALiveOne) {
  const auto server = start([] { return document("first"); });
  const auto second = StatusServer::start(
      {.data_directory = directory_}, [] { return document(); }, log_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kAlreadyExists);
  EXPECT_EQ((*read())["padding"], "first");
}

TEST_F(StatusSocket, LeavesASuccessorsSocketAlone) {
  auto first = start([] { return document("first"); });
  fs::remove(directory_ / "status.sock");  // as kubelet clears its folder
  const auto second = start([] { return document("second"); });
  first.reset();
  EXPECT_EQ((*read())["padding"], "second");
}

TEST_F(StatusSocket, ComesBackWhenItsNamesAreRemoved) {
  const auto server = start([] { return document(); }, seconds(30), milliseconds(5));
  for (const bool all : {false, true}) {
    for (const std::string& name : files()) {
      if (all || !name.starts_with('.')) fs::remove(directory_ / name);
    }
    const auto until = Deadline::after(seconds(30));
    while (failure() != Code::kOk && !until.expired()) std::this_thread::yield();
    EXPECT_TRUE(read()) << (all ? "directory cleared" : "public name removed");
  }
}

TEST_F(StatusSocket, ALongPathIsAnErrorWithTheHint) {
  const auto path = status_socket_path("/" + std::string(120, 'd'));
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().to_string().find("give a shorter kubelet-plugins-directory-path"),
            std::string::npos);
  // Wherever dra.sock finds room, this one does.
  const std::size_t room = dra::kMaxSocketPath - std::strlen("/.dra-012345");
  const fs::path longest = "/" + std::string(room - 1, 'd');
  EXPECT_TRUE(dra::dra_socket_path(longest));
  EXPECT_TRUE(status_socket_path(longest));
}

TEST_F(StatusSocket, TellsADeadDriverFromASilentOneAndFromNonsense) {
  EXPECT_EQ(failure(), Code::kNotFound);
  std::promise<void> go;
  auto silent = start([future = go.get_future().share()] {
    future.wait();
    return document();
  });
  EXPECT_EQ(failure(milliseconds(50)), Code::kDeadlineExceeded);
  go.set_value();
  silent->describe_by([] { return std::string("{\"apiVersion\": \"st"); });
  EXPECT_EQ(failure(), Code::kDataLoss);
  silent->describe_by([] { return std::string(R"({"apiVersion":"status.dra-driver-sriov/v2"})"); });
  EXPECT_EQ(failure(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace drasriov::status
