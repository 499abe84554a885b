// SPDX-License-Identifier: Apache-2.0
//
// RuntimeLink and the module against a runtime on a real socket, with the faults that runtimes,
// restarts and broken peers cause.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "fake_runtime.hpp"
#include "held_host.hpp"
#include "runtime_link.hpp"
#include "runtime_nri.hpp"

namespace drasriov::runtime_nri {
namespace {

using namespace std::chrono_literals;
using sdk::EventKind;
using testing::FakeRuntime;
using testing::HeldHost;
using testing::hook_request;
using testing::Peer;
using testing::TestContainer;
using testing::TestPod;
using Clock = std::chrono::steady_clock;

class NriLink : public ::testing::Test {
 protected:
  ~NriLink() override { link_.reset(); }  // before what it talks to

  void start(Backoff backoff = Backoff(1, 1ms, 1ms)) {
    link_ = std::make_unique<RuntimeLink>(host_.host(), host_.runtime_events(), socket_,
                                          Session::Identity{.name = "sriov", .index = "10"},
                                          backoff, request_timeout_ns_);
  }
  std::vector<std::string> warnings() const {
    std::vector<std::string> messages;
    for (const auto& line : host_.logs()) {
      if (line.level >= sdk::Level::kWarning) messages.push_back(line.message);
    }
    return messages;
  }
  bool warned_of(std::string_view text) const {
    const auto all = warnings();
    return std::ranges::any_of(
        all, [text](const auto& message) { return message.find(text) != std::string::npos; });
  }

  HeldHost host_;
  std::string socket_ = (host_.root(sdk::Root::kData) / "nri.sock").string();
  std::atomic<std::int64_t> request_timeout_ns_ = 0;
  std::unique_ptr<RuntimeLink> link_;
};

TEST_F(NriLink, SynchronisesAnswersHooksAndComesBack) {
  auto runtime = std::make_unique<FakeRuntime>(socket_);
  start();
  auto peer = runtime->accept();
  ASSERT_TRUE(peer->handshake({TestPod{}}, {TestContainer{.state = 3}}));
  const auto synchronised = host_.event(0);
  ASSERT_TRUE(synchronised);
  EXPECT_EQ(synchronised->kind, EventKind::kSynchronised);
  EXPECT_EQ(synchronised->sandboxes, std::vector<std::string>{"cafe01"});
  EXPECT_EQ(synchronised->containers, std::vector<std::string>{"c1"});
  EXPECT_EQ(request_timeout_ns_, 2'000'000'000);

  const auto answer = peer->ask("RunPodSandbox", hook_request(TestPod{}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, 0);
  const auto run = host_.event(1);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->kind, EventKind::kRunPodSandbox);
  EXPECT_EQ(run->netns, "/var/run/netns/cni-1");
  EXPECT_GT(run->budget, 1s);
  EXPECT_LE(run->budget, 2s);

  // The runtime restarts: its socket is another one.
  peer.reset();
  runtime.reset();
  ASSERT_TRUE(host_.event(2));
  EXPECT_EQ(host_.event(2)->kind, EventKind::kDisconnected);
  runtime = std::make_unique<FakeRuntime>(socket_);
  peer = runtime->accept();
  ASSERT_TRUE(peer->handshake());
  ASSERT_TRUE(host_.event(3));
  EXPECT_EQ(host_.event(3)->kind, EventKind::kSynchronised);
}

TEST_F(NriLink, CutAtEveryByteItIsLeftAndConnectedAnew) {
  const std::string conversation =
      testing::mux(2, testing::response_frame(1)) +
      testing::mux(1, testing::request_frame(1, "Configure", testing::configure_request())) +
      testing::mux(1, testing::request_frame(3, "Synchronize",
                                             testing::synchronize_request({TestPod{}}, {}))) +
      testing::mux(1, testing::request_frame(5, "RunPodSandbox", hook_request(TestPod{})));
  FakeRuntime runtime(socket_);
  start();
  for (std::size_t cut = 0; cut < conversation.size(); ++cut) {
    auto peer = runtime.accept();
    ASSERT_TRUE(peer->send(conversation.substr(0, cut))) << cut;
  }
  ASSERT_TRUE(runtime.accept()->handshake());
  // Never half a hook: only connections that were synchronised told the host something.
  for (std::size_t i = 0; i < host_.count(); ++i) {
    const auto kind = host_.event(i)->kind;
    EXPECT_TRUE(kind == EventKind::kSynchronised || kind == EventKind::kDisconnected);
  }
}

TEST_F(NriLink, ASlowRuntimeIsReadByteByByte) {
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  const std::string frame = testing::mux_in_pieces(
      1, testing::request_frame(5, "RunPodSandbox", hook_request(TestPod{})), 1);
  for (const char byte : frame) ASSERT_TRUE(peer->send({&byte, 1}));
  const auto answer = peer->next();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stream, 5U);
  EXPECT_EQ(answer->code, 0);
}

TEST_F(NriLink, GarbageAndImpossibleLengthsEndTheConnectionOnly) {
  FakeRuntime runtime(socket_);
  start();
  std::minstd_rand random(7);
  std::string noise(4096, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  noise[4] = '\x7f';
  for (const std::string& bytes :
       {noise, std::string(64, '\xff'), testing::unhex("00000001 7fffffff") + "x",
        std::string("HTTP/1.1 400 Bad Request\r\n\r\n")}) {
    auto peer = runtime.accept();
    (void)peer->send(bytes);
    EXPECT_TRUE(peer->closed());
  }
  EXPECT_TRUE(runtime.accept()->handshake());
  EXPECT_TRUE(warned_of("more than the 17825792 that NRI peers send"));
}

TEST_F(NriLink, AMessageOverTheLimitIsRefusedAndTheConnectionLives) {
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  ASSERT_TRUE(peer->send(testing::mux_in_pieces(
      1, testing::request_frame(5, "Synchronize", std::string(kMaxReceivedMessage, 'x')),
      1U << 20)));
  const auto refusal = peer->next();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->code, 8);
  ASSERT_TRUE(peer->send(testing::mux(1, testing::request_frame(7, "Shutdown", ""))));
  EXPECT_EQ(peer->next()->code, 0);
}

TEST_F(NriLink, HooksBeforeTheHandshakeReachTheHostWhichDecides) {
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->next());  // RegisterPlugin
  EXPECT_EQ(peer->ask("RunPodSandbox", hook_request(TestPod{}))->code, 0);
  EXPECT_EQ(host_.event(0)->kind, EventKind::kRunPodSandbox);
}

TEST_F(NriLink, ALateHostIsAnErrorInTimeAndItsAnswerGoesNowhere) {
  host_.hold_hooks();
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  const auto sent = Clock::now();
  const auto late = peer->ask("RunPodSandbox", hook_request(TestPod{}), 400ms);
  // That it is not later than 400 ms shows NriSession, with a clock of its own.
  EXPECT_GE(Clock::now() - sent, 300ms);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->code, 4);
  EXPECT_TRUE(host_.cancelled(1));
  HeldHost::answer(*host_.event(1));
  // The next answer on the wire is the next hook's.
  const std::uint32_t stream = peer->call("StopPodSandbox", hook_request(TestPod{}));
  HeldHost::answer(*host_.event(2), sdk::Code::kUnavailable, "busy");
  const auto answer = peer->next();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stream, stream);
  EXPECT_EQ(answer->code, 14);
  EXPECT_EQ(answer->message, "busy");
}

TEST_F(NriLink, AHostThatBlocksInSubmitCostsNoAnswer) {
  std::promise<void> unblock;
  const auto unblocked = unblock.get_future().share();
  host_.set_on_submit([unblocked](const HeldHost::Event& event) {
    if (event.kind == EventKind::kRunPodSandbox) unblocked.wait();
  });
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  EXPECT_EQ(peer->ask("RunPodSandbox", hook_request(TestPod{}), 300ms)->code, 4);
  EXPECT_EQ(peer->ask("Shutdown", "")->code, 0) << "the reader goes on";
  unblock.set_value();
}

TEST_F(NriLink, SixtyFourAtOnceAnsweredInAnyOrder) {
  host_.hold_hooks();
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  constexpr std::uint32_t kCount = 64;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    TestPod pod;
    pod.id = "sandbox-" + std::to_string(i);
    peer->call("RunPodSandbox", hook_request(pod), 10s);
  }
  ASSERT_TRUE(host_.event(kCount));
  for (std::uint32_t i = kCount; i > 0; --i) {
    const auto event = host_.event(i);
    HeldHost::answer(*event, sdk::Code::kAborted, event->sandbox);
  }
  std::vector<bool> answered(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const auto answer = peer->next();
    ASSERT_TRUE(answer);
    const std::uint32_t sandbox = (answer->stream - 5) / 2;  // after the handshake's two calls
    ASSERT_LT(sandbox, kCount);
    EXPECT_EQ(answer->message, "sandbox-" + std::to_string(sandbox));
    answered[sandbox] = true;
  }
  EXPECT_EQ(std::ranges::count(answered, true), kCount);
}

TEST_F(NriLink, HooksOfALostConnectionAreCancelledBeforeTheLossIsTold) {
  host_.hold_hooks();
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  peer->call("RunPodSandbox", hook_request(TestPod{}));
  const auto held = host_.event(1);
  ASSERT_TRUE(held);
  peer.reset();
  ASSERT_TRUE(host_.event(2));
  EXPECT_EQ(host_.event(2)->kind, EventKind::kDisconnected);
  EXPECT_TRUE(host_.cancelled(1));
  // Its answer comes while another connection serves, whose first hook has the same token.
  peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  const std::uint32_t stream = peer->call("RunPodSandbox", hook_request(TestPod{}));
  ASSERT_TRUE(host_.event(4));
  HeldHost::answer(*held, sdk::Code::kAborted, "of the lost connection");
  HeldHost::answer(*host_.event(4), sdk::Code::kOk);
  const auto answer = peer->next();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stream, stream);
  EXPECT_EQ(answer->code, 0);
}

TEST_F(NriLink, EndsAtOnceWithAHookOpenAndTellsTheHost) {
  host_.hold_hooks();
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  ASSERT_TRUE(peer->handshake());
  peer->call("RunPodSandbox", hook_request(TestPod{}), 60s);
  const auto held = host_.event(1);
  ASSERT_TRUE(held);
  link_.reset();
  EXPECT_EQ(host_.count(), 3U);
  EXPECT_EQ(host_.event(2)->kind, EventKind::kDisconnected);
  EXPECT_TRUE(host_.cancelled(1));
  EXPECT_TRUE(peer->closed());
  HeldHost::answer(*held);  // may come after the end
}

TEST_F(NriLink, SandboxesOfTheHostsNetworkHaveNoPath) {
  // CRI-O pins the host's namespace for them like any other.
  const auto proc = host_.root(sdk::Root::kProc) / "1/ns";
  std::filesystem::create_directories(proc);
  std::ofstream(proc / "net") << "host";
  const auto pinned = host_.root(sdk::Root::kNetns) / "pinned";
  std::filesystem::create_hard_link(proc / "net", pinned);
  const auto own = host_.root(sdk::Root::kNetns) / "own";
  std::ofstream(own) << "pod";
  FakeRuntime runtime(socket_);
  start();
  auto peer = runtime.accept();
  TestPod on_host{.id = "h", .netns = pinned.string()};
  TestPod on_own{.id = "o", .netns = own.string()};
  TestPod gone{.id = "g", .netns = "/var/run/netns/gone"};
  ASSERT_TRUE(peer->handshake({on_host, on_own, gone}));
  const auto synchronised = host_.event(0);
  ASSERT_TRUE(synchronised);
  EXPECT_EQ(synchronised->netns_paths,
            (std::vector<std::string>{"", own.string(), "/var/run/netns/gone"}));
  ASSERT_TRUE(peer->ask("RunPodSandbox", hook_request(on_host)));
  EXPECT_EQ(host_.event(1)->netns, "");
  ASSERT_TRUE(peer->ask("CreateContainer", hook_request(on_own, TestContainer{})));
  EXPECT_EQ(host_.event(2)->netns, own.string());
  EXPECT_EQ(host_.event(2)->container, "c1");
}

TEST_F(NriLink, WithoutARuntimeItSaysSoOnceAndEndsAtOnce) {
  start(Backoff(1, 60s, 60s));
  const auto begun = Clock::now();
  link_.reset();
  EXPECT_LT(Clock::now() - begun, 5s);
  const auto complaints = [&] {
    return std::ranges::count_if(warnings(), [](const std::string& message) {
      return message.find("No such file") != std::string::npos;
    });
  };
  const auto of_the_first = complaints();
  EXPECT_LE(of_the_first, 1) << "it may have ended before its first try";
  start();
  {
    // Hundreds of tries lie between the start and the first connection.
    const auto until = Clock::now() + 50ms;
    while (Clock::now() < until) std::this_thread::yield();
    FakeRuntime runtime(socket_);
    ASSERT_TRUE(runtime.accept()->handshake());
    // Before the runtime goes, which is another outage and another complaint.
    EXPECT_EQ(complaints() - of_the_first, 1);
  }
}

TEST_F(NriLink, AShortRequestTimeoutIsAWarningWithTheLineToSet) {
  FakeRuntime runtime(socket_);
  start();
  ASSERT_TRUE(runtime.accept()->handshake());
  ASSERT_TRUE(host_.event(0));
  EXPECT_TRUE(warned_of("gives its NRI plugins 2000 ms for each call"));
  EXPECT_TRUE(warned_of("plugin_request_timeout = \"30s\""));
}

TEST_F(NriLink, ARuntimeThatKeepsRefusedSandboxesIsAWarning) {
  FakeRuntime runtime(socket_);
  start();
  ASSERT_TRUE(runtime.accept()->handshake());
  ASSERT_TRUE(host_.event(0));
  EXPECT_FALSE(warned_of("leave each refused sandbox behind"));
  auto peer = runtime.accept();
  EXPECT_EQ(peer->next()->method, "RegisterPlugin");
  ASSERT_TRUE(
      peer->ask("Configure", testing::configure_request("containerd", 5000, 2000, "2.1.9")));
  ASSERT_TRUE(peer->ask("Synchronize", testing::synchronize_request({}, {})));
  ASSERT_TRUE(host_.event(2));
  EXPECT_TRUE(warned_of("containerd 2.1.9 would leave each refused sandbox behind"));
}

TEST(NriBackoff, DoublesUpToItsLastWithJitter) {
  Backoff backoff(1);
  for (const auto longest : {200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    const auto wait = backoff.next();
    EXPECT_GE(wait, longest / 2);
    EXPECT_LE(wait, longest);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), 200ms);
  std::set<std::int64_t> waits;
  for (std::uint32_t seed = 0; seed < 20; ++seed)
    waits.insert(Backoff(seed * 0x9e3779b9U).next().count());
  EXPECT_GT(waits.size(), 5U) << "no jitter";
}

TEST(NriModule, FollowsTheConfiguredSocketUnderTheConfiguredName) {
  HeldHost host;
  host.hold_hooks();
  const std::string socket = (host.root(sdk::Root::kData) / "other.sock").string();
  FakeRuntime runtime(socket);
  const auto config = sdk::Config::parse(
      R"({"socket": ")" + socket +
      R"(", "pluginName": "acme", "pluginIndex": "07", "refuseAt": "container"})");
  ASSERT_TRUE(config);
  auto module = RuntimeNri::create(host.host(), "nri", *config);
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_FALSE((*module)->start()) << "no set_events";
  (*module)->set_events(host.runtime_events());
  ASSERT_TRUE((*module)->start());
  auto peer = runtime.accept();
  EXPECT_EQ(peer->next()->payload,
            "\x0a\x04"
            "acme\x12\x02"
            "07");
  EXPECT_EQ((*module)->request_timeout(), 0ns);
  EXPECT_EQ(peer->ask("Configure", testing::configure_request("cri-o", 5000, 30000))->code, 0);
  EXPECT_EQ(peer->ask("Synchronize", testing::synchronize_request({}, {}))->code, 0);
  ASSERT_TRUE(host.event(0));
  EXPECT_EQ((*module)->request_timeout(), 30s);
  peer->call("RunPodSandbox", hook_request(TestPod{}), 60s);
  ASSERT_TRUE(host.event(1));
  HeldHost::answer(*host.event(1), sdk::Code::kUnavailable, "no VF");
  EXPECT_EQ(peer->next()->code, 0) << "refuseAt";
  (*module)->stop();
  EXPECT_EQ(host.event(2)->kind, EventKind::kDisconnected);
}

TEST(NriModule, ASocketPathThatDoesNotFitIsRefused) {
  HeldHost host;
  const auto config = sdk::Config::parse(R"({"socket": "/)" + std::string(107, 'x') + R"("})");
  const auto module = RuntimeNri::create(host.host(), "nri", *config);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code(), sdk::Code::kInvalidArgument);
}

}  // namespace
}  // namespace drasriov::runtime_nri
