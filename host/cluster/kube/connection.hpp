// SPDX-License-Identifier: Apache-2.0
//
// Connection: where the API server is and who the driver is to it, from a kubeconfig file or from the pod's service
// account. Pure functions besides the reading of the one file; any thread. Nothing here is ever logged.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/config/environment.hpp"

namespace drasriov::cluster::kube {

/// A certificate, key or token: text that stands in the configuration, or a file that is read again when it changes.
struct Material {
  std::string text;
  std::filesystem::path file;  ///< absolute; when it is set it counts, not the text
  [[nodiscard]] bool empty() const { return text.empty() && file.empty(); }
};

struct Connection {
  std::string server;  ///< "https://host:port" with a path if there is one, no slash at the end
  Material authority;  ///< PEM bundle; empty = the roots of the system
  Material client_certificate;
  Material client_key;
  Material token;
  std::string tls_server_name;  ///< name in the server's certificate; empty = the host of `server`
  std::string proxy_url;        ///< empty = HTTPS_PROXY and NO_PROXY of the environment
};

/// The current context of a kubeconfig file (YAML or JSON). INVALID_ARGUMENT names the entry that is missing, wrong or
/// not supported (exec, auth-provider, insecure-skip-tls-verify, passwords, impersonation).
[[nodiscard]] Result<Connection> read_kubeconfig(const std::filesystem::path& file);
/// `directory` is where relative paths start.
[[nodiscard]] Result<Connection> parse_kubeconfig(std::string_view text,
                                                  const std::filesystem::path& directory);

inline constexpr std::string_view kServiceAccountDirectory =
    "/var/run/secrets/kubernetes.io/serviceaccount";

/// The service account of the pod: KUBERNETES_SERVICE_HOST and _PORT, token and ca.crt in `service_account`.
/// FAILED_PRECONDITION when this process is in no pod.
[[nodiscard]] Result<Connection> in_cluster(const config::Environment& environment,
                                            const std::filesystem::path& service_account);

/// "host" of a server URL, without brackets; empty when there is none.
[[nodiscard]] std::string host_of(std::string_view server);

/// Whether the host is this machine, by name: nothing is looked up.
[[nodiscard]] bool is_loopback(std::string_view host);
/// Port of a server URL as text, the scheme's own when none is written.
[[nodiscard]] std::string port_of(std::string_view server);

}  // namespace drasriov::cluster::kube
