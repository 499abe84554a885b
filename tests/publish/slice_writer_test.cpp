// SPDX-License-Identifier: Apache-2.0
//
// The writer with its reflector against a folder as the cluster, which keeps versions, conflicts and watches as an API
// server does; faults come from a decorator in front of it.
#include "host/publish/slice_writer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/base/thread_annotations.hpp"
#include "host/cluster/directory/directory_cluster.hpp"

namespace drasriov::publish {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using cluster::Json;

class QuietLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level level) const noexcept override {
    return level >= telemetry::Level::kWarning;
  }
  void write(telemetry::Level, std::string_view message, std::span<const telemetry::Field>,
             const std::source_location*) override {
    const MutexLock lock(mutex_);
    lines_.append(message).append("\n");
  }
  [[nodiscard]] std::string lines() {
    const MutexLock lock(mutex_);
    return lines_;
  }

 private:
  Mutex mutex_;
  std::string lines_ DRASRIOV_GUARDED_BY(mutex_);
};

/// Counts writes, and fails or alters them as the test says.
class FaultyApi final : public cluster::ClusterApi {
 public:
  explicit FaultyApi(cluster::ClusterApi& real) : real_(real) {}

  std::function<Json(Json)> on_store;  ///< what the server makes of an object
  /// Called on the writer's thread when the server has stored something and the writer does not know yet.
  std::function<void(const Json&)> before_answer;
  void fail_writes(std::initializer_list<Code> codes) {
    const MutexLock lock(mutex_);
    errors_.assign(codes.begin(), codes.end());
  }
  [[nodiscard]] int writes() const { return writes_; }
  [[nodiscard]] int lists() const { return lists_; }
  [[nodiscard]] int watches() const { return watches_; }

  Result<Json> get(const cluster::Resource& resource, const cluster::ObjectKey& key,
                   Deadline deadline) override {
    return real_.get(resource, key, deadline);
  }
  Result<cluster::ObjectList> list(const cluster::Resource& resource,
                                   const cluster::Selector& selector, Deadline deadline) override {
    ++lists_;
    return real_.list(resource, selector, deadline);
  }
  Result<std::unique_ptr<cluster::Watch>> watch(const cluster::Resource& resource,
                                                const cluster::Selector& selector,
                                                std::string_view version,
                                                cluster::WatchSink& sink) override {
    ++watches_;
    return real_.watch(resource, selector, version, sink);
  }
  Result<Json> create(const cluster::Resource& resource, const Json& object,
                      Deadline deadline) override {
    if (auto error = next_error()) return *error;
    return answered(real_.create(resource, on_store ? on_store(object) : object, deadline));
  }
  Result<Json> update(const cluster::Resource& resource, const Json& object,
                      Deadline deadline) override {
    if (auto error = next_error()) return *error;
    return answered(real_.update(resource, on_store ? on_store(object) : object, deadline));
  }
  Status remove(const cluster::Resource& resource, const cluster::ObjectKey& key,
                const cluster::Preconditions& preconditions, Deadline deadline) override {
    if (auto error = next_error()) return *error;
    return real_.remove(resource, key, preconditions, deadline);
  }
  Result<Json> apply_status(const cluster::Resource& resource, const Json& object,
                            std::string_view manager, Deadline deadline) override {
    return real_.apply_status(resource, object, manager, deadline);
  }

 private:
  Result<Json> answered(Result<Json> stored) const {
    if (stored && before_answer) before_answer(*stored);
    return stored;
  }
  std::optional<Error> next_error() {
    ++writes_;
    const MutexLock lock(mutex_);
    if (errors_.empty()) return std::nullopt;
    const Code code = errors_.front();
    errors_.pop_front();
    return Error(code, "injected " + std::string(code_name(code)));
  }
  cluster::ClusterApi& real_;
  std::atomic<int> writes_{0};
  std::atomic<int> lists_{0};
  std::atomic<int> watches_{0};
  Mutex mutex_;
  std::deque<Code> errors_ DRASRIOV_GUARDED_BY(mutex_);
};

class SliceWriterTest : public testing::Test {
 protected:
  SliceWriterTest() {
    std::string name = "/tmp/drasriov-slices.XXXXXX";
    root_ = ::mkdtemp(name.data());
    write_node("node-uid-1");
    folder_ = *cluster::DirectoryCluster::open(root_, log_);
    api_ = std::make_unique<FaultyApi>(*folder_);
  }
  ~SliceWriterTest() override {
    reflector_.reset();
    writer_.reset();
    folder_.reset();
    fs::remove_all(root_);
  }

  void write_node(const std::string& uid) const {
    std::ofstream(root_ / "node.yaml")
        << "apiVersion: v1\nkind: Node\nmetadata: {name: n1, uid: " << uid << "}\n";
  }
  /// Without the reflector: the test tells the writer what a watch would.
  void start_alone() {
    SliceWriterSettings settings{"d.example.com", "n1", 5s, 20ms, 100ms, 1ms, 4ms};
    writer_ = std::make_unique<SliceWriter>(settings, *api_, log_, [this] { ++passes_; });
    writer_->start();
  }
  void start() {
    start_alone();
    reflector_ =
        std::make_unique<cluster::Reflector>(*api_, cluster::ReflectorSettings{5s, 1ms, 4ms, 8192});
    reflector_->follow(cluster::resource_slices(), writer_->selector(), *writer_);
    reflector_->start();
  }
  void publish(unsigned count, const std::string& value = "a") {
    std::vector<SliceEntry> entries;
    for (unsigned i = 0; i < count; ++i) {
      std::string number = std::to_string(i);
      number.insert(0, 4 - number.size(), '0');
      const std::string name = "0000-" + number;
      entries.push_back(
          {name, Json({{"name", name}, {"attributes", {{"d.example.com/x", {{"string", value}}}}}})
                     .dump()});
    }
    writer_->publish(std::move(entries));
  }
  [[nodiscard]] std::vector<Json> slices() {
    return folder_->list(cluster::resource_slices(), writer_->selector(), Deadline::infinite())
        ->items;
  }
  [[nodiscard]] std::size_t devices() {
    std::size_t count = 0;
    for (const Json& slice : slices()) count += slice["spec"]["devices"].size();
    return count;
  }
  [[nodiscard]] static bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  /// Longer than the quiet period: a repair or a second write would have come.
  static void settle() { std::this_thread::sleep_for(60ms); }

  fs::path root_;
  QuietLog log_;
  std::unique_ptr<cluster::DirectoryCluster> folder_;
  std::unique_ptr<FaultyApi> api_;
  std::unique_ptr<SliceWriter> writer_;
  std::unique_ptr<cluster::Reflector> reflector_;
  std::atomic<int> passes_{0};
  std::atomic<bool> interfered_{false};
};

TEST_F(SliceWriterTest, PublishesOwnedCompletePoolAndThenIsSilent) {
  start();
  publish(130);
  ASSERT_TRUE(eventually([&] { return devices() == 130; }));
  for (const Json& slice : slices()) {
    EXPECT_EQ(3, slice["spec"]["pool"]["resourceSliceCount"]);
    EXPECT_EQ(1, slice["spec"]["pool"]["generation"]);
    EXPECT_EQ("n1", slice["spec"]["pool"]["name"]);
    EXPECT_EQ("n1", slice["spec"]["nodeName"]);
    EXPECT_EQ("node-uid-1", slice["metadata"]["ownerReferences"][0]["uid"]);
  }
  EXPECT_EQ(3, api_->writes());
  publish(130);
  settle();
  EXPECT_EQ(3, api_->writes()) << "the same devices cost a write";
}

TEST_F(SliceWriterTest, TheReflectorsFirstListServesTheWriter) {
  start();
  ASSERT_TRUE(eventually([&] { return api_->watches() == 1; }));
  publish(65);
  ASSERT_TRUE(eventually([&] { return devices() == 65; }));
  EXPECT_EQ(1, api_->lists());
}

TEST_F(SliceWriterTest, AnEmptyNodeIsOneEmptySlice) {
  start();
  publish(0);
  EXPECT_TRUE(eventually([&] { return slices().size() == 1; }));
  EXPECT_EQ(0U, devices());
}

TEST_F(SliceWriterTest, RepairsWhatOthersDeleteAndEdit) {
  start();
  publish(65);
  ASSERT_TRUE(eventually([&] { return devices() == 65; }));
  for (const Json& slice : slices()) {
    ASSERT_TRUE(folder_->remove(cluster::resource_slices(), {"", slice["metadata"]["name"]}, {},
                                Deadline::infinite()));
  }
  ASSERT_TRUE(eventually([&] { return devices() == 65; }))
      << "kubelet deletes all slices when it restarts";

  Json edited = slices()[0];
  edited["spec"]["devices"].erase(0);
  ASSERT_TRUE(folder_->update(cluster::resource_slices(), edited, Deadline::infinite()));
  ASSERT_TRUE(eventually([&] { return devices() == 65; }));

  Json stray = slices()[0];
  stray["metadata"] = {{"name", "stray"}};
  stray["spec"]["pool"]["generation"] = 0;
  ASSERT_TRUE(folder_->create(cluster::resource_slices(), stray, Deadline::infinite()));
  EXPECT_TRUE(eventually([&] { return slices().size() == 2; }));
}

TEST_F(SliceWriterTest, NewNodeObjectOwnsTheSlicesMadeAfterIt) {
  start();
  publish(1);
  ASSERT_TRUE(eventually([&] { return devices() == 1; }));
  write_node("node-uid-2");
  ASSERT_TRUE(eventually([&] {
    return (*folder_->get(cluster::nodes(), {"", "n1"}, Deadline::infinite()))["metadata"]["uid"] ==
           "node-uid-2";
  }));
  ASSERT_TRUE(folder_->remove(cluster::resource_slices(), {"", slices()[0]["metadata"]["name"]}, {},
                              Deadline::infinite()));
  EXPECT_TRUE(eventually([&] {
    const auto now = slices();
    return now.size() == 1 && now[0]["metadata"]["ownerReferences"][0]["uid"] == "node-uid-2";
  }));
}

TEST_F(SliceWriterTest, GetsThroughConflictsThrottlingAndOutages) {
  start();
  api_->fail_writes({Code::kUnavailable, Code::kResourceExhausted, Code::kUnavailable});
  publish(65);
  ASSERT_TRUE(eventually([&] { return devices() == 65; }));
  api_->fail_writes({Code::kAborted, Code::kAborted});
  publish(65, "b");
  EXPECT_TRUE(eventually([&] {
    return slices()[1]["spec"]["devices"][0]["attributes"]["d.example.com/x"]["string"] == "b";
  }));
  EXPECT_NE(std::string::npos, log_.lines().find("publish slices: injected UNAVAILABLE"));
  EXPECT_EQ(std::string::npos, log_.lines().find("ABORTED"))
      << "a conflict is nothing for an operator";
}

TEST_F(SliceWriterTest, DoesNotFightAServerThatDropsAField) {
  api_->on_store = [](Json object) {
    for (Json& device : object["spec"]["devices"]) device.erase("attributes");
    return object;
  };
  start();
  publish(2);
  ASSERT_TRUE(eventually([&] { return passes_ > 0; }));
  const int writes = api_->writes();
  publish(2);
  settle();
  EXPECT_EQ(writes, api_->writes());
  EXPECT_NE(std::string::npos, log_.lines().find("without some of its fields"));
}

// Answers and watch events come over different connections: each order must lead to the same end.

TEST_F(SliceWriterTest, NewsOfADeletionBeforeTheAnswerToTheCreation) {
  api_->before_answer = [this](const Json& stored) {
    if (interfered_.exchange(true)) return;
    ASSERT_TRUE(folder_->remove(cluster::resource_slices(), {"", stored["metadata"]["name"]}, {},
                                Deadline::infinite()));
    Json last = stored;
    last["metadata"]["resourceVersion"] =
        std::to_string(std::stoull(stored["metadata"]["resourceVersion"].get<std::string>()) + 1);
    writer_->changed(stored);
    writer_->removed(last);
  };
  start_alone();
  publish(1);
  ASSERT_TRUE(eventually([&] { return passes_ > 0; }));
  EXPECT_TRUE(eventually([&] { return devices() == 1; }));
}

TEST_F(SliceWriterTest, NewsOfAnEditBeforeTheAnswerToTheUpdate) {
  start_alone();
  publish(2);
  ASSERT_TRUE(eventually([&] { return passes_ == 1; }));
  std::atomic<bool> told = false;
  api_->before_answer = [&](const Json& stored) {
    if (interfered_.exchange(true)) return;
    Json edit = stored;
    edit["spec"]["devices"].erase(0);
    const auto now = folder_->update(cluster::resource_slices(), edit, Deadline::infinite());
    ASSERT_TRUE(now);
    writer_->changed(*now);
    told = true;
  };
  publish(2, "b");
  ASSERT_TRUE(eventually([&] { return told.load(); }));  // two devices are there before, too
  EXPECT_TRUE(eventually([&] { return devices() == 2; }));
}

TEST_F(SliceWriterTest, OldNewsChangeNothing) {
  start_alone();
  publish(1);
  ASSERT_TRUE(eventually([&] { return passes_ == 1; }));
  const Json first = slices()[0];
  publish(1, "b");
  ASSERT_TRUE(eventually([&] { return passes_ == 2; }));
  publish(0);
  ASSERT_TRUE(eventually([&] { return passes_ == 3; }));
  const int writes = api_->writes();
  writer_->changed(first);
  settle();
  EXPECT_EQ(passes_, 3) << "an event of a version that was overwritten is no reason to plan";
  EXPECT_EQ(writes, api_->writes());
}

// The list of a watch that begins anew may have been made before our latest writes.
TEST_F(SliceWriterTest, AnOldListDoesNotMakeSlicesTwice) {
  start_alone();
  publish(1);
  ASSERT_TRUE(eventually([&] { return passes_ == 1; }));
  writer_->replaced({});
  ASSERT_TRUE(eventually([&] { return passes_ == 2; }));
  EXPECT_EQ(slices().size(), 1U);
  EXPECT_EQ(api_->writes(), 1);
}

// Of a node that was deleted and registered again nothing is left but the list.
TEST_F(SliceWriterTest, AListWithoutOurSlicesMakesThemAnewWithTheOwnerOfToday) {
  start_alone();
  publish(1);
  ASSERT_TRUE(eventually([&] { return passes_ == 1; }));
  write_node("node-uid-2");
  ASSERT_TRUE(eventually([&] {
    return (*folder_->get(cluster::nodes(), {"", "n1"}, Deadline::infinite()))["metadata"]["uid"] ==
           "node-uid-2";
  }));
  ASSERT_TRUE(folder_->remove(cluster::resource_slices(), {"", slices()[0]["metadata"]["name"]}, {},
                              Deadline::infinite()));
  writer_->replaced({});
  ASSERT_TRUE(eventually([&] { return slices().size() == 1; }));
  EXPECT_EQ(slices()[0]["metadata"]["ownerReferences"][0]["uid"], "node-uid-2");
}

TEST_F(SliceWriterTest, ARefusedSliceIsReportedOnceAndTriedAgainWithOtherDevices) {
  start();
  api_->fail_writes({Code::kInvalidArgument});
  publish(1);
  ASSERT_TRUE(eventually([&] {
    return log_.lines().find("publish slices: injected INVALID_ARGUMENT") != std::string::npos;
  }));
  publish(1, "b");
  EXPECT_TRUE(eventually([&] { return devices() == 1; }));
}

}  // namespace
}  // namespace drasriov::publish
