// SPDX-License-Identifier: Apache-2.0
//
// What an answer of the API server that is no success means: metav1.Status as our Error. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster::kube {

/// Who is asked for what: the beginning of every message.
struct CallName {
  std::string verb;  ///< of RBAC: get, list, watch, create, update, delete, patch
  Resource resource;
  std::string subresource;  ///< "status" or empty
  std::string object;       ///< "namespace/name", a namespace, or empty

  /// "patch resourceclaims.resource.k8s.io/status ns/name"
  [[nodiscard]] std::string to_string() const;
};

/// `body` is a Status object or whatever a proxy in between wrote; it goes into the message, without control
/// characters and cut at 1,000 bytes.
[[nodiscard]] Error http_error(const CallName& call, long http_code, std::string_view body);

/// A Status object that came as a watch event.
[[nodiscard]] Error status_error(const CallName& call, const nlohmann::json& status);

}  // namespace drasriov::cluster::kube
