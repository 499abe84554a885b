// SPDX-License-Identifier: Apache-2.0
//
// The HTTP endpoint of the metrics, asked over loopback with bytes written by hand.
#include "host/telemetry/metrics_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <set>

#include "host/base/unique_fd.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::telemetry {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// What a client waits for; never reached by a test that works.
constexpr timeval kPatience{.tv_sec = 60, .tv_usec = 0};
constexpr const char* kRequest = "GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n";

class Client {
 public:
  explicit Client(int port, const char* host = "127.0.0.1")
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::inet_pton(AF_INET, host, &address.sin_addr), 1);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  void send(std::string_view bytes) const {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// False: the server has ended the connection.
  [[nodiscard]] bool try_send(std::string_view bytes) const {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0;
  }
  /// All that comes until the server ends the connection, in whatever way.
  [[nodiscard]] std::string receive() const {
    std::string all;
    std::array<char, 65536> part{};
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), part.data(), part.size(), 0);
      if (got < 0) {
        EXPECT_EQ(errno, ECONNRESET) << "the server holds the connection";
      }
      if (got <= 0) return all;
      all.append(part.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

/// The answer, whole.
std::string ask(int port, std::string_view request, const char* host = "127.0.0.1") {
  const Client client(port, host);
  EXPECT_TRUE(client.connected());
  client.send(request);
  return client.receive();
}

std::string body_of(const std::string& answer) {
  const auto end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "no end of the header in: " + answer : answer.substr(end + 4);
}

std::string first_line(const std::string& answer) {
  return answer.substr(0, answer.find("\r\n"));
}

/// Open sockets of this process that a child would inherit.
std::set<std::string> inherited() {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string what = std::filesystem::read_symlink(entry, gone);
    const int flags = ::fcntl(std::stoi(entry.path().filename()), F_GETFD);
    if (what.starts_with("socket:") && flags >= 0 && (flags & FD_CLOEXEC) == 0) found.insert(what);
  }
  return found;
}

class MetricsServerTest : public testing::Test {
 protected:
  std::unique_ptr<MetricsServer> start(MetricsServer::Settings settings = {.address = "127.0.0.1",
                                                                           .patience = hours(1)}) {
    auto server = MetricsServer::start(std::move(settings), metrics_);
    EXPECT_TRUE(server) << server.error().to_string();
    return server ? *std::move(server) : nullptr;
  }

  KeptLog log_;
  Metrics metrics_{log_};
};

TEST_F(MetricsServerTest, GivesTheSeriesOfTheMoment) {
  const auto server = start();
  const std::array<Label, 1> labels{Label{"module", "a\"b\\c"}};
  for (int i = 0; i < 3; ++i) {
    metrics_.counter_add("calls_total", labels, 1);
    metrics_.histogram_observe("scan_seconds", {}, 0.3);
    const std::string answer = ask(server->port(), kRequest);
    EXPECT_EQ(first_line(answer), "HTTP/1.1 200 OK");
    EXPECT_NE(answer.find("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
              std::string::npos)
        << answer;
    EXPECT_EQ(body_of(answer), metrics_.text());
  }
  EXPECT_EQ(first_line(ask(server->port(), "GET /metrics?name=x HTTP/1.0\r\n\r\n")),
            "HTTP/1.1 200 OK");
}

TEST_F(MetricsServerTest, ATextLargerThanTheSocketsBufferArrivesWhole) {
  const std::string value(1000, 'x');
  for (int i = 0; i < 10'000; ++i) {
    const std::string number = std::to_string(i);
    const std::array<Label, 2> labels{Label{"n", number}, Label{"value", value}};
    metrics_.gauge_set("devices", labels, i);
  }
  const auto server = start();
  EXPECT_TRUE(body_of(ask(server->port(), kRequest)) == metrics_.text());
}

TEST_F(MetricsServerTest, RefusesWhatIsNotServed) {
  metrics_.gauge_set("devices", {}, 1);
  const auto server = start();
  for (const char* path : {"/", "/metrics/", "/metric", "/debug/pprof", "*"}) {
    const std::string answer =
        ask(server->port(), "GET " + std::string(path) + " HTTP/1.1\r\nHost: n\r\n\r\n");
    EXPECT_EQ(first_line(answer), "HTTP/1.1 404 Not Found") << path;
    EXPECT_EQ(body_of(answer), "not found: the metrics are at /metrics\n");
  }
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS"}) {
    const std::string answer =
        ask(server->port(), std::string(method) + " /metrics HTTP/1.1\r\nHost: n\r\n\r\n");
    EXPECT_EQ(first_line(answer), "HTTP/1.1 405 Method Not Allowed") << method;
    EXPECT_NE(answer.find("\r\nAllow: GET\r\n"), std::string::npos) << answer;
    EXPECT_EQ(body_of(answer), std::string_view(method) == "HEAD" ? "" : "only GET is served\n");
  }
  EXPECT_EQ(first_line(ask(server->port(), "hello?\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(first_line(ask(server->port(),
                           "GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n")),
            "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST_F(MetricsServerTest, ABodyThatNobodyReadsDoesNotCostTheAnswer) {
  const auto server = start();
  const Client client(server->port());
  client.send("POST /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(first_line(client.receive()), "HTTP/1.1 405 Method Not Allowed");
  // A socket that is closed would answer this with a reset, which may overtake the answer.
  for (int i = 0; i < 10; ++i) client.send(std::string(100'000, 'b'));
}

TEST_F(MetricsServerTest, AClientThatSendsWithoutEndIsCut) {
  const auto server = start();
  const Client client(server->port());
  client.send("POST /metrics HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n");
  const std::string part(1U << 20U, 'b');
  int sent = 0;
  while (sent < 256 && client.try_send(part)) ++sent;
  EXPECT_LT(sent, 256) << "MiB were taken";
}

TEST_F(MetricsServerTest, ASlowClientHoldsUpNobody) {
  metrics_.gauge_set("devices", {}, 1);
  const auto server = start();
  const Client silent(server->port());
  const Client half(server->port());
  half.send("GET /met");
  const Client deaf(server->port());
  deaf.send(kRequest);
  EXPECT_EQ(body_of(ask(server->port(), kRequest)), metrics_.text());
  half.send("rics HTTP/1.1\r\n\r\n");
  EXPECT_EQ(body_of(half.receive()), metrics_.text());
}

TEST_F(MetricsServerTest, AClientHasAnswerOrEndInTime) {
  const auto server = start({.address = "127.0.0.1", .patience = milliseconds(100)});
  const Client half(server->port());
  half.send("GET /metrics HTTP/1.1\r\n");
  EXPECT_EQ(half.receive(), "");
}

TEST_F(MetricsServerTest, TheOldestConnectionGivesWay) {
  const auto server = start({.address = "127.0.0.1", .patience = hours(1), .most_connections = 2});
  const Client oldest(server->port());
  oldest.send("GET /met");
  const Client second(server->port());
  second.send("GET /met");
  EXPECT_EQ(first_line(ask(server->port(), kRequest)), "HTTP/1.1 200 OK");
  EXPECT_EQ(oldest.receive(), "");
  second.send("rics HTTP/1.1\r\n\r\n");
  EXPECT_EQ(first_line(second.receive()), "HTTP/1.1 200 OK");
}

TEST_F(MetricsServerTest, APortInUseIsNamed) {
  const auto first = start();
  const std::string port = std::to_string(first->port());
  const auto second =
      MetricsServer::start({.address = "127.0.0.1", .port = first->port()}, metrics_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kUnavailable);
  EXPECT_EQ(second.error().to_string(),
            "metrics: cannot listen on 127.0.0.1:" + port +
                ": Address already in use — hint: another program has the port: set metrics-port "
                "to a free one, 0 (any) or -1 (off)");
  EXPECT_EQ(first_line(ask(first->port(), kRequest)), "HTTP/1.1 200 OK");
}

TEST_F(MetricsServerTest, AnAddressOfAnotherMachineIsRefused) {
  const auto server = MetricsServer::start({.address = "192.0.2.1", .port = 9}, metrics_);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().to_string(),
            "metrics: cannot listen on 192.0.2.1:9: Cannot assign requested address — hint: set "
            "metrics-address to an address of this machine");
}

TEST_F(MetricsServerTest, StopsAtOnceAndFreesThePort) {
  // Of nobody else, so that nobody else takes the port meanwhile.
  const char* const host = "127.35.17.9";
  auto server = start({.address = host, .patience = hours(1)});
  const int port = server->port();
  // The connection of this one stays in the kernel for a minute.
  EXPECT_EQ(first_line(ask(port, kRequest, host)), "HTTP/1.1 200 OK");
  const Client waiting(port, host);
  waiting.send("GET /met");
  server.reset();
  EXPECT_EQ(waiting.receive(), "");
  EXPECT_FALSE(Client(port, host).connected());
  const auto again = start({.address = host, .port = port});
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(first_line(ask(port, kRequest, host)), "HTTP/1.1 200 OK");
}

TEST_F(MetricsServerTest, ChildProcessesInheritNothing) {
  const auto before = inherited();
  const auto server = start();
  const Client waiting(server->port());
  waiting.send("GET /met");
  // The one before was accepted when this one is answered.
  EXPECT_EQ(first_line(ask(server->port(), kRequest)), "HTTP/1.1 200 OK");
  EXPECT_EQ(inherited(), before);
}

}  // namespace
}  // namespace drasriov::telemetry
