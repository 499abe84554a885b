// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong between the driver and the API server, and what the client makes of it.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cluster/kube/cluster_fixture.hpp"
#include "tests/cluster/kube/fake_server.hpp"

namespace drasriov::cluster::kube::testing {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kClaim = R"({"metadata":{"name":"c"}})";

class Faults : public ::testing::Test {
 protected:
  void serve(FakeServer::Handler handler) {
    server_ = std::make_unique<FakeServer>(std::move(handler));
    connection_.server = server_->url();
  }
  /// The first answers are `answer`'s, then it works.
  void fail_first(int times, FakeServer::Handler answer) {
    serve([this, times, answer = std::move(answer)](const Request& request, Reply& reply) {
      if (++asked_ <= times) return answer(request, reply);
      reply.json(200, kClaim);
    });
  }
  void open() { cluster_ = open_cluster(connection_, log_, settings_); }
  Result<Json> get_claim(Deadline deadline = soon()) {
    if (!cluster_) open();
    return cluster_->get(resource_claims(), {"ns", "c"}, deadline);
  }

  KeptLog log_;
  std::atomic<int> asked_ = 0;
  KubeSettings settings_ = quick_settings();
  Connection connection_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<KubeCluster> cluster_;
};

TEST_F(Faults, AServerErrorOfAReadIsTriedAgain) {
  fail_first(2, [](const Request&, Reply& reply) { reply.json(500, "{}"); });
  const auto claim = get_claim();
  EXPECT_TRUE(claim) << claim.error().to_string();
  EXPECT_EQ(asked_, 3);
}

TEST_F(Faults, AServerThatStaysBrokenIsGivenUp) {
  fail_first(1000, [](const Request&, Reply& reply) {
    reply.json(500, R"({"kind":"Status","reason":"InternalError","message":"etcd is gone"})");
  });
  const auto claim = get_claim();
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kUnavailable);
  EXPECT_THAT(claim.error().message(), HasSubstr("HTTP 500 InternalError: etcd is gone"));
  EXPECT_EQ(asked_, settings_.http.attempts);
}

TEST_F(Faults, ARefusalThatIsTooLongKeepsItsCode) {
  settings_.http.largest_body = 1000;
  serve([](const Request&, Reply& reply) { reply.json(403, std::string(100'000, 'x')); });
  const auto claim = get_claim();
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kPermissionDenied);
  EXPECT_THAT(claim.error().message(),
              HasSubstr("get resourceclaims.resource.k8s.io ns/c: HTTP 403: xxx"));
}

TEST_F(Faults, ABrokenServersLongAnswerIsTriedAgain) {
  settings_.http.largest_body = 1000;
  fail_first(1, [](const Request&, Reply& reply) { reply.json(500, std::string(100'000, 'x')); });
  const auto claim = get_claim();
  EXPECT_TRUE(claim) << claim.error().to_string();
  EXPECT_EQ(asked_, 2);
}

TEST_F(Faults, ACreationThatMayHaveHappenedIsNotRepeated) {
  fail_first(1, [](const Request&, Reply& reply) { reply.json(500, "{}"); });
  open();
  EXPECT_FALSE(cluster_->create(resource_slices(), {{"metadata", {{"name", "s"}}}}, soon()));
  EXPECT_EQ(asked_, 1);
}

TEST_F(Faults, TooManyRequestsWaitsAsLongAsItIsTold) {
  fail_first(1, [](const Request&, Reply& reply) {
    reply.json(429, R"({"kind":"Status","reason":"TooManyRequests"})", "Retry-After: 1\r\n");
  });
  open();
  const auto begin = Clock::now();
  const auto made = cluster_->create(resource_slices(), {{"metadata", {{"name", "s"}}}}, soon());
  EXPECT_TRUE(made) << made.error().to_string();  // a 429 was not done: even a creation is repeated
  EXPECT_GE(Clock::now() - begin, seconds(1));
  EXPECT_EQ(asked_, 2);
}

TEST_F(Faults, ALongerWaitThanThereIsTimeForIsNotBegun) {
  fail_first(1, [](const Request&, Reply& reply) {
    reply.json(429, R"({"kind":"Status","reason":"TooManyRequests","message":"later"})",
               "Retry-After: 3600\r\n");
  });
  const auto begin = Clock::now();
  const auto claim = get_claim();
  EXPECT_LT(Clock::now() - begin, seconds(8));
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kResourceExhausted);
}

TEST_F(Faults, AnAnswerThatIsCutIsAskedForAgain) {
  fail_first(1, [](const Request&, Reply& reply) {
    reply.raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"metadata\":");
    reply.cut();
  });
  const auto claim = get_claim();
  EXPECT_TRUE(claim) << claim.error().to_string();
  EXPECT_EQ(asked_, 2);
}

TEST_F(Faults, ASlowLorisEndsWithTheDeadline) {
  serve([](const Request&, Reply& reply) {
    reply.raw("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 2000; ++i) {
      reply.raw(" ");
      reply.pause(5);
    }
  });
  const auto begin = Clock::now();
  const auto claim = get_claim(Deadline::after(milliseconds(300)));
  EXPECT_LT(Clock::now() - begin, seconds(8));
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kDeadlineExceeded);
}

TEST_F(Faults, NobodyListens) {
  serve([](const Request&, Reply&) {});
  server_.reset();
  const auto claim = get_claim();
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kUnavailable);
  EXPECT_THAT(claim.error().message(), HasSubstr("get resourceclaims.resource.k8s.io ns/c"));
  EXPECT_THAT(claim.error().hint(), HasSubstr("is the API server up"));
}

TEST_F(Faults, ANameThatDnsDoesNotKnow) {
  for (const char* proxy : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(proxy);
  // Longer than any name: the resolver refuses it without asking a server.
  connection_.server = "http://" + std::string(64, 'a') + ".invalid:6443";
  const auto claim = get_claim();
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kUnavailable);
  EXPECT_THAT(claim.error().hint(), HasSubstr("DNS does not know this name"));
}

TEST_F(Faults, ClaimReadsPassTheClientSideLimit) {
  settings_.http.requests_per_second = 0.001;
  settings_.http.burst = 1;
  serve([](const Request&, Reply& reply) { reply.json(200, kClaim); });
  open();
  ASSERT_TRUE(cluster_->get(nodes(), {"", "n1"}, soon()));  // takes the only token
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(get_claim());
  EXPECT_TRUE(cluster_->get(network_attachment_definitions(), {"ns", "net"}, soon()));
  const auto second = cluster_->get(nodes(), {"", "n1"}, Deadline::after(milliseconds(200)));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(second.error().hint(), HasSubstr("KUBE_API_QPS"));
}

TEST_F(Faults, WhatWaitsForTheLimitHoldsNoClaimUp) {
  settings_.http.requests_per_second = 0.001;
  settings_.http.burst = 1;
  serve([](const Request&, Reply& reply) { reply.json(200, kClaim); });
  open();
  ASSERT_TRUE(cluster_->get(nodes(), {"", "n1"}, soon()));
  std::thread background([this] {
    EXPECT_FALSE(cluster_->create(events(), {{"metadata", {{"name", "e"}}}}, Deadline::infinite()));
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(get_claim());
  cluster_->end_calls_by(Deadline::after(milliseconds(0)));
  background.join();
}

TEST_F(Faults, AStopEndsACallThatHangs) {
  serve([](const Request&, Reply& reply) { reply.hold(); });
  open();
  std::thread caller([this] {
    const auto claim = get_claim(Deadline::infinite());
    ASSERT_FALSE(claim);
    EXPECT_EQ(claim.error().code(), Code::kCancelled);
  });
  while (server_->lines().empty()) std::this_thread::sleep_for(milliseconds(1));
  cluster_->end_calls_by(Deadline::after(milliseconds(10)));
  caller.join();
}

TEST_F(Faults, AStepOfAStopHasTimeOfItsOwn) {
  serve([](const Request&, Reply& reply) { reply.json(200, kClaim); });
  open();
  cluster_->end_calls_by(Deadline::after(milliseconds(0)));
  EXPECT_FALSE(get_claim());
  cluster_->end_calls_by(soon());
  EXPECT_TRUE(get_claim());
}

/// A token in a file, as kubelet projects it.
class Tokens : public Faults {
 protected:
  Tokens() {
    std::string pattern = ::testing::TempDir() + "token-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    connection_.token.file = folder_ / "token";
    serve([this](const Request& request, Reply& reply) {
      const MutexLock lock(mutex_);
      const std::string expected = "Bearer " + valid_;
      if (request.headers.at("authorization") == expected) return reply.json(200, kClaim);
      ++refused_;
      reply.json(401, R"({"kind":"Status","reason":"Unauthorized","message":"Unauthorized"})");
    });
  }
  ~Tokens() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& token) {
    std::ofstream(folder_ / ".new") << token << '\n';
    std::filesystem::rename(folder_ / ".new", folder_ / "token");
  }
  void accept(const std::string& token) {
    const MutexLock lock(mutex_);
    valid_ = token;
  }
  int refused() {
    const MutexLock lock(mutex_);
    return refused_;
  }

  std::filesystem::path folder_;
  Mutex mutex_;
  std::string valid_ DRASRIOV_GUARDED_BY(mutex_) = "one";
  int refused_ DRASRIOV_GUARDED_BY(mutex_) = 0;
};

TEST_F(Tokens, ARenewedTokenIsReadBeforeTheOldOneIsRefused) {
  write("one");
  ASSERT_TRUE(get_claim());
  write("two");
  accept("two");
  EXPECT_TRUE(get_claim());
  EXPECT_EQ(refused(), 0);
}

TEST_F(Tokens, ARefusedTokenIsReadAgain) {
  write("one");
  ASSERT_TRUE(get_claim());
  // The same size and time, as on a file system with coarse times: only its content is new.
  const auto time = std::filesystem::last_write_time(folder_ / "token");
  { std::ofstream(folder_ / "token") << "two\n"; }
  std::filesystem::last_write_time(folder_ / "token", time);
  accept("two");
  EXPECT_TRUE(get_claim());
  EXPECT_EQ(refused(), 1);
}

TEST_F(Tokens, ATokenThatIsRefusedAndNotRenewedIsAnErrorWithoutIt) {
  write("s3cret");
  const auto claim = get_claim();
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kUnauthenticated);
  EXPECT_EQ(claim.error().to_string().find("s3cret"), std::string::npos);
  EXPECT_EQ(refused(), 1) << "the same token again would be refused again";
}

TEST_F(Tokens, AFileThatVanishesLeavesTheLastToken) {
  write("one");
  ASSERT_TRUE(get_claim());
  std::filesystem::remove(folder_ / "token");
  EXPECT_TRUE(get_claim());
}

}  // namespace
}  // namespace drasriov::cluster::kube::testing
