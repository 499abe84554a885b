// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/directory_cluster.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/base/durable_file.hpp"
#include "host/base/thread_annotations.hpp"

namespace drasriov::cluster {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* kClaim = R"(# written by a person
apiVersion: v1
kind: Node
metadata: {name: n1, uid: node-1}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: c1, namespace: ns, uid: uid-1}
spec: {devices: {requests: [{name: vf, exactly: {deviceClassName: x}}]}}
status:
  allocation:
    devices:
      results:
      - {request: vf, driver: d.example.com, pool: n1, device: 0000-08-00-2}
)";

class QuietLog final : public telemetry::Log {
 public:
  [[nodiscard]] bool enabled(telemetry::Level /*level*/) const noexcept override { return true; }
  void write(telemetry::Level /*level*/, std::string_view message,
             std::span<const telemetry::Field> /*fields*/,
             const std::source_location* /*where*/) override {
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

/// Keeps "ADDED ns/name" and so on, and waits for them.
class Events final : public WatchSink {
 public:
  void event(WatchEventType type, const Json& object) override {
    static constexpr const char* kNames[] = {"ADDED ", "MODIFIED ", "DELETED ", "BOOKMARK "};
    add(kNames[static_cast<int>(type)] + object["metadata"].value("name", ""));
  }
  void closed(const Status& status) override {
    add(status ? "CLOSED" : std::string(code_name(status.error().code())));
  }

  [[nodiscard]] bool wait_for(const std::vector<std::string>& expected) {
    const auto until = std::chrono::steady_clock::now() + 30s;
    const MutexLock lock(mutex_);
    while (seen_ != expected) {
      if (!changed_.wait_until(mutex_, until)) break;
    }
    EXPECT_EQ(expected, seen_);
    return seen_ == expected;
  }

 private:
  void add(std::string line) {
    const MutexLock lock(mutex_);
    seen_.push_back(std::move(line));
    changed_.notify_all();
  }
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> seen_ DRASRIOV_GUARDED_BY(mutex_);
};

class DirectoryClusterTest : public testing::Test {
 protected:
  DirectoryClusterTest() {
    std::string name = "/tmp/drasriov-cluster.XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~DirectoryClusterTest() override {
    cluster_.reset();
    fs::remove_all(root_);
  }
  void write(const fs::path& file, const std::string& text) const {
    std::ofstream(root_ / file) << text;
  }
  void open() {
    auto opened = DirectoryCluster::open(root_, log_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    cluster_ = *std::move(opened);
  }
  [[nodiscard]] Result<Json> get_claim() {
    return cluster_->get(resource_claims(), {"ns", "c1"}, Deadline::infinite());
  }
  [[nodiscard]] std::unique_ptr<Watch> watch(const Resource& resource, const Selector& selector,
                                             Events& events) {
    const auto list = cluster_->list(resource, selector, Deadline::infinite());
    auto watch = cluster_->watch(resource, selector, list->resource_version, events);
    EXPECT_TRUE(watch);
    return *std::move(watch);
  }
  static Json slice(const std::string& name, const std::string& node) {
    return {{"metadata", {{"name", name}}},
            {"spec", {{"driver", "d.example.com"}, {"nodeName", node}}}};
  }

  fs::path root_;
  QuietLog log_;
  std::unique_ptr<DirectoryCluster> cluster_;
};

TEST_F(DirectoryClusterTest, ReadsObjectsOfSeveralDocumentsAndFolders) {
  write("all.yaml", kClaim);
  fs::create_directory(root_ / "filters");
  write("filters/one.json",
        R"({"apiVersion": "d.example.com/v1alpha1", "kind": "SriovResourceFilter",
                               "metadata": {"name": "f", "namespace": "sys"}})");
  open();
  const auto claim = get_claim();
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_EQ("uid-1", (*claim)["metadata"]["uid"]);
  const auto filter =
      cluster_->get(resource_filters("d.example.com"), {"sys", "f"}, Deadline::infinite());
  ASSERT_TRUE(filter);
  EXPECT_EQ(36U, (*filter)["metadata"]["uid"].get<std::string>().size());
  EXPECT_EQ(20U, (*filter)["metadata"]["creationTimestamp"].get<std::string>().size());
  EXPECT_EQ(Code::kNotFound,
            cluster_->get(nodes(), {"", "n2"}, Deadline::infinite()).error().code());
}

TEST_F(DirectoryClusterTest, NoFolderIsAnError) {
  const auto opened = DirectoryCluster::open(root_ / "no", log_);
  ASSERT_FALSE(opened);
  EXPECT_EQ("cluster folder " + (root_ / "no").native() +
                ": no such directory — hint: create it, or give another in `cluster: dir:PATH`",
            opened.error().to_string());
}

TEST_F(DirectoryClusterTest, StaleTemporariesOfObjectsAreRemovedAndNothingElse) {
  fs::create_directory(root_ / "filters");
  const std::vector<fs::path> stale = {".ns_c1.yaml.AbC123.tmp", "filters/.f.json.zzzzzz.tmp"};
  const std::vector<fs::path> others = {".editor.tmp", ".c.txt.AbC123.tmp", ".c.yaml.tmp",
                                        "c.yaml.AbC123.tmp", ".c.yaml.swp"};
  for (const auto& files : {stale, others}) {
    for (const fs::path& file : files) write(file, kClaim);
  }
  open();
  for (const fs::path& file : stale) EXPECT_TRUE(fs::exists(root_ / file)) << "only looked at";
  DirectoryCluster::remove_stale_temporaries(root_);
  for (const fs::path& file : stale) EXPECT_FALSE(fs::exists(root_ / file)) << file;
  for (const fs::path& file : others) EXPECT_TRUE(fs::exists(root_ / file)) << file;
}

TEST_F(DirectoryClusterTest, FollowsWhatPeopleDoToTheFiles) {
  write("all.yaml", kClaim);
  open();
  Events events;
  const auto claims = watch(resource_claims(), {}, events);
  write(
      "second.yaml",
      "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: c2, namespace: ns}\n");
  ASSERT_TRUE(events.wait_for({"ADDED c2"}));
  // As an editor saves: a new file renamed over the old one.
  write(".second.swp",
        "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: c2, namespace: ns, "
        "labels: {a: b}}\n");
  fs::rename(root_ / ".second.swp", root_ / "second.yaml");
  ASSERT_TRUE(events.wait_for({"ADDED c2", "MODIFIED c2"}));
  fs::remove(root_ / "second.yaml");
  ASSERT_TRUE(events.wait_for({"ADDED c2", "MODIFIED c2", "DELETED c2"}));
  // A folder that comes later, with a file in it.
  fs::create_directory(root_ / "later");
  write(
      "later/third.yaml",
      "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: c3, namespace: ns}\n");
  ASSERT_TRUE(events.wait_for({"ADDED c2", "MODIFIED c2", "DELETED c2", "ADDED c3"}));
}

/// Who writes a claim and calls at once: no thread has followed the folder yet. The watch is told all the same.
TEST_F(DirectoryClusterTest, WhatWasWrittenJustNowIsFound) {
  open();
  Events events;
  const auto claims = watch(resource_claims(), {}, events);
  std::vector<std::string> expected;
  for (int i = 0; i < 200; ++i) {
    const std::string name = "claim-" + std::to_string(i);
    write(
        "next",
        R"({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": ")" +
            name + R"(", "namespace": "ns"}})");
    fs::rename(root_ / "next", root_ / (name + ".json"));
    const auto found = cluster_->get(resource_claims(), {"ns", name}, Deadline::infinite());
    ASSERT_TRUE(found) << found.error().to_string();
    expected.push_back("ADDED " + name);
  }
  EXPECT_TRUE(events.wait_for(expected));
}

TEST_F(DirectoryClusterTest, ABrokenFileKeepsItsLastGoodContentAndIsNotOverwritten) {
  write("all.yaml", kClaim);
  open();
  Events events;
  const auto other = watch(nodes(), {}, events);
  write("all.yaml", "kind: [unfinished\n");
  write("marker.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: marker}\n");
  ASSERT_TRUE(events.wait_for({"ADDED marker"}));
  EXPECT_TRUE(get_claim());
  EXPECT_NE(std::string::npos, log_.lines().find((root_ / "all.yaml").native() + ": 2:1: "))
      << log_.lines();
  const auto applied = cluster_->apply_status(resource_claims(),
                                              {{"apiVersion", "resource.k8s.io/v1"},
                                               {"kind", "ResourceClaim"},
                                               {"metadata", {{"name", "c1"}, {"namespace", "ns"}}},
                                               {"status", {{"x", 1}}}},
                                              "d.example.com", Deadline::infinite());
  ASSERT_FALSE(applied);
  EXPECT_EQ(Code::kFailedPrecondition, applied.error().code());
  EXPECT_EQ("kind: [unfinished\n", *read_file(root_ / "all.yaml"));
}

// Programs that write in place empty the file first. Whatever makes us look at it then must not take
// its objects for deleted.
/// A claim in each form that has a reader of its own, with `levels` of nesting.
std::vector<std::pair<std::string, std::string>> nested(std::size_t levels) {
  const std::string head =
      "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata:\n  name: deep\n  namespace: "
      "ns\nspec:";
  std::string maps = head;
  std::string sequences = head + "\n";
  for (std::size_t i = 0; i < levels; ++i) {
    maps += "\n" + std::string(2 * i + 2, ' ') + "a:";
    sequences += std::string(2 * i, ' ') + "- a:\n";
  }
  const std::string brackets = std::string(levels, '[') + std::string(levels, ']');
  const std::string beginning =
      R"({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "deep",)"
      R"("namespace": "ns"}, "spec": )";
  return {{"flow.yaml", head + " " + brackets + "\n"},
          {"maps.yaml", maps + " 1\n"},
          {"sequences.yaml", sequences},
          {"deep.json", beginning + brackets + "}"}};
}

TEST_F(DirectoryClusterTest, AFileThatIsNestedTooDeepIsNamedWithTheLimit) {
  for (const auto& [name, text] : nested(2000)) {
    write(name, text);
    open();
    const std::string file = (root_ / name).native();
    const std::string lines = log_.lines();
    const auto problem = lines.rfind(file);
    const auto end = lines.rfind(
        ": nested deeper than 64 levels — hint: correct the file; until "
        "then its last good content is used\n");
    ASSERT_TRUE(problem != std::string::npos && end != std::string::npos && problem < end) << lines;
    const auto missing = cluster_->get(resource_claims(), {"ns", "deep"}, Deadline::infinite());
    ASSERT_FALSE(missing) << name;
    EXPECT_EQ(missing.error().to_string(),
              "get resourceclaims ns/deep: not found — hint: it may be in a file of the cluster "
              "folder that cannot be read, correct that: " +
                  lines.substr(problem, end - problem) + ": nested deeper than 64 levels");
    cluster_.reset();
    fs::remove(root_ / name);
  }
  for (const auto& [name, text] : nested(30)) {
    write(name, text);
    open();
    EXPECT_TRUE(cluster_->get(resource_claims(), {"ns", "deep"}, Deadline::infinite())) << name;
    cluster_.reset();
    fs::remove(root_ / name);
  }
}

TEST_F(DirectoryClusterTest, AFileThatIsBeingWrittenKeepsItsObjects) {
  write("all.yaml", kClaim);
  open();
  Events events;
  const auto node_events = watch(nodes(), {}, events);
  {
    std::ofstream writer(root_ / "all.yaml");  // empties it
    fs::create_directory(root_ / "more");      // makes us look at everything
    write("more/marker.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: marker}\n");
    ASSERT_TRUE(events.wait_for({"ADDED marker"}));
    EXPECT_TRUE(get_claim());
    const auto removed =
        cluster_->remove(resource_claims(), {"ns", "c1"}, {}, Deadline::infinite());
    ASSERT_FALSE(removed);
    EXPECT_EQ(Code::kUnavailable, removed.error().code());
    writer << "apiVersion: v1\nkind: Node\nmetadata: {name: n2}\n";
  }
  EXPECT_TRUE(events.wait_for({"ADDED marker", "ADDED n2", "DELETED n1"}));
  EXPECT_FALSE(get_claim());
}

TEST_F(DirectoryClusterTest, CreateUpdateDeleteAsAnApiServer) {
  open();
  Events events;
  const auto mine = watch(resource_slices(), {"", {{"spec.nodeName", "n1"}}}, events);
  auto created = cluster_->create(resource_slices(), slice("s1", "n1"), Deadline::infinite());
  ASSERT_TRUE(created) << created.error().message();
  EXPECT_TRUE(fs::exists(root_ / "resourceslices/s1.yaml"));
  EXPECT_TRUE(cluster_->create(resource_slices(), slice("other", "n2"), Deadline::infinite()));
  EXPECT_EQ(
      Code::kAlreadyExists,
      cluster_->create(resource_slices(), slice("s1", "n1"), Deadline::infinite()).error().code());

  Json generated = slice("", "n1");
  generated["metadata"] = {{"generateName", "00000-d.example.com-n1-"}};
  const auto named = cluster_->create(resource_slices(), generated, Deadline::infinite());
  ASSERT_TRUE(named);
  const auto name = (*named)["metadata"]["name"].get<std::string>();
  EXPECT_EQ("00000-d.example.com-n1-", name.substr(0, name.size() - 5));

  Json changed = *created;
  changed["spec"]["x"] = 1;
  const auto updated = cluster_->update(resource_slices(), changed, Deadline::infinite());
  ASSERT_TRUE(updated);
  EXPECT_EQ(2, (*updated)["metadata"]["generation"]);
  EXPECT_EQ((*created)["metadata"]["uid"], (*updated)["metadata"]["uid"]);
  EXPECT_EQ(Code::kAborted,
            cluster_->update(resource_slices(), changed, Deadline::infinite()).error().code())
      << "the resource version is stale";
  EXPECT_EQ((*updated)["metadata"]["resourceVersion"],
            (*cluster_->update(resource_slices(), *updated,
                               Deadline::infinite()))["metadata"]["resourceVersion"])
      << "an update that changes nothing makes no new version";

  EXPECT_EQ(Code::kAborted,
            cluster_->remove(resource_slices(), {"", "s1"}, {"other-uid", ""}, Deadline::infinite())
                .error()
                .code());
  EXPECT_TRUE(cluster_->remove(resource_slices(), {"", "s1"}, {}, Deadline::infinite()));
  EXPECT_FALSE(fs::exists(root_ / "resourceslices/s1.yaml"));
  EXPECT_EQ(
      Code::kNotFound,
      cluster_->remove(resource_slices(), {"", "s1"}, {}, Deadline::infinite()).error().code());
  EXPECT_TRUE(events.wait_for({"ADDED s1", "ADDED " + name, "MODIFIED s1", "DELETED s1"}));
}

TEST_F(DirectoryClusterTest, StatusIsWrittenBackIntoItsDocument) {
  write("all.yaml", kClaim);
  open();
  const Json device = {{"driver", "d.example.com"}, {"pool", "n1"}, {"device", "0000-08-00-2"}};
  Json apply = {{"apiVersion", "resource.k8s.io/v1"},
                {"kind", "ResourceClaim"},
                {"metadata", {{"name", "c1"}, {"namespace", "ns"}, {"uid", "uid-1"}}},
                {"status", {{"devices", Json::array({device})}}}};
  const auto applied =
      cluster_->apply_status(resource_claims(), apply, "d.example.com", Deadline::infinite());
  ASSERT_TRUE(applied) << applied.error().message();
  EXPECT_EQ(1U, (*applied)["status"]["devices"].size());
  const std::string text = *read_file(root_ / "all.yaml");
  EXPECT_NE(std::string::npos, text.find("kind: Node")) << text;
  EXPECT_NE(std::string::npos, text.find("device: \"0000-08-00-2\"")) << text;
  const auto again =
      cluster_->apply_status(resource_claims(), apply, "d.example.com", Deadline::infinite());
  EXPECT_EQ((*applied)["metadata"]["resourceVersion"], (*again)["metadata"]["resourceVersion"]);

  Json wrong = apply;
  wrong["status"]["devices"][0]["device"] = "0000-08-00-3";
  EXPECT_EQ(Code::kInvalidArgument,
            cluster_->apply_status(resource_claims(), wrong, "d.example.com", Deadline::infinite())
                .error()
                .code());
  wrong = apply;
  wrong["status"]["devices"].push_back(device);
  EXPECT_EQ(Code::kInvalidArgument,
            cluster_->apply_status(resource_claims(), wrong, "d.example.com", Deadline::infinite())
                .error()
                .code());
  wrong = apply;
  wrong["metadata"]["uid"] = "uid-2";
  EXPECT_EQ(Code::kAborted,
            cluster_->apply_status(resource_claims(), wrong, "d.example.com", Deadline::infinite())
                .error()
                .code());

  wrong = apply;
  wrong["metadata"]["resourceVersion"] = "1";
  EXPECT_EQ(Code::kAborted,
            cluster_->apply_status(resource_claims(), wrong, "d.example.com", Deadline::infinite())
                .error()
                .code());

  apply["metadata"]["resourceVersion"] = (*applied)["metadata"]["resourceVersion"];
  apply["status"]["devices"] = Json::array();
  const auto cleared =
      cluster_->apply_status(resource_claims(), apply, "d.example.com", Deadline::infinite());
  ASSERT_TRUE(cleared);
  EXPECT_FALSE((*cleared)["status"].contains("devices"));
  EXPECT_TRUE((*cleared)["status"].contains("allocation"));
}

TEST_F(DirectoryClusterTest, WatchFromAVersionThatIsNone) {
  open();
  Events events;
  EXPECT_EQ(Code::kInvalidArgument,
            cluster_->watch(resource_slices(), {}, "x", events).error().code());
}

TEST_F(DirectoryClusterTest, AFullOrReadOnlyFolderChangesNothing) {
  write("all.yaml", kClaim);
  open();
  // The folder of slices cannot be made where a file has its name.
  write("resourceslices", "x");
  const auto created = cluster_->create(resource_slices(), slice("s1", "n1"), Deadline::infinite());
  ASSERT_FALSE(created);
  EXPECT_NE(std::string::npos,
            created.error().message().find("create resourceslices s1: create directory"));
  EXPECT_FALSE(cluster_->get(resource_slices(), {"", "s1"}, Deadline::infinite()));
}

}  // namespace
}  // namespace drasriov::cluster
