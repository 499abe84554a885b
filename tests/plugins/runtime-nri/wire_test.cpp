// SPDX-License-Identifier: Apache-2.0
//
// Mux, ttrpc and messages: recorded bytes, cuts at every byte, bounds.
#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "messages.hpp"
#include "mux.hpp"
#include "ttrpc.hpp"
#include "utf8.hpp"
#include "wire.hpp"

namespace drasriov::runtime_nri {
namespace {

using testing::mux;
using testing::unhex;

struct Collected {
  std::vector<Message> plugin;
  std::string error;
};

/// Reads `trunk` in the pieces that `cuts` gives; the rest in one.
Collected read_in(const std::string& trunk, const std::vector<std::size_t>& cuts) {
  Collected collected;
  MuxReader reader;
  MessageReader messages;
  std::size_t from = 0;
  const auto feed = [&](std::string_view bytes) {
    const auto status = reader.feed(bytes, [&](std::uint32_t connection, std::string_view piece) {
      if (connection != kPluginConnection) return sdk::Status();
      return messages.feed(piece, [&](Message&& message) {
        collected.plugin.push_back(std::move(message));
        return sdk::Status();
      });
    });
    if (!status && collected.error.empty()) collected.error = status.error().message();
  };
  for (const std::size_t cut : cuts) {
    feed(std::string_view(trunk).substr(from, cut - from));
    from = cut;
  }
  feed(std::string_view(trunk).substr(from));
  return collected;
}

void expect_same(const Collected& actual, const Collected& expected, const std::string& how) {
  ASSERT_EQ(actual.error, expected.error) << how;
  ASSERT_EQ(actual.plugin.size(), expected.plugin.size()) << how;
  for (std::size_t i = 0; i < expected.plugin.size(); ++i) {
    EXPECT_EQ(actual.plugin[i].stream, expected.plugin[i].stream) << how;
    EXPECT_EQ(actual.plugin[i].data, expected.plugin[i].data) << how;
  }
}

TEST(NriMux, EveryCutGivesTheSameMessages) {
  const std::string trunk = mux(kPluginConnection, testing::request_frame(1, "Configure", "abc")) +
                            mux(7, "bytes of a connection that is not ours") +
                            mux(kPluginConnection, testing::request_frame(3, "Shutdown", "")) +
                            mux(kRuntimeConnection, testing::response_frame(1));
  const Collected whole = read_in(trunk, {});
  ASSERT_EQ(whole.plugin.size(), 2U);
  for (std::size_t first = 0; first <= trunk.size(); ++first) {
    for (std::size_t second = first; second <= trunk.size(); ++second) {
      expect_same(read_in(trunk, {first, second}), whole,
                  std::to_string(first) + ", " + std::to_string(second));
    }
  }
}

TEST(NriMux, OneByteFramesAndManyMessagesInOneFrameAreTheSame) {
  const std::string stream = testing::request_frame(1, "Configure", "abc") +
                             testing::request_frame(3, "Synchronize", std::string(5000, 'x')) +
                             testing::request_frame(5, "Shutdown", "");
  const Collected whole = read_in(mux(kPluginConnection, stream), {});
  ASSERT_EQ(whole.plugin.size(), 3U);
  for (const std::size_t size : {1UL, 2UL, 9UL, 4096UL}) {
    expect_same(read_in(testing::mux_in_pieces(kPluginConnection, stream, size), {}), whole,
                std::to_string(size));
  }
}

TEST(NriMux, RefusesWhatNoPeerSends) {
  EXPECT_NE(read_in(mux(0, "x"), {}).error.find("reserved"), std::string::npos);
  std::string huge = mux(kPluginConnection, "");
  huge[4] = 0x7f;
  EXPECT_NE(read_in(huge, {}).error.find("2130706432 bytes"), std::string::npos);
}

TEST(NriTtrpc, MemoryFollowsTheBytesAndNotTheHeader) {
  // A header that promises 16 MiB, and 3 bytes: nothing is complete, nothing is allocated for it.
  const std::string claim = unhex("01000000 00000001 01 00") + "abc";
  EXPECT_TRUE(read_in(mux(kPluginConnection, claim), {}).plugin.empty());
  std::string longer;
  append_u32(longer, kMaxReceivedMessage + 1);
  longer += unhex("00000003 01 00") + std::string(kMaxReceivedMessage + 1, 'x') +
            testing::request_frame(5, "Shutdown", "");
  const Collected read = read_in(testing::mux_in_pieces(kPluginConnection, longer, 1U << 20), {});
  ASSERT_EQ(read.plugin.size(), 2U);
  EXPECT_TRUE(read.plugin[0].too_long);
  EXPECT_TRUE(read.plugin[0].data.empty());
  EXPECT_EQ(read.plugin[0].stream, 3U);
  EXPECT_FALSE(read.plugin[1].too_long);
  EXPECT_EQ(read.plugin[1].stream, 5U);
}

TEST(NriTtrpc, WritesWhatRuntimesAccepted) {
  // What a real runtime took, header and data as a frame each.
  std::string out;
  append_message(out, kRuntimeConnection, 1, kRequest,
                 encode_request({.service = kRuntimeService,
                                 .method = "RegisterPlugin",
                                 .payload = encode_register_plugin("sriov", "10"),
                                 .timeout = std::chrono::seconds(5)}));
  EXPECT_EQ(out, unhex("000000020000000a 00000041000000010100 0000000200000041"
                       "0a1c6e72692e706b672e6170692e7631616c706861312e52756e74696d65"
                       "120e5265676973746572506c7567696e1a0b0a057372696f7612023130"
                       "2080e497d012"));
  const auto response = [](std::uint32_t stream, const std::string& data) {
    std::string bytes;
    append_message(bytes, kPluginConnection, stream, kResponse, data);
    return bytes;
  };
  EXPECT_EQ(response(1, encode_success(encode_configure_response(7))),
            unhex("000000010000000a 00000004000000010200 0000000100000004 12021007"));
  EXPECT_EQ(response(5, encode_failure(sdk::Code::kUnknown, "no VF")),
            unhex("000000010000000a 0000000b000000050200 000000010000000b 0a09080212056e6f205646"));
  EXPECT_EQ(response(7, encode_failure(sdk::Code::kUnimplemented, "method Foo")),
            unhex("000000010000000a 00000010000000070200 0000000100000010"
                  "0a0e080c120a6d6574686f6420466f6f"));
  EXPECT_EQ(response(5, encode_success({})), unhex("000000010000000a 00000000000000050200"));
}

TEST(NriTtrpc, LongMessagesAreCutAsGoReadsThem) {
  const std::string data = encode_success(std::string(6000, 'x'));
  std::string out;
  append_message(out, kPluginConnection, 1, kResponse, data);
  testing::GoReader reader;
  EXPECT_EQ(reader.feed(out).size(), 1U);
  EXPECT_EQ(reader.problem(), "");
  testing::GoReader strict;
  EXPECT_TRUE(strict.feed(mux(kPluginConnection, testing::response_frame(1, data))).empty());
  EXPECT_NE(strict.problem(), "") << "the reader would notice one frame for all";
}

TEST(NriTtrpc, ReadsWhatARuntimeSent) {
  const std::string configure = unhex(
      "0a1b6e72692e706b672e6170692e7631616c706861312e506c7567696e1209436f6e6669677572651a10"
      "12067465737472741a0676392e392e392080a8d6b907");
  const auto request = parse_request(configure);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->service, kPluginService);
  EXPECT_EQ(request->method, "Configure");
  EXPECT_EQ(request->timeout, std::chrono::seconds(2));
  const auto parsed = parse_configure(request->payload);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->runtime_name, "testrt");
  EXPECT_EQ(parsed->runtime_version, "v9.9.9");
  EXPECT_EQ(parsed->request_timeout, std::chrono::seconds(2)) << "the default of NRI 0.6";

  const std::string change = unhex(
      "0a1b6e72692e706b672e6170692e7631616c706861312e506c7567696e120b53746174654368616e6765"
      "1a58080112540a0663616665303112037765621a08313233342d756964220764656661756c743a0472756e63"
      "422c1a092f6b756265706f64732a1f0a076e6574776f726b12142f7661722f72756e2f6e65746e732f636e"
      "692d312080a8d6b907");
  const auto event = parse_request(change);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->method, "StateChange");
  const auto pod = parse_state_change(event->payload);
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->event, 1);
  EXPECT_EQ(pod->sandbox.pod.sandbox_id, "cafe01");
  EXPECT_EQ(pod->sandbox.pod.uid, "1234-uid");
  EXPECT_EQ(pod->sandbox.pod.namespace_, "default");
  EXPECT_EQ(pod->sandbox.pod.name, "web");
  EXPECT_EQ(pod->sandbox.runtime_handler, "runc");
  EXPECT_EQ(pod->sandbox.netns_path, "/var/run/netns/cni-1");
}

TEST(NriTtrpc, ErrorTextsAreShortAndValid) {
  const auto sent = encode_failure(sdk::Code::kInternal, std::string("bad \xff\xfe end"));
  const auto response = parse_response(sent);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->message, "bad \xef\xbf\xbd\xef\xbf\xbd end");
  EXPECT_LT(encode_failure(sdk::Code::kInternal, std::string(1U << 20, 'x')).size(), 8192U);
}

TEST(NriMessages, AllOfAPodAndOfContainers) {
  testing::TestPod pod;
  pod.labels = {{"app", "web"}, {"empty", ""}};
  pod.annotations = {{"note", "\xc3\xa4"}};
  pod.pid = 4711;
  testing::TestPod host_network;
  host_network.id = "cafe02";
  host_network.netns.clear();
  const auto request = parse_synchronize(testing::synchronize_request(
      {pod, host_network},
      {{.id = "a", .state = 1}, {.id = "b", .state = 3}, {.id = "c", .state = 0}}));
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->more);
  ASSERT_EQ(request->sandboxes.size(), 2U);
  const sdk::Sandbox& first = request->sandboxes[0];
  EXPECT_EQ(first.pid, 4711);
  ASSERT_EQ(first.pod.labels.size(), 2U);
  EXPECT_EQ(first.pod.labels[0].key, "app");
  EXPECT_EQ(first.pod.labels[0].value, "web");
  EXPECT_EQ(first.pod.labels[1].value, "");
  ASSERT_EQ(first.pod.annotations.size(), 1U);
  EXPECT_EQ(first.pod.annotations[0].value, "\xc3\xa4");
  EXPECT_EQ(request->sandboxes[1].netns_path, "");
  ASSERT_EQ(request->containers.size(), 3U);
  EXPECT_FALSE(request->containers[0].running);
  EXPECT_TRUE(request->containers[1].running);
  EXPECT_FALSE(request->containers[2].running) << "state unknown";
  EXPECT_EQ(request->containers[1].sandbox_id, "cafe01");
}

TEST(NriMessages, ListsAreBounded) {
  std::string pods;
  for (std::size_t i = 0; i <= kMaxSandboxes; ++i) pods += std::string("\x0a\x00", 2);
  const auto many = parse_synchronize(pods);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code(), sdk::Code::kResourceExhausted);
  EXPECT_TRUE(parse_synchronize(std::string_view(pods).substr(2)));
  testing::TestPod pod;
  for (int i = 0; i < 8193; ++i) pod.labels[std::to_string(i)] = "";
  EXPECT_FALSE(parse_hook(testing::hook_request(pod)));
}

TEST(NriMessages, DamageIsAnErrorOrAValueButNeverMore) {
  testing::TestPod pod;
  pod.labels = {{"app", "web"}};
  const std::vector<std::string> seeds = {
      testing::synchronize_request({pod, pod}, {{}, {}}, true), testing::state_change(1, pod),
      testing::hook_request(pod, testing::TestContainer{}), testing::configure_request(),
      testing::request_frame(1, "Configure", "abc")};
  std::minstd_rand random(20);
  std::size_t refused = 0;
  for (const std::string& seed : seeds) {
    for (std::size_t size = 0; size < seed.size(); ++size) {
      const auto cut = std::string_view(seed).substr(0, size);
      refused += parse_hook(cut) ? 0 : 1;
      (void)parse_synchronize(cut);
      (void)parse_state_change(cut);
      (void)parse_configure(cut);
    }
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = seed;
      for (int i = 0; i < 3; ++i) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      (void)parse_request(damaged);
      (void)parse_response(damaged);
      (void)parse_synchronize(damaged);
      (void)parse_hook(damaged);
      const auto pods = parse_state_change(damaged);
      if (pods) {
        EXPECT_EQ(valid_utf8(pods->sandbox.pod.name), pods->sandbox.pod.name);
      }
    }
  }
  EXPECT_GT(refused, 0U);
}

TEST(NriMessages, AbsurdTimeoutsAreBounded) {
  const auto request = parse_configure(testing::configure_request("x", INT64_MAX, -5));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->registration_timeout, std::chrono::hours(24));
  EXPECT_EQ(request->request_timeout, std::chrono::seconds(2));
}

TEST(NriUtf8, OnlyWellFormedSequencesPass) {
  const struct {
    std::string in;
    std::string out;
  } rows[] = {
      {"", ""},
      {"plain", "plain"},
      {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
      {"a\xff", "a\xef\xbf\xbd"},
      {"\xc3", "\xef\xbf\xbd"},                                                  // cut
      {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                                  // overlong
      {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                  // overlong
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                  // surrogate
      {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  // > U+10FFFF
      {"\x80x", "\xef\xbf\xbdx"},
  };
  for (const auto& row : rows) EXPECT_EQ(valid_utf8(row.in), row.out);
}

}  // namespace
}  // namespace drasriov::runtime_nri
