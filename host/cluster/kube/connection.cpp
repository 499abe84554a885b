// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/connection.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "host/base/encoding.hpp"
#include "host/config/yaml_json.hpp"

namespace drasriov::cluster::kube {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

/// Far beyond a file with embedded certificates of many clusters.
constexpr std::uintmax_t kLargestKubeconfig = 4U << 20U;

Error wrong(std::string message, std::string hint = {}) {
  return {Code::kInvalidArgument, std::move(message), std::move(hint)};
}

/// Text below `key`; empty when it is absent or null.
Result<std::string> text_at(const Json& object, const char* key, const std::string& entry) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return std::string();
  if (!it->is_string()) return wrong(entry + ": " + key + " must be text", "put it in quotes");
  return it->get<std::string>();
}

/// The entry called `name` in one of the lists clusters, contexts, users.
Result<Json> entry_of(const Json& root, const char* list, const char* kind,
                      const std::string& name) {
  const auto entries = root.find(list);
  if (entries != root.end() && entries->is_array()) {
    for (const Json& entry : *entries) {
      if (!entry.is_object() || entry.value("name", Json()) != name) continue;
      const auto content = entry.find(kind);
      if (content != entry.end() && content->is_object()) return *content;
      return wrong(std::string(kind) + " \"" + name + "\" holds no " + kind);
    }
  }
  return wrong("there is no entry \"" + name + "\" in " + list);
}

Result<Material> material_at(const Json& object, const char* key, const fs::path& directory,
                             const std::string& entry) {
  const std::string data_key = std::string(key) + "-data";
  auto data = text_at(object, data_key.c_str(), entry);
  if (!data) return data.error();
  Material material;
  if (!data->empty()) {
    std::erase_if(*data, [](unsigned char c) { return std::isspace(c) != 0; });
    auto decoded = base64_decode(*data);
    if (!decoded) return wrong(entry + ": " + data_key + " is not base64");
    material.text = *std::move(decoded);
    return material;
  }
  auto path = text_at(object, key, entry);
  if (!path) return path.error();
  if (!path->empty()) material.file = directory / *path;  // an absolute path replaces the folder
  return material;
}

Status refuse(const Json& object, const char* key, const std::string& entry, std::string hint) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null() || *it == false || *it == "") return {};
  return wrong(entry + ": " + key + " is not supported", std::move(hint));
}

Status check_server(const std::string& server, const std::string& entry) {
  const bool secure = server.starts_with("https://");
  if (!secure && !server.starts_with("http://")) {
    return wrong(entry + ": server must begin with https://");
  }
  const std::string port = port_of(server);
  const bool odd = server.find_first_of(" \t\r\n@?#") != std::string::npos;
  if (odd || host_of(server).empty() || port.empty() || port.size() > 5 ||
      !std::ranges::all_of(port, [](unsigned char c) { return std::isdigit(c) != 0; })) {
    return wrong(entry + ": server is no address of an API server",
                 "for example https://10.0.0.1:6443");
  }
  return {};
}

Status read_cluster(const Json& cluster, const fs::path& directory, const std::string& entry,
                    Connection& connection) {
  if (auto ok = refuse(cluster, "insecure-skip-tls-verify", entry,
                       "give certificate-authority: the driver always verifies the server");
      !ok) {
    return ok;
  }
  auto server = text_at(cluster, "server", entry);
  if (!server) return server.error();
  while (server->ends_with('/')) server->pop_back();
  if (auto ok = check_server(*server, entry); !ok) return ok;
  auto authority = material_at(cluster, "certificate-authority", directory, entry);
  if (!authority) return authority.error();
  auto name = text_at(cluster, "tls-server-name", entry);
  if (!name) return name.error();
  auto proxy = text_at(cluster, "proxy-url", entry);
  if (!proxy) return proxy.error();
  constexpr std::array kProxies{"http://", "https://", "socks5://"};
  if (!proxy->empty() && std::ranges::none_of(kProxies, [&](const char* scheme) {
        return proxy->starts_with(scheme);
      })) {
    return wrong(entry + ": proxy-url must begin with http://, https:// or socks5://");
  }
  connection.server = *std::move(server);
  connection.authority = *std::move(authority);
  connection.tls_server_name = *std::move(name);
  connection.proxy_url = *std::move(proxy);
  return {};
}

Status read_user(const Json& user, const fs::path& directory, const std::string& entry,
                 Connection& connection) {
  constexpr std::string_view kInstead = "use a client certificate, token or tokenFile";
  for (const char* key : {"exec", "auth-provider", "username", "password", "as", "as-uid",
                          "as-groups", "as-user-extra"}) {
    if (auto ok = refuse(user, key, entry, std::string(kInstead)); !ok) return ok;
  }
  auto certificate = material_at(user, "client-certificate", directory, entry);
  if (!certificate) return certificate.error();
  auto key = material_at(user, "client-key", directory, entry);
  if (!key) return key.error();
  if (certificate->empty() != key->empty()) {
    return wrong(entry + ": " + (key->empty() ? "client-key" : "client-certificate") +
                 " is missing, the two go together");
  }
  auto token = text_at(user, "token", entry);
  if (!token) return token.error();
  auto token_file = text_at(user, "tokenFile", entry);
  if (!token_file) return token_file.error();
  connection.client_certificate = *std::move(certificate);
  connection.client_key = *std::move(key);
  connection.token.text = *std::move(token);
  if (!token_file->empty()) connection.token.file = directory / *token_file;
  return {};
}

Result<Connection> from_json(const Json& root, const fs::path& directory) {
  if (!root.is_object()) return wrong("this is no kubeconfig: it holds no map");
  auto current = text_at(root, "current-context", "kubeconfig");
  if (!current) return current.error();
  if (current->empty()) {
    return wrong("there is no current-context",
                 "choose one: kubectl config use-context NAME --kubeconfig FILE");
  }
  auto context = entry_of(root, "contexts", "context", *current);
  if (!context) return context.error();
  const std::string context_entry = "context \"" + *current + "\"";
  auto cluster_name = text_at(*context, "cluster", context_entry);
  if (!cluster_name) return cluster_name.error();
  auto user_name = text_at(*context, "user", context_entry);
  if (!user_name) return user_name.error();

  Connection connection;
  auto cluster = entry_of(root, "clusters", "cluster", *cluster_name);
  if (!cluster) return cluster.error().with_context(context_entry);
  if (auto read =
          read_cluster(*cluster, directory, "cluster \"" + *cluster_name + "\"", connection);
      !read) {
    return read.error();
  }
  const std::string user_entry = "user \"" + *user_name + "\"";
  if (!user_name->empty()) {
    auto user = entry_of(root, "users", "user", *user_name);
    if (!user) return user.error().with_context(context_entry);
    if (auto read = read_user(*user, directory, user_entry, connection); !read) {
      return read.error();
    }
  }
  if (!connection.token.empty() && connection.server.starts_with("http://") &&
      !is_loopback(host_of(connection.server))) {
    return wrong(user_entry + ": its token would cross the network in plain text",
                 "use a server with https://");
  }
  return connection;
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string host_of(std::string_view server) {
  const auto scheme = server.find("://");
  if (scheme == std::string_view::npos) return {};
  server.remove_prefix(scheme + 3);
  server = server.substr(0, server.find('/'));
  if (server.starts_with('[')) {
    const auto end = server.find(']');
    return end == std::string_view::npos ? std::string() : std::string(server.substr(1, end - 1));
  }
  return std::string(server.substr(0, server.find(':')));
}

std::string port_of(std::string_view server) {
  const bool secure = server.starts_with("https://");
  const auto scheme = server.find("://");
  if (scheme == std::string_view::npos) return {};
  server.remove_prefix(scheme + 3);
  server = server.substr(0, server.find('/'));
  if (server.starts_with('[')) server.remove_prefix(std::min(server.find(']'), server.size()));
  const auto colon = server.find(':');
  if (colon == std::string_view::npos) return secure ? "443" : "80";
  return std::string(server.substr(colon + 1));
}

Result<Connection> parse_kubeconfig(std::string_view text, const fs::path& directory) {
  try {
    auto root = config::yaml_to_json(YAML::Load(std::string(text)), nullptr);
    if (!root) return wrong(root.error().message());
    return from_json(*root, directory);
  } catch (const YAML::Exception& error) {  // its message has a position and no text of the file
    return wrong(std::string("this is no YAML: ") + error.what());
  }
}

Result<Connection> read_kubeconfig(const fs::path& file) {
  const std::string context = "kubeconfig " + file.string();
  std::error_code failed;
  const auto size = fs::file_size(file, failed);
  if (failed) {
    return errno_error(failed.value(), "read " + context,
                       "give an existing file to KUBECONFIG or the flag --kubeconfig");
  }
  if (size > kLargestKubeconfig) return wrong(context + ": larger than 4 MiB");
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) {
    return Error(Code::kPermissionDenied, context + ": cannot be read",
                 "the driver's user must be able to read it");
  }
  auto connection = parse_kubeconfig(text.view(), fs::absolute(file).parent_path());
  if (!connection) return connection.error().with_context(context);
  return connection;
}

Result<Connection> in_cluster(const config::Environment& environment,
                              const fs::path& service_account) {
  const auto host = environment.find("KUBERNETES_SERVICE_HOST");
  const auto port = environment.find("KUBERNETES_SERVICE_PORT");
  if (host == environment.end() || port == environment.end() || host->second.empty() ||
      port->second.empty()) {
    return Error(Code::kFailedPrecondition,
                 "cluster: kube: this process runs in no pod (KUBERNETES_SERVICE_HOST and "
                 "KUBERNETES_SERVICE_PORT are not set) and has no kubeconfig",
                 "set KUBECONFIG or the flag --kubeconfig, or run it with --cluster dir:PATH");
  }
  const bool v6 = host->second.find(':') != std::string::npos;
  Connection connection;
  connection.server =
      "https://" + (v6 ? "[" + host->second + "]" : host->second) + ":" + port->second;
  if (auto ok = check_server(connection.server, "KUBERNETES_SERVICE_HOST and _PORT"); !ok) {
    return ok.error();
  }
  connection.authority.file = service_account / "ca.crt";
  connection.token.file = service_account / "token";
  for (const fs::path& file : {connection.authority.file, connection.token.file}) {
    std::error_code failed;
    if (!fs::exists(file, failed)) {
      return Error(
          Code::kFailedPrecondition,
          "cluster: kube: the pod has no service account: " + file.string() + " does not exist",
          "the pod needs automountServiceAccountToken: true");
    }
  }
  return connection;
}

}  // namespace drasriov::cluster::kube
