// SPDX-License-Identifier: Apache-2.0
//
// The reflector against a scripted API: each fault that a list or watch can have, and what the
// observer ends up with.
#include "host/cluster/reflector.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cluster/mirror.hpp"

namespace drasriov::cluster {
namespace {

using namespace std::chrono_literals;

Json object(const std::string& name, int version) {
  return {{"metadata", {{"name", name}, {"resourceVersion", std::to_string(version)}}}};
}

/// Serves list() and watch() from functions of the test; everything else is not asked for.
class ScriptedApi final : public ClusterApi {
 public:
  std::function<Result<ObjectList>(int attempt)> on_list;
  /// Runs as the API's I/O thread: may send events to the sink at once.
  std::function<Status(int attempt, const std::string& version, WatchSink& sink)> on_watch;

  /// What happens while a collection is being listed.
  std::function<void(const Resource& resource)> during_list = [](const Resource&) {};

  Result<ObjectList> list(const Resource& resource, const Selector& /*selector*/,
                          Deadline /*deadline*/) override {
    during_list(resource);
    return on_list(++lists);
  }
  Result<std::unique_ptr<Watch>> watch(const Resource& /*resource*/, const Selector& /*selector*/,
                                       std::string_view version, WatchSink& sink) override {
    if (auto status = on_watch(++watches, std::string(version), sink); !status)
      return std::move(status).error();
    return std::make_unique<Watch>();
  }
  Result<Json> get(const Resource&, const ObjectKey&, Deadline) override { return unused(); }
  Result<Json> create(const Resource&, const Json&, Deadline) override { return unused(); }
  Result<Json> update(const Resource&, const Json&, Deadline) override { return unused(); }
  Status remove(const Resource&, const ObjectKey&, const Preconditions&, Deadline) override {
    return unused();
  }
  Result<Json> apply_status(const Resource&, const Json&, std::string_view, Deadline) override {
    return unused();
  }

  std::atomic<int> lists = 0;
  std::atomic<int> watches = 0;

 private:
  static Error unused() { return {Code::kUnimplemented, "not part of this test"}; }
};

using Messages = std::vector<std::string>;

class ReflectorTest : public ::testing::Test {
 protected:
  void run(ReflectorSettings settings = {1s, 1ms, 4ms, 8192}) {
    reflector_ = std::make_unique<Reflector>(api_, settings);
    reflector_->follow(nodes(), {}, mirror_);
    reflector_->start();
  }
  static ObjectList list_of(std::vector<Json> items, int version) {
    return {std::move(items), std::to_string(version)};
  }

  ScriptedApi api_;
  testing::Mirror mirror_;
  std::unique_ptr<Reflector> reflector_;
};

TEST_F(ReflectorTest, ListsThenFollows) {
  api_.on_list = [](int) { return list_of({object("a", 1), object("b", 2)}, 2); };
  api_.on_watch = [](int, const std::string& version, WatchSink& sink) -> Status {
    EXPECT_EQ("2", version);
    sink.event(WatchEventType::kAdded, object("c", 3));
    sink.event(WatchEventType::kModified, object("a", 4));
    sink.event(WatchEventType::kDeleted, object("b", 5));
    return {};
  };
  run();
  EXPECT_TRUE(mirror_.becomes({{"a", "4"}, {"c", "3"}}));
  reflector_->stop();
  EXPECT_EQ(Messages(), mirror_.messages());
  EXPECT_EQ(1, api_.lists);
}

TEST_F(ReflectorTest, ResumesFromTheLastVersionIncludingBookmarks) {
  api_.on_list = [](int) { return list_of({}, 1); };
  api_.on_watch = [](int attempt, const std::string& version, WatchSink& sink) -> Status {
    if (attempt == 1) {
      sink.event(WatchEventType::kAdded, object("a", 2));
      sink.event(WatchEventType::kBookmark, object("", 7));
      sink.closed({});
    } else if (attempt == 2) {
      EXPECT_EQ("7", version);
      sink.closed(Error(Code::kUnavailable, "connection reset"));
    } else {
      EXPECT_EQ("7", version);
      sink.event(WatchEventType::kAdded, object("b", 8));
    }
    return {};
  };
  run();
  EXPECT_TRUE(mirror_.becomes({{"a", "2"}, {"b", "8"}}));
  reflector_->stop();
  EXPECT_EQ(1, api_.lists) << "a watch that ends needs no new list";
  EXPECT_EQ(Messages{"connection reset"}, mirror_.messages());
  EXPECT_EQ(1, mirror_.resumptions()) << "the end of the trouble is told, and told once";
}

TEST_F(ReflectorTest, ListsAnewWhenTheVersionIsGone) {
  api_.on_list = [](int attempt) {
    return attempt == 1 ? list_of({object("a", 1), object("gone", 1)}, 1)
                        : list_of({object("a", 9)}, 9);
  };
  api_.on_watch = [](int attempt, const std::string& /*version*/, WatchSink& sink) -> Status {
    if (attempt == 1) return Error(Code::kOutOfRange, "too old");
    if (attempt == 2) sink.closed(Error(Code::kOutOfRange, "too old"));
    return {};
  };
  run();
  EXPECT_TRUE(mirror_.becomes({{"a", "9"}}));
  reflector_->stop();
  EXPECT_EQ(Messages(), mirror_.messages()) << "410 is no failure";
}

TEST_F(ReflectorTest, KeepsTryingAndReportsEachFailure) {
  api_.on_list = [](int attempt) -> Result<ObjectList> {
    if (attempt == 1) return Error(Code::kNotFound, "no such kind");
    if (attempt == 2) return Error(Code::kUnavailable, "503");
    return list_of({object("a", 1)}, 1);
  };
  api_.on_watch = [](int attempt, const std::string&, WatchSink&) -> Status {
    if (attempt == 1) return Error(Code::kResourceExhausted, "429");
    return {};
  };
  run();
  EXPECT_TRUE(mirror_.becomes({{"a", "1"}}));
  while (mirror_.messages() != Messages{"no such kind", "503", "429"}) std::this_thread::yield();
}

TEST_F(ReflectorTest, ListsAnewWhenTheVersionIsRefusedForGood) {
  api_.on_list = [](int attempt) { return list_of({object("a", attempt)}, 100 * attempt); };
  api_.on_watch = [](int attempt, const std::string& version, WatchSink&) -> Status {
    if (attempt == 1) return Error(Code::kInvalidArgument, "invalid resource version");
    if (attempt <= 11) {
      EXPECT_EQ("200", version) << "an outage costs no list";
      return Error(Code::kUnavailable, "too large resource version");
    }
    EXPECT_EQ("300", version);
    return {};
  };
  run({1s, 1ms, 1ms, 8192});
  EXPECT_TRUE(mirror_.becomes({{"a", "3"}}));
}

TEST_F(ReflectorTest, ListsAnewAfterMoreEventsThanItKeeps) {
  api_.on_list = [](int attempt) { return list_of({object("a", attempt)}, 100 * attempt); };
  api_.on_watch = [](int attempt, const std::string& version, WatchSink& sink) -> Status {
    EXPECT_EQ(std::to_string(100 * attempt), version);
    if (attempt == 1) {
      for (int i = 0; i < 10; ++i)
        sink.event(WatchEventType::kModified, object("lost" + std::to_string(i), 101 + i));
    }
    return {};
  };
  run({1s, 1ms, 4ms, 4});
  EXPECT_TRUE(mirror_.becomes({{"a", "2"}}));
}

TEST_F(ReflectorTest, AListThatHangsHoldsUpNoOtherCollection) {
  std::promise<void> answer;
  api_.during_list = [&, answered = answer.get_future().share()](const Resource& resource) {
    if (resource.plural == nodes().plural) answered.wait();
  };
  api_.on_list = [](int) { return list_of({object("a", 1)}, 1); };
  std::promise<WatchSink*> watched;
  api_.on_watch = [&](int attempt, const std::string&, WatchSink& sink) -> Status {
    if (attempt == 1) watched.set_value(&sink);
    return {};
  };
  testing::Mirror slices;
  reflector_ = std::make_unique<Reflector>(api_);
  reflector_->follow(nodes(), {}, mirror_);
  reflector_->follow(resource_slices(), {}, slices);
  reflector_->start();
  EXPECT_TRUE(slices.becomes({{"a", "1"}}));
  auto sink = watched.get_future();
  if (sink.wait_for(30s) == std::future_status::ready)
    sink.get()->event(WatchEventType::kAdded, object("b", 2));
  EXPECT_TRUE(slices.becomes({{"a", "1"}, {"b", "2"}})) << "events come, too";
  EXPECT_EQ(api_.lists, 1);
  answer.set_value();
  EXPECT_TRUE(mirror_.becomes({{"a", "1"}}));
  reflector_->stop();
}

TEST_F(ReflectorTest, StopsWhileItWaits) {
  api_.on_list = [](int) -> Result<ObjectList> { return Error(Code::kUnavailable, "down"); };
  run({1s, 60s, 60s, 8192});
  while (mirror_.errors().empty()) std::this_thread::yield();
  const auto begin = std::chrono::steady_clock::now();
  reflector_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace drasriov::cluster
