// SPDX-License-Identifier: Apache-2.0
//
// What KubeCluster asks, and how it reads the answers. The answers are those of kube-apiserver 1.34.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/cluster/kube/cluster_fixture.hpp"
#include "tests/cluster/kube/fake_server.hpp"

namespace drasriov::cluster::kube::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A server, a client of it, and the last request.
class Requests : public ::testing::Test {
 protected:
  void answer(FakeServer::Handler handler) {
    server_ = std::make_unique<FakeServer>([this, handler](const Request& request, Reply& reply) {
      {
        const MutexLock lock(mutex_);
        last_ = request;
      }
      handler(request, reply);
    });
    Connection connection;
    connection.server = server_->url();
    connection.token.text = "s3cret";
    cluster_ = open_cluster(connection, log_);
  }
  void answer(int code, std::string body) {
    answer([code, body](const Request&, Reply& reply) { reply.json(code, body); });
  }
  Request last() {
    const MutexLock lock(mutex_);
    return last_;
  }

  KeptLog log_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<KubeCluster> cluster_;
  Mutex mutex_;
  Request last_ DRASRIOV_GUARDED_BY(mutex_);
};

TEST_F(Requests, GetsAnObject) {
  answer(200,
         R"({"kind":"ResourceClaim","apiVersion":"resource.k8s.io/v1","metadata":{"name":"c"}})");
  const auto claim = cluster_->get(resource_claims(), {"ns", "c"}, soon());
  ASSERT_TRUE(claim) << claim.error().to_string();
  EXPECT_EQ((*claim)["metadata"]["name"], "c");
  EXPECT_EQ(last().line(), "GET /apis/resource.k8s.io/v1/namespaces/ns/resourceclaims/c");
  EXPECT_EQ(last().headers["authorization"], "Bearer s3cret");
  EXPECT_EQ(last().headers["accept"], "application/json");
  EXPECT_EQ(last().headers["user-agent"], "dra-driver-sriov/test");
}

TEST_F(Requests, AsksOnlyForTheMetadataOfNodes) {
  answer(
      200,
      R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"n"}})");
  const auto node = cluster_->get(nodes(), {"", "n"}, soon());
  ASSERT_TRUE(node);
  EXPECT_EQ((*node)["kind"], "Node");
  EXPECT_EQ((*node)["apiVersion"], "v1");
  EXPECT_EQ(last().headers["accept"],
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");
}

TEST_F(Requests, AsksForTheWholeNodeWhereItsStatusIsWanted) {
  answer(200, R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"n"}})");
  Connection connection;
  connection.server = server_->url();
  KubeSettings settings = quick_settings();
  settings.whole_nodes = true;
  cluster_ = open_cluster(connection, log_, settings);
  ASSERT_TRUE(cluster_->get(nodes(), {"", "n"}, soon()));
  EXPECT_EQ(last().line(), "GET /api/v1/nodes/n");
  EXPECT_EQ(last().headers["accept"], "application/json");
}

TEST_F(Requests, ListsPageByPage) {
  answer([](const Request& request, Reply& reply) {
    const auto next = request.query.find("continue");
    const bool first = next == request.query.end();
    EXPECT_TRUE(first || next->second == "to/ken+1");
    reply.json(
        200, first ? R"({"metadata":{"resourceVersion":"7","continue":"to/ken+1"},
                              "items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]})"
                   : R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"c"}}]})");
  });
  const auto list = cluster_->list(resource_slices(),
                                   {"", {{"spec.driver", "d"}, {"spec.nodeName", "n,1"}}}, soon());
  ASSERT_TRUE(list) << list.error().to_string();
  EXPECT_EQ(list->resource_version, "7");
  ASSERT_EQ(list->items.size(), 3U);
  EXPECT_EQ(list->items[2]["metadata"]["name"], "c");
  EXPECT_EQ(list->items[2]["kind"], "ResourceSlice") << "a server leaves it out of lists";
  EXPECT_EQ(last().query["limit"], "200");
  EXPECT_EQ(last().query["fieldSelector"], R"(spec.driver=d,spec.nodeName=n\,1)");
  EXPECT_EQ(server_->lines().size(), 2U);
}

TEST_F(Requests, AListWhoseContinuationExpiredIsTakenInOnePiece) {
  answer([](const Request& request, Reply& reply) {
    if (request.query.contains("continue")) {
      reply.json(410, R"({"kind":"Status","reason":"Expired","code":410,"message":"too old"})");
    } else if (request.query.at("limit") == "0") {
      reply.json(200,
                 R"({"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a"}}]})");
    } else {
      reply.json(200, R"({"metadata":{"resourceVersion":"7","continue":"x"},
                        "items":[{"metadata":{"name":"a"}},{"metadata":{"name":"gone"}}]})");
    }
  });
  const auto list = cluster_->list(resource_slices(), {}, soon());
  ASSERT_TRUE(list) << list.error().to_string();
  EXPECT_EQ(list->resource_version, "9");
  EXPECT_EQ(list->items.size(), 1U);
}

TEST_F(Requests, Creates) {
  answer(201, R"({"metadata":{"name":"s-x7","uid":"u","resourceVersion":"3"}})");
  const auto slice =
      cluster_->create(resource_slices(), {{"metadata", {{"generateName", "s-"}}}}, soon());
  ASSERT_TRUE(slice) << slice.error().to_string();
  EXPECT_EQ((*slice)["metadata"]["uid"], "u");
  EXPECT_EQ(last().line(), "POST /apis/resource.k8s.io/v1/resourceslices");
  EXPECT_EQ(last().query["fieldManager"], "driver.example");
  EXPECT_EQ(last().body, R"({"metadata":{"generateName":"s-"}})");
  EXPECT_EQ(last().headers["content-type"], "application/json");
}

TEST_F(Requests, Updates) {
  answer(200, R"({"metadata":{"name":"s","resourceVersion":"4"}})");
  ASSERT_TRUE(cluster_->update(resource_slices(), {{"metadata", {{"name", "s"}}}}, soon()));
  EXPECT_EQ(last().line(), "PUT /apis/resource.k8s.io/v1/resourceslices/s");
}

TEST_F(Requests, RemovesWithPreconditions) {
  answer(200, R"({"kind":"Status","status":"Success"})");
  ASSERT_TRUE(cluster_->remove(resource_slices(), {"", "s"}, {"uid-1", "12"}, soon()));
  EXPECT_EQ(last().line(), "DELETE /apis/resource.k8s.io/v1/resourceslices/s");
  const auto options = Json::parse(last().body);
  EXPECT_EQ(options["preconditions"], (Json{{"uid", "uid-1"}, {"resourceVersion", "12"}}));
}

TEST_F(Requests, AppliesStatusAsTheFieldManager) {
  answer(200, R"({"metadata":{"name":"c"}})");
  const Json object{{"apiVersion", "resource.k8s.io/v1"},
                    {"kind", "ResourceClaim"},
                    {"metadata", {{"name", "c"}, {"namespace", "ns"}, {"uid", "u"}}},
                    {"status", {{"devices", Json::array()}}}};
  ASSERT_TRUE(
      cluster_->apply_status(resource_claims(), object, "sriovnetwork.openshift.io", soon()));
  EXPECT_EQ(last().line(), "PATCH /apis/resource.k8s.io/v1/namespaces/ns/resourceclaims/c/status");
  EXPECT_EQ(last().query["fieldManager"], "sriovnetwork.openshift.io");
  EXPECT_EQ(last().query["force"], "true");
  EXPECT_EQ(last().headers["content-type"], "application/apply-patch+yaml");
  EXPECT_EQ(Json::parse(last().body), object);
}

TEST_F(Requests, KeepsTheConnection) {
  answer(200, R"({"metadata":{}})");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(cluster_->get(resource_claims(), {"ns", "c"}, soon()));
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(Requests, AnErrorSaysWhatTheServerSaid) {
  answer(403,
         R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
    "message":"resourceslices.resource.k8s.io is forbidden: User \"x\" cannot list resource"})");
  const auto list = cluster_->list(resource_slices(), {}, soon());
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code(), Code::kPermissionDenied);
  EXPECT_THAT(list.error().message(), HasSubstr("list resourceslices.resource.k8s.io"));
  EXPECT_THAT(list.error().message(), HasSubstr("HTTP 403 Forbidden"));
  EXPECT_THAT(list.error().message(), HasSubstr("cannot list resource"));
  EXPECT_THAT(list.error().hint(), HasSubstr("verb list on resourceslices"));
}

// What 1.34 answers when the claim's opaque parameters were stored with spaces (docs/features.md).
TEST_F(Requests, AStatusThatMeetsParametersWithSpacesSaysWhatToDo) {
  answer(422,
         R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,
    "message":"ResourceClaim.resource.k8s.io \"c\" is invalid: status.allocation: Invalid value: {}: field is immutable",
    "details":{"causes":[{"reason":"FieldValueInvalid","field":"status.allocation"}]}})");
  const auto applied = cluster_->apply_status(
      resource_claims(), {{"metadata", {{"name", "c"}, {"namespace", "ns"}}}}, "d", soon());
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(applied.error().hint(), HasSubstr("opaque parameters"));
}

TEST_F(Requests, NothingSecretIsWritten) {
  answer(500, "no");
  const auto failed = cluster_->get(resource_claims(), {"ns", "c"}, soon());
  ASSERT_FALSE(failed);
  EXPECT_THAT(log_.text(), HasSubstr("GET /apis/resource.k8s.io"));
  EXPECT_THAT(log_.text() + failed.error().to_string(), Not(HasSubstr("s3cret")));
}

TEST_F(Requests, AnswersOfSomethingElseAreErrors) {
  answer(200, "<html>login</html>");
  const auto claim = cluster_->get(resource_claims(), {"ns", "c"}, soon());
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kUnavailable);
  const auto list = cluster_->list(resource_claims(), {}, soon());
  ASSERT_FALSE(list);
}

TEST_F(Requests, AnAnswerThatIsTooLargeIsGivenUp) {
  answer([](const Request&, Reply& reply) {
    reply.begin_stream();
    const std::string mebibyte(1 << 20, ' ');
    for (int i = 0; i < 17; ++i) reply.chunk(mebibyte);
    reply.end_stream();
  });
  const auto claim = cluster_->get(resource_claims(), {"ns", "c"}, soon());
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(claim.error().message(), HasSubstr("larger than 16 MiB"));
}

}  // namespace
}  // namespace drasriov::cluster::kube::testing
