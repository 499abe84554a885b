// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/watched_objects.hpp"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace drasriov::cluster {
namespace {

/// Counts what is asked; the test plays the watches. One thread.
class CountingApi final : public ClusterApi {
 public:
  struct Running final : Watch {
    Running(CountingApi& owner, std::string of) : api(owner), name(std::move(of)) {}
    ~Running() override { api.sinks.erase(name); }
    CountingApi& api;
    const std::string name;
  };

  Result<Json> get(const Resource& resource, const ObjectKey& key, Deadline /*deadline*/) override {
    EXPECT_EQ(resource, network_attachment_definitions());
    asked.push_back("get " + key.to_string());
    if (failure) return *failure;
    return Json{{"metadata", {{"name", key.name}, {"resourceVersion", "7"}}}, {"value", value}};
  }
  Result<std::unique_ptr<Watch>> watch(const Resource& /*resource*/, const Selector& selector,
                                       std::string_view version, WatchSink& sink) override {
    EXPECT_EQ(selector.fields.size(), 1U);
    EXPECT_EQ(selector.fields[0].first, "metadata.name");
    EXPECT_EQ(version, "7");
    const std::string& name = selector.fields[0].second;
    asked.push_back("watch " + selector.namespace_ + "/" + name);
    sinks[name] = &sink;
    return std::unique_ptr<Watch>(std::make_unique<Running>(*this, name));
  }
  Result<ObjectList> list(const Resource&, const Selector&, Deadline) override { return unused(); }
  Result<Json> create(const Resource&, const Json&, Deadline) override { return unused(); }
  Result<Json> update(const Resource&, const Json&, Deadline) override { return unused(); }
  Status remove(const Resource&, const ObjectKey&, const Preconditions&, Deadline) override {
    return unused();
  }
  Result<Json> apply_status(const Resource&, const Json&, std::string_view, Deadline) override {
    return unused();
  }

  /// What was asked since the last time.
  std::vector<std::string> news() { return std::exchange(asked, {}); }

  std::vector<std::string> asked;
  std::map<std::string, WatchSink*> sinks;  ///< of running watches, by object
  std::optional<Error> failure;
  int value = 1;

 private:
  static Error unused() { return {Code::kUnimplemented, "not part of this test"}; }
};

class WatchedObjectsTest : public ::testing::Test {
 protected:
  Result<Json> get(const std::string& name) {
    return objects_.get({"ns", name}, Deadline::after(std::chrono::seconds(10)));
  }
  using Calls = std::vector<std::string>;
  CountingApi api_;
  WatchedObjects objects_{api_, network_attachment_definitions(), 2};
};

TEST_F(WatchedObjectsTest, OneRequestThenNone) {
  ASSERT_TRUE(get("a"));
  EXPECT_EQ(api_.news(), (Calls{"get ns/a", "watch ns/a"}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("a")->at("value"), 1);
  EXPECT_EQ(api_.news(), Calls{});
}

TEST_F(WatchedObjectsTest, FollowsChanges) {
  ASSERT_TRUE(get("a"));
  api_.sinks.at("a")->event(WatchEventType::kBookmark, Json::object());
  EXPECT_EQ(get("a")->at("value"), 1);
  api_.sinks.at("a")->event(WatchEventType::kModified, {{"value", 2}});
  EXPECT_EQ(get("a")->at("value"), 2);
  EXPECT_EQ(api_.news(), (Calls{"get ns/a", "watch ns/a"}));
}

TEST_F(WatchedObjectsTest, ADeletedObjectIsAskedForAgain) {
  ASSERT_TRUE(get("a"));
  api_.sinks.at("a")->event(WatchEventType::kDeleted, Json::object());
  api_.failure = Error(Code::kNotFound, "no such object");
  EXPECT_EQ(get("a").error().code(), Code::kNotFound);
  EXPECT_TRUE(api_.sinks.empty()) << "the old watch has ended";
  api_.failure.reset();
  EXPECT_TRUE(get("a"));
  EXPECT_EQ(api_.news(), (Calls{"get ns/a", "watch ns/a", "get ns/a", "get ns/a", "watch ns/a"}));
}

TEST_F(WatchedObjectsTest, WithoutItsWatchAnObjectIsNotBelieved) {
  ASSERT_TRUE(get("a"));
  api_.value = 2;
  api_.sinks.at("a")->closed({});
  EXPECT_EQ(get("a")->at("value"), 2);
  EXPECT_EQ(api_.news(), (Calls{"get ns/a", "watch ns/a", "get ns/a", "watch ns/a"}));
}

TEST_F(WatchedObjectsTest, TheOneThatWasReadLongestAgoGoes) {
  for (const char* name : {"a", "b", "a", "c"}) ASSERT_TRUE(get(name));
  EXPECT_TRUE(api_.sinks.contains("a"));
  EXPECT_FALSE(api_.sinks.contains("b"));
  EXPECT_TRUE(api_.sinks.contains("c"));
}

}  // namespace
}  // namespace drasriov::cluster
