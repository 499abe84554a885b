// SPDX-License-Identifier: Apache-2.0
#include "host/publish/event_writer.hpp"

#include <gtest/gtest.h>

#include "tests/publish/recording_api.hpp"

namespace drasriov::publish {
namespace {

using namespace std::chrono_literals;

constexpr Time after(int seconds) {
  return Time(std::chrono::seconds(seconds));
}

Event event(std::string note) {
  return {{"resource.k8s.io/v1", "ResourceClaim", "ns", "c1", "uid-1"},
          "Prepare",
          true,
          "PrepareFailed",
          std::move(note)};
}

TEST(EventObject, TextIsCutBetweenCharacters) {
  const Json object = event_object({"d.example.com", "n1"}, event(std::string(1023, 'x') + "ü"),
                                   after(1), after(9), 3);
  EXPECT_EQ(std::string(1023, 'x'), object["note"]);
  EXPECT_EQ("Warning", object["type"]);
  EXPECT_EQ("uid-1", object["regarding"]["uid"]);
  EXPECT_EQ("ns", object["metadata"]["namespace"]);
  EXPECT_EQ(3, object["series"]["count"]);
  EXPECT_EQ("1970-01-01T00:00:09.000000Z", object["series"]["lastObservedTime"]);
}

TEST(EventObject, AboutANodeLivesInTheDefaultNamespace) {
  const Event on_node{node_subject("127.0.0.1"), "Discover", true, "DiscoveryFailed", "gone"};
  const Json object = event_object({"d.example.com", "n1"}, on_node, after(1), after(1), 1);
  EXPECT_EQ("default", object["metadata"]["namespace"]);
  EXPECT_EQ(
      (Json{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", "127.0.0.1"}, {"uid", "127.0.0.1"}}),
      object["regarding"]);
  EXPECT_FALSE(object.contains("series"));
}

TEST(EventObject, NameIsAPrefixThatTheServerCanEnd) {
  Event long_name = event("x");
  long_name.regarding.name = std::string(39, 'a') + "." + std::string(200, 'b');
  const Json object = event_object({}, long_name, after(1), after(1), 1);
  EXPECT_EQ(std::string(39, 'a') + "-", object["metadata"]["generateName"])
      << "API servers refuse a generateName that ends in a dot";
}

class EventWriterTest : public testing::Test {
 protected:
  void start() {
    writer_ = std::make_unique<EventWriter>(settings_, api_, log_);
    writer_->start();
  }
  EventWriterSettings settings_{{"d.example.com", "n1"}, 1s, 1ms, 2ms, 10min, 4};
  RecordingApi api_;
  QuietLog log_;
  std::unique_ptr<EventWriter> writer_;
};

TEST_F(EventWriterTest, EqualEventsBecomeASeries) {
  settings_.window = 500ms;
  start();
  for (int i = 0; i < 3; ++i) writer_->write(event("busy"));
  EXPECT_TRUE(api_.sees({"create events busy", "update events x3"}));
}

TEST_F(EventWriterTest, EventsAreRetriedInOrderAndBounded) {
  settings_.first_backoff = settings_.longest_backoff = 20ms;
  api_.fail_next(Code::kUnavailable);
  writer_ = std::make_unique<EventWriter>(settings_, api_, log_);
  for (const char* note : {"1", "2", "3", "4", "dropped"}) writer_->write(event(note));
  writer_->start();
  writer_->stop(5s);
  EXPECT_TRUE(api_.sees({"create events 1 -> UNAVAILABLE", "create events 1", "create events 2",
                         "create events 3", "create events 4"}));
}

TEST_F(EventWriterTest, WhatTheServerRefusesIsDropped) {
  api_.fail_next(Code::kInvalidArgument);
  start();
  writer_->write(event("1"));
  writer_->write(event("2"));
  EXPECT_TRUE(api_.sees({"create events 1 -> INVALID_ARGUMENT", "create events 2"}));
}

TEST_F(EventWriterTest, WhatAStopHasCutShortIsWrittenByItsEnd) {
  settings_.first_backoff = settings_.longest_backoff = 60s;
  api_.fail_next(Code::kCancelled);
  start();
  writer_->write(event("1"));
  ASSERT_TRUE(api_.sees({"create events 1 -> CANCELLED"}));
  writer_->stop(20s);
  EXPECT_TRUE(api_.sees({"create events 1 -> CANCELLED", "create events 1"}));
}

TEST_F(EventWriterTest, StopWritesTheCounts) {
  start();
  for (const char* note : {"busy", "once", "busy", "busy"}) writer_->write(event(note));
  writer_->stop(20s);
  EXPECT_TRUE(api_.sees({"create events busy", "create events once", "update events x3"}));
}

TEST_F(EventWriterTest, StopDoesNotWaitForAClusterThatIsDown) {
  for (int i = 0; i < 1000; ++i) api_.fail_next(Code::kUnavailable);
  settings_.first_backoff = settings_.longest_backoff = 60s;
  start();
  writer_->write(event("1"));
  ASSERT_TRUE(api_.sees({"create events 1 -> UNAVAILABLE"}));
  const auto begin = std::chrono::steady_clock::now();
  writer_->stop(20ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace drasriov::publish
