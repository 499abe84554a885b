// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/connection.hpp"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace drasriov::cluster::kube::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// A kubeconfig with that cluster and user, each in flow style without its braces.
std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: b\n"
         "clusters:\n- {name: other, cluster: {server: 'https://other:1'}}\n- {name: c, cluster: "
         "{" +
         cluster + "}}\nusers:\n- {name: u, user: {" + user +
         "}}\ncontexts:\n- {name: a, context: {cluster: other, user: u}}\n"
         "- {name: b, context: {cluster: c, user: u}}\n";
}

const std::string kServer = "server: 'https://10.0.0.1:6443/'";

TEST(Kubeconfig, TheCurrentContextCounts) {
  const auto connection = parse_kubeconfig(
      kubeconfig(kServer + ", certificate-authority: pki/ca.crt, tls-server-name: api",
                 "token: abc"),
      "/etc/kubernetes");
  ASSERT_TRUE(connection) << connection.error().to_string();
  EXPECT_EQ(connection->server, "https://10.0.0.1:6443");
  EXPECT_EQ(connection->authority.file, "/etc/kubernetes/pki/ca.crt");
  EXPECT_EQ(connection->tls_server_name, "api");
  EXPECT_EQ(connection->token.text, "abc");
}

TEST(Kubeconfig, DataFilesAndTokenFiles) {
  const auto connection = parse_kubeconfig(
      kubeconfig(kServer + ", certificate-authority-data: 'Q0Eg\n  cGVt'",
                 "client-certificate-data: Y2VydA==, client-key: /k.pem, tokenFile: token"),
      "/etc");
  ASSERT_TRUE(connection) << connection.error().to_string();
  EXPECT_EQ(connection->authority.text, "CA pem");
  EXPECT_EQ(connection->client_certificate.text, "cert");
  EXPECT_EQ(connection->client_key.file, "/k.pem");
  EXPECT_EQ(connection->token.file, "/etc/token");
}

struct Wrong {
  std::string cluster;
  std::string user;
  std::string complaint;
};

class WrongKubeconfig : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongKubeconfig, NamesTheEntry) {
  const auto connection = parse_kubeconfig(kubeconfig(GetParam().cluster, GetParam().user), "/etc");
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(connection.error().message(), HasSubstr(GetParam().complaint));
}

INSTANTIATE_TEST_SUITE_P(
    Entries, WrongKubeconfig,
    ::testing::Values(
        Wrong{kServer, "exec: {command: aws}", "user \"u\": exec is not supported"},
        Wrong{kServer, "auth-provider: {name: gcp}", "user \"u\": auth-provider"},
        Wrong{kServer, "username: admin, password: s3cret", "user \"u\": username"},
        Wrong{kServer, "as: somebody", "user \"u\": as is not supported"},
        Wrong{kServer, "client-certificate: a.crt", "client-key is missing"},
        Wrong{kServer, "client-key: a.key", "client-certificate is missing"},
        Wrong{kServer, "token: 7", "token must be text"},
        Wrong{kServer, "client-certificate-data: '***', client-key: k", "is not base64"},
        Wrong{kServer + ", insecure-skip-tls-verify: true", "", "insecure-skip-tls-verify"},
        Wrong{kServer + ", proxy-url: 'ftp://p'", "", "proxy-url must begin with"},
        Wrong{"server: '10.0.0.1:6443'", "", "server must begin with https://"},
        Wrong{"server: 'https://:6443'", "", "server is no address"},
        Wrong{"server: 'https://h:port'", "", "server is no address"},
        Wrong{"server: 'http://10.0.0.1:80'", "token: s3cret", "in plain text"}));

TEST(Kubeconfig, WhatIsMissingIsNamed) {
  const auto complaint = [](const std::string& text) {
    const auto connection = parse_kubeconfig(text, "/etc");
    return connection ? std::string("none") : connection.error().to_string();
  };
  EXPECT_THAT(complaint("a: b"), HasSubstr("kubectl config use-context"));
  EXPECT_THAT(complaint("[]"), HasSubstr("no map"));
  EXPECT_THAT(complaint("a: ["), HasSubstr("no YAML"));
  EXPECT_THAT(complaint("current-context: x"), HasSubstr("no entry \"x\" in contexts"));
  EXPECT_THAT(
      complaint("current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]"),
      HasSubstr("context \"x\": there is no entry \"c\" in clusters"));
}

class Files : public ::testing::Test {
 protected:
  Files() {
    std::string pattern = ::testing::TempDir() + "kube-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Files() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  fs::path folder_;
};

TEST_F(Files, RelativePathsBeginAtTheKubeconfig) {
  write("config", kubeconfig(kServer + ", certificate-authority: ca.crt", "token: abc"));
  const auto connection = read_kubeconfig(folder_ / "config");
  ASSERT_TRUE(connection) << connection.error().to_string();
  EXPECT_EQ(connection->authority.file, folder_ / "ca.crt");
}

TEST_F(Files, AKubeconfigThatIsNotThereIsNamed) {
  const auto connection = read_kubeconfig(folder_ / "none");
  ASSERT_FALSE(connection);
  EXPECT_THAT(connection.error().message(), HasSubstr((folder_ / "none").string()));
}

TEST_F(Files, TheServiceAccountOfThePod) {
  const config::Environment pod{{"KUBERNETES_SERVICE_HOST", "fd00::1"},
                                {"KUBERNETES_SERVICE_PORT", "443"}};
  auto connection = in_cluster(pod, folder_);
  ASSERT_FALSE(connection);
  EXPECT_THAT(connection.error().hint(), HasSubstr("automountServiceAccountToken"));
  write("ca.crt", "x");
  write("token", "y");
  connection = in_cluster(pod, folder_);
  ASSERT_TRUE(connection) << connection.error().to_string();
  EXPECT_EQ(connection->server, "https://[fd00::1]:443");
  EXPECT_EQ(connection->token.file, folder_ / "token");
  EXPECT_EQ(connection->authority.file, folder_ / "ca.crt");
  connection = in_cluster({}, folder_);
  ASSERT_FALSE(connection);
  EXPECT_THAT(connection.error().hint(), HasSubstr("KUBECONFIG"));
}

}  // namespace
}  // namespace drasriov::cluster::kube::testing
