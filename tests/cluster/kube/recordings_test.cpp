// SPDX-License-Identifier: Apache-2.0
//
// What a real API server has answered (tests/fixtures/api), played to the client.
#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/kube/cluster_fixture.hpp"
#include "tests/cluster/kube/fake_server.hpp"
#include "tests/cluster/mirror.hpp"

namespace drasriov::cluster::kube::testing {
namespace {

using cluster::testing::Mirror;
using ::testing::HasSubstr;

/// The exchanges of a recording.
Json recording(const std::string& name) {
  std::ifstream file(std::string(DRASRIOV_FIXTURES_DIR) + "/api/1.34/" + name + ".json");
  return Json::parse(file)["exchanges"];
}

void play(const Json& exchange, Reply& reply) {
  const Json& response = exchange["response"];
  reply.json(response["status"].get<int>(), response["body"].get<std::string>());
}

class Recordings : public ::testing::Test {
 protected:
  void serve(FakeServer::Handler handler) {
    cluster_.reset();
    server_ = std::make_unique<FakeServer>(std::move(handler));
    Connection connection;
    connection.server = server_->url();
    cluster_ = open_cluster(connection, log_);
  }
  /// Plays the first exchange to every request.
  void serve(const std::string& name) {
    serve([exchange = recording(name).at(0)](const Request&, Reply& reply) {
      play(exchange, reply);
    });
  }

  KeptLog log_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<KubeCluster> cluster_;
};

TEST_F(Recordings, AListInPages) {
  const Json pages = recording("list-pages");
  serve([&](const Request& request, Reply& reply) {
    const bool first = !request.query.contains("continue");
    const bool last =
        !first &&
        request.query.at("continue") ==
            Json::parse(pages[1]["response"]["body"].get<std::string>())["metadata"]["continue"];
    play(pages[first ? 0 : last ? 2 : 1], reply);
  });
  const auto list = cluster_->list(resource_slices(), {}, soon());
  ASSERT_TRUE(list) << list.error().to_string();
  EXPECT_EQ(list->items.size(), 7U);
  EXPECT_EQ(list->resource_version, "211");
  EXPECT_EQ(list->items.back()["metadata"]["name"], "page-6");
  EXPECT_EQ(list->items.back()["kind"], "ResourceSlice");
}

struct Refusal {
  const char* recording;
  Code code;
  const char* message;
};

class Refusals : public Recordings, public ::testing::WithParamInterface<Refusal> {};

TEST_P(Refusals, AreErrorsOfTheRightKind) {
  serve(GetParam().recording);
  const auto answer = cluster_->apply_status(
      resource_claims(), {{"metadata", {{"name", "one"}, {"namespace", "default"}}}}, "d", soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), GetParam().code) << answer.error().to_string();
  EXPECT_THAT(answer.error().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Answers, Refusals,
    ::testing::Values(
        Refusal{"conflict", Code::kAborted, "the object has been modified"},
        Refusal{"already-exists", Code::kAlreadyExists, "already exists"},
        Refusal{"invalid-slice", Code::kInvalidArgument, "Too many: 129"},
        Refusal{"bad-request", Code::kInvalidArgument, "HTTP 400 BadRequest"},
        Refusal{"denied", Code::kPermissionDenied, "is forbidden"},
        Refusal{"crd-absent", Code::kNotFound, "404 page not found"},
        Refusal{"apply-absent", Code::kNotFound, "not found"},
        Refusal{"apply-unallocated", Code::kInvalidArgument, "must be an allocated device"},
        // Another driver was faster.
        Refusal{"filter-status-stale", Code::kAborted, "the object has been modified"},
        // Another claim of the same name: as a conflict, for nobody has made a mistake.
        Refusal{"apply-other-uid", Code::kAborted, "field is immutable"}));

/// A list and the watch that followed it, cut once after `cut` bytes.
class CutWatch {
 public:
  explicit CutWatch(std::size_t cut) : cut_(cut) {
    Json items = Json::array();
    for (const Json& page : recording("list-pages")) {
      const Json body = Json::parse(page["response"]["body"].get<std::string>());
      items.insert(items.end(), body["items"].begin(), body["items"].end());
      version_ = std::stoi(body["metadata"]["resourceVersion"].get<std::string>());
    }
    list_ = Json{{"metadata", {{"resourceVersion", std::to_string(version_)}}}, {"items", items}};
    for (const Json& item : items) put(item);
    const Json lines = recording("watch").at(0)["response"]["lines"];
    for (const Json& line : lines) {
      const Json event = Json::parse(line.get<std::string>());
      const Json& object = event["object"];
      events_.emplace_back(std::stoi(object["metadata"]["resourceVersion"].get<std::string>()),
                           line.get<std::string>() + "\n");
      if (event["type"] == "DELETED") {
        end_.erase(object["metadata"]["name"].get<std::string>());
      } else {
        put(object);
      }
    }
  }
  void set_cut(std::size_t cut) {
    cut_ = cut;
    first_ = true;
  }
  [[nodiscard]] std::size_t size() const { return after(version_).size(); }
  [[nodiscard]] const Mirror::State& end() const { return end_; }

  void serve(const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) return reply.json(200, list_.dump());
    const std::string rest = after(std::stoi(request.query.at("resourceVersion")));
    reply.begin_stream();
    if (first_.exchange(false)) {
      if (cut_ > 0) reply.chunk(std::string_view(rest).substr(0, cut_));
      return reply.cut();
    }
    if (!rest.empty()) reply.chunk(rest);
    reply.hold();
  }

 private:
  void put(const Json& object) {
    const Json& metadata = object["metadata"];
    end_[metadata["name"].get<std::string>()] = metadata["resourceVersion"].get<std::string>();
  }
  [[nodiscard]] std::string after(int version) const {
    std::string text;
    for (const auto& [of, line] : events_) {
      if (of > version) text += line;
    }
    return text;
  }

  std::atomic<std::size_t> cut_;
  std::atomic<bool> first_ = true;
  int version_ = 0;
  Json list_;
  std::vector<std::pair<int, std::string>> events_;
  Mirror::State end_;
};

TEST_F(Recordings, AWatchThatIsCutAtAnyByteEndsLikeAFreshList) {
  constexpr std::size_t kCutsOfOneServer = 200;
  CutWatch watch(0);
  ASSERT_GT(watch.size(), 2000U);
  ReflectorSettings settings;
  settings.first_backoff = milliseconds(1);
  settings.longest_backoff = milliseconds(2);
  for (std::size_t cut = 0; cut <= watch.size(); ++cut) {
    if (cut % kCutsOfOneServer == 0) {
      serve([&](const Request& request, Reply& reply) { watch.serve(request, reply); });
    }
    watch.set_cut(cut);
    Mirror versions;
    Reflector reflector(*cluster_, settings);
    reflector.follow(resource_slices(), {}, versions);
    reflector.start();
    ASSERT_TRUE(versions.becomes(watch.end())) << "cut after " << cut << " bytes";
    reflector.stop();
  }
}

TEST_F(Recordings, AVersionThatIsGoneIsSaidByAnEvent) {
  const Json lines = recording("watch-expired").at(0)["response"]["lines"];
  serve([&](const Request&, Reply& reply) {
    reply.begin_stream();
    for (const Json& line : lines) reply.chunk(line.get<std::string>() + "\n");
    reply.end_stream();
  });
  class Sink final : public WatchSink {
   public:
    void event(WatchEventType /*type*/, const Json& object) override {
      ADD_FAILURE() << object.dump();
    }
    void closed(const Status& status) override {
      const MutexLock lock(mutex_);
      status_ = status;
      changed_.notify_all();
    }
    Status wait() {
      const MutexLock lock(mutex_);
      while (!status_) changed_.wait(mutex_);
      return *status_;
    }

   private:
    Mutex mutex_;
    CondVar changed_;
    std::optional<Status> status_ DRASRIOV_GUARDED_BY(mutex_);
  } sink;
  const auto watch = cluster_->watch(resource_slices(), {}, "1", sink);
  ASSERT_TRUE(watch);
  const Status status = sink.wait();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kOutOfRange);
}

}  // namespace
}  // namespace drasriov::cluster::kube::testing
