// SPDX-License-Identifier: Apache-2.0
//
// Watches and the reflector over the wire, through every cut. The events are as kube-apiserver 1.34 sends them.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/cluster/kube/cluster_fixture.hpp"
#include "tests/cluster/kube/fake_server.hpp"
#include "tests/cluster/mirror.hpp"

namespace drasriov::cluster::kube::testing {
namespace {

using cluster::testing::Mirror;
using ::testing::HasSubstr;

using State = Mirror::State;

std::string object_text(const std::string& name, int version, const std::string& note = {}) {
  return R"({"kind":"ResourceSlice","apiVersion":"resource.k8s.io/v1","metadata":{"name":")" +
         name + R"(","resourceVersion":")" + std::to_string(version) +
         R"(","annotations":{"note":")" + note + "\"}}}";
}

std::string event_text(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

/// A collection with a history: version 10 is what a list says, events follow.
struct History {
  struct Entry {
    int version;
    std::string text;
  };
  std::string list =
      R"({"kind":"ResourceSliceList","metadata":{"resourceVersion":"10"},"items":[)" +
      object_text("a", 5) + "," + object_text("b", 9) + "]}";
  std::vector<Entry> events = {
      {11, event_text("ADDED", object_text("c", 11, R"(} \" { \\)"))},
      {12, event_text("MODIFIED", object_text("a", 12, "ü [ ]"))},
      {13, event_text("DELETED", object_text("b", 13))},
      {15, event_text("BOOKMARK", object_text("", 15))},
      {16, event_text("ADDED", object_text("d", 16))},
  };
  State end = {{"a", "12"}, {"c", "11"}, {"d", "16"}};

  [[nodiscard]] std::string after(int version) const {
    std::string text;
    for (const Entry& event : events) {
      if (event.version > version) text += event.text;
    }
    return text;
  }
};

class Watches : public ::testing::Test {
 protected:
  void serve(FakeServer::Handler handler, milliseconds patience = seconds(20)) {
    server_ = std::make_unique<FakeServer>(std::move(handler));
    Connection connection;
    connection.server = server_->url();
    KubeSettings settings = quick_settings();
    settings.http.stream_patience = patience;
    cluster_ = open_cluster(connection, log_, std::move(settings));
  }
  void follow() {
    ReflectorSettings settings;
    settings.first_backoff = milliseconds(1);
    settings.longest_backoff = milliseconds(2);
    reflector_ = std::make_unique<Reflector>(*cluster_, settings);
    reflector_->follow(resource_slices(), {}, kept_);
    reflector_->start();
  }
  void unfollow() {
    reflector_.reset();
    cluster_.reset();
    server_.reset();
  }

  const History history_;
  KeptLog log_;
  Mirror kept_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<KubeCluster> cluster_;
  std::unique_ptr<Reflector> reflector_;
};

TEST_F(Watches, ACutAtEveryByteLeavesTheStateOfAFreshList) {
  const std::string stream = history_.after(10);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Mirror kept;
    std::atomic<bool> first = true;  // each connection has a thread of the server
    FakeServer server([&](const Request& request, Reply& reply) {
      if (!request.query.contains("watch")) return reply.json(200, history_.list);
      reply.begin_stream();
      if (first.exchange(false)) {
        if (cut > 0) reply.chunk(std::string_view(stream).substr(0, cut));
        return reply.cut();
      }
      const std::string rest = history_.after(std::stoi(request.query.at("resourceVersion")));
      if (!rest.empty()) reply.chunk(rest);
      reply.hold();
    });
    Connection connection;
    connection.server = server.url();
    const auto cluster = open_cluster(connection, log_);
    ReflectorSettings settings;
    settings.first_backoff = milliseconds(1);
    settings.longest_backoff = milliseconds(2);
    Reflector reflector(*cluster, settings);
    reflector.follow(resource_slices(), {}, kept);
    reflector.start();
    ASSERT_TRUE(kept.becomes(history_.end)) << "cut after " << cut << " bytes";
    EXPECT_TRUE(kept.errors().empty()) << kept.errors().front().to_string();
    const auto lines = server.lines();
    EXPECT_EQ(std::ranges::count(lines, lines.front()), static_cast<long>(lines.size()));
    reflector.stop();
  }
}

TEST_F(Watches, AskForBookmarksAndAnEnd) {
  Mutex mutex;
  Request asked;
  serve([&](const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) return reply.json(200, history_.list);
    {
      const MutexLock lock(mutex);
      asked = request;
    }
    reply.begin_stream();
    reply.chunk(history_.after(10));
    reply.hold();
  });
  follow();
  ASSERT_TRUE(kept_.becomes(history_.end));
  const MutexLock lock(mutex);
  EXPECT_EQ(asked.query["resourceVersion"], "10");
  EXPECT_EQ(asked.query["allowWatchBookmarks"], "true");
  const int length = std::stoi(asked.query["timeoutSeconds"]);
  EXPECT_GE(length, 300);
  EXPECT_LE(length, 600);
}

/// How a server says that a version is too old: by its code, or by an event.
class GoneWatches : public Watches, public ::testing::WithParamInterface<bool> {};

TEST_P(GoneWatches, AreListedAnew) {
  const std::string gone =
      R"({"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old"})";
  std::atomic<int> lists = 0;
  serve([&, by_event = GetParam()](const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) {
      ++lists;
      return reply.json(200, lists == 1 ? history_.list
                                        : R"({"metadata":{"resourceVersion":"50"},"items":[)" +
                                              object_text("z", 40) + "]}");
    }
    if (request.query.at("resourceVersion") == "50") {
      reply.begin_stream();
      return reply.hold();
    }
    if (!by_event) return reply.json(410, gone);
    reply.begin_stream();
    reply.chunk(event_text("ERROR", gone));
    reply.hold();
  });
  follow();
  EXPECT_TRUE(kept_.becomes({{"z", "40"}}));
  EXPECT_EQ(lists, 2);
  EXPECT_TRUE(kept_.errors().empty());
}
INSTANTIATE_TEST_SUITE_P(Ways, GoneWatches, ::testing::Bool());

TEST_F(Watches, AnEventThatGoesBackInTimeIsNotBelieved) {
  std::atomic<int> lists = 0;
  serve([&](const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) {
      ++lists;
      return reply.json(200, history_.list);
    }
    reply.begin_stream();
    if (lists == 1) {
      reply.chunk(event_text("ADDED", object_text("c", 30)));
      reply.chunk(event_text("DELETED", object_text("a", 20)));
    } else {
      reply.chunk(history_.after(10));
    }
    reply.hold();
  });
  follow();
  EXPECT_TRUE(kept_.becomes(history_.end));
  EXPECT_EQ(lists, 2);
}

TEST_F(Watches, AnEventOfFiveMebibytesIsRefusedAndTheListTakesItsPlace) {
  const std::string large = object_text("big", 11, std::string(5U << 20U, 'x'));
  std::atomic<int> lists = 0;
  serve([&](const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) {
      ++lists;
      return reply.json(
          200, lists == 1 ? history_.list
                          : R"({"metadata":{"resourceVersion":"11"},"items":[)" + large + "]}");
    }
    reply.begin_stream();
    if (request.query.at("resourceVersion") == "10") reply.chunk(event_text("ADDED", large));
    reply.hold();
  });
  follow();
  ASSERT_TRUE(kept_.becomes({{"big", "11"}}));
  ASSERT_FALSE(kept_.errors().empty());
  EXPECT_THAT(kept_.errors().front().message(), HasSubstr("an object of more than"));
}

TEST_F(Watches, AnEventThatStopsHalfWayIsNotWaitedForLonger) {
  std::atomic<int> watches = 0;
  serve(
      [&](const Request& request, Reply& reply) {
        if (!request.query.contains("watch")) return reply.json(200, history_.list);
        reply.begin_stream();
        const std::string rest = history_.after(10);
        reply.chunk(watches++ == 0 ? rest.substr(0, 20) : rest);
        reply.hold();
      },
      milliseconds(200));
  follow();
  EXPECT_TRUE(kept_.becomes(history_.end));
  EXPECT_THAT(kept_.errors().front().message(), HasSubstr("went silent"));
}

TEST_F(Watches, AServerThatNeverAnswersIsNotWaitedForLonger) {
  std::atomic<int> watches = 0;
  serve(
      [&](const Request& request, Reply& reply) {
        if (!request.query.contains("watch")) return reply.json(200, history_.list);
        if (watches++ == 0) return reply.hold();
        reply.begin_stream();
        reply.chunk(history_.after(10));
        reply.hold();
      },
      milliseconds(200));
  follow();
  EXPECT_TRUE(kept_.becomes(history_.end));
  EXPECT_THAT(kept_.errors().front().message(), HasSubstr("went silent"));
}

TEST_F(Watches, AKindThatIsMissingIsPickedUpWhenItComes) {
  std::atomic<bool> installed = false;
  serve([&](const Request& request, Reply& reply) {
    if (!installed) return reply.json(404, "404 page not found\n");
    if (!request.query.contains("watch")) return reply.json(200, history_.list);
    reply.begin_stream();
    reply.hold();
  });
  follow();
  ASSERT_TRUE(kept_.fails_with(Code::kNotFound));
  EXPECT_THAT(kept_.errors().front().hint(), HasSubstr("is its CRD installed"));
  installed = true;
  EXPECT_TRUE(kept_.becomes({{"a", "5"}, {"b", "9"}}));
}

TEST_F(Watches, ARefusalOfAnyLengthKeepsItsCode) {
  serve([&](const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) return reply.json(200, history_.list);
    reply.json(403, std::string(200'000, 'x'));
  });
  follow();
  ASSERT_TRUE(kept_.fails_with(Code::kPermissionDenied));
  const Error refused = kept_.errors().front();
  EXPECT_THAT(refused.message(), HasSubstr("watch resourceslices.resource.k8s.io: HTTP 403: xxx"));
  EXPECT_THAT(refused.hint(), HasSubstr("must grant verb watch on resourceslices"));
}

TEST_F(Watches, AServerThatComesBackIsFollowedFromWhereItWas) {
  const auto handler = [&](const Request& request, Reply& reply) {
    if (!request.query.contains("watch")) return reply.json(200, history_.list);
    reply.begin_stream();
    reply.hold();
  };
  serve(handler);
  follow();
  ASSERT_TRUE(kept_.becomes({{"a", "5"}, {"b", "9"}}));
  const int port = server_->port();
  server_.reset();
  ASSERT_TRUE(kept_.fails_with(Code::kUnavailable));
  EXPECT_EQ(kept_.state().size(), 2U) << "what was told last stays";
  std::atomic<int> lists = 0;
  server_ = std::make_unique<FakeServer>(
      [&](const Request& request, Reply& reply) {
        if (!request.query.contains("watch")) {
          ++lists;
          return reply.json(200, history_.list);
        }
        reply.begin_stream();
        reply.chunk(history_.after(std::stoi(request.query.at("resourceVersion"))));
        reply.hold();
      },
      std::nullopt, port);
  EXPECT_TRUE(kept_.becomes(history_.end));
  unfollow();
}

}  // namespace
}  // namespace drasriov::cluster::kube::testing
