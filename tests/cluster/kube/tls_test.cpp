// SPDX-License-Identifier: Apache-2.0
//
// Who the client believes, and how it says who it is.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/cluster/kube/certificates.hpp"
#include "tests/cluster/kube/cluster_fixture.hpp"

namespace drasriov::cluster::kube::testing {
namespace {

using ::testing::HasSubstr;

class Tls : public ::testing::Test {
 protected:
  /// Asks a server with that identity for a claim.
  Result<Json> ask(const TlsIdentity& identity) {
    server_ = std::make_unique<FakeServer>(
        [this](const Request& request, Reply& reply) {
          client_ = request.client;
          reply.json(200, R"({"metadata":{"name":"c"}})");
        },
        identity);
    connection_.server = server_->url();
    cluster_ = open_cluster(connection_, log_);
    auto claim = cluster_->get(resource_claims(), {"ns", "c"}, soon());
    cluster_.reset();
    server_.reset();
    return claim;
  }

  const Authority authority_{"test authority"};
  Connection connection_{.authority = {authority_.certificate(), {}}};
  KeptLog log_;
  std::string client_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<KubeCluster> cluster_;
};

TEST_F(Tls, TheAuthorityOfTheKubeconfigIsBelieved) {
  const auto claim = ask(authority_.sign("server", "IP:127.0.0.1"));
  EXPECT_TRUE(claim) << claim.error().to_string();
}

TEST_F(Tls, AnotherAuthorityIsNot) {
  const Authority other("another authority");
  const auto claim = ask(other.sign("server", "IP:127.0.0.1"));
  ASSERT_FALSE(claim);
  EXPECT_EQ(claim.error().code(), Code::kUnavailable);
  EXPECT_THAT(claim.error().hint(), HasSubstr("certificate-authority"));
}

TEST_F(Tls, AnExpiredCertificateIsNamedWithTheClock) {
  const auto claim = ask(authority_.sign("server", "IP:127.0.0.1", {-10, -5}));
  ASSERT_FALSE(claim);
  EXPECT_THAT(claim.error().message(), HasSubstr("get resourceclaims.resource.k8s.io ns/c"));
  EXPECT_THAT(claim.error().message(), HasSubstr("expired"));
  EXPECT_THAT(claim.error().hint(), HasSubstr("clock of this node"));
}

TEST_F(Tls, ACertificateOfTomorrowIsNamedWithTheClock) {
  const auto claim = ask(authority_.sign("server", "IP:127.0.0.1", {3, 5}));
  ASSERT_FALSE(claim);
  EXPECT_THAT(claim.error().message(), HasSubstr("not yet valid"));
  EXPECT_THAT(claim.error().hint(), HasSubstr("clock of this node"));
}

TEST_F(Tls, TheNameMustBeThatOfTheServer) {
  const auto claim = ask(authority_.sign("server", "IP:127.0.0.2"));
  ASSERT_FALSE(claim);
  EXPECT_THAT(claim.error().hint(), HasSubstr("tls-server-name"));
  connection_.tls_server_name = "kubernetes.default.svc";
  const auto named = ask(authority_.sign("server", "DNS:kubernetes.default.svc"));
  EXPECT_TRUE(named) << named.error().to_string();
}

TEST_F(Tls, TheClientCertificateSaysWhoAsks) {
  const TlsIdentity me = authority_.sign("system:node:n1", "");
  connection_.client_certificate.text = me.certificate;
  connection_.client_key.text = me.key;
  TlsIdentity server = authority_.sign("server", "IP:127.0.0.1");
  server.client_authority = authority_.certificate();
  const auto claim = ask(server);
  ASSERT_TRUE(claim) << claim.error().to_string();
  EXPECT_EQ(client_, "system:node:n1");
}

TEST_F(Tls, AnAuthorityThatIsNoneIsNamed) {
  connection_.authority.text = "not a certificate";
  const auto claim = ask(authority_.sign("server", "IP:127.0.0.1"));
  ASSERT_FALSE(claim);
  EXPECT_THAT(claim.error().hint(), HasSubstr("PEM"));
}

}  // namespace
}  // namespace drasriov::cluster::kube::testing
