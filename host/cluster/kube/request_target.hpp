// SPDX-License-Identifier: Apache-2.0
//
// Paths and queries of API requests (https://kubernetes.io/docs/reference/using-api/api-concepts/). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster::kube {

/// Everything but RFC 3986's unreserved characters as %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// "/api/v1/nodes", "/apis/resource.k8s.io/v1/namespaces/ns/resourceclaims"; an empty namespace = all of them.
[[nodiscard]] std::string collection_path(const Resource& resource, std::string_view namespace_);
[[nodiscard]] std::string object_path(const Resource& resource, const ObjectKey& key);

/// "spec.driver=d,spec.nodeName=n", with backslashes before what would end a value; not percent-encoded.
[[nodiscard]] std::string field_selector(const Selector& selector);

/// "resourceclaims.resource.k8s.io", "nodes": how messages call a kind.
[[nodiscard]] std::string resource_name(const Resource& resource);

}  // namespace drasriov::cluster::kube
