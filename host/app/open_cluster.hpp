// SPDX-License-Identifier: Apache-2.0
//
// The cluster that the configuration names: an API server, or a folder.
#pragma once

#include <cstdint>
#include <memory>

#include "host/base/result.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/cluster/kube/connection.hpp"
#include "host/config/configuration.hpp"
#include "host/config/environment.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::app {

/// Of `cluster: kube`: the kubeconfig file, or the pod's service account.
[[nodiscard]] Result<cluster::kube::Connection> kube_connection(
    const config::Configuration& configuration, const config::Environment& environment);

/// What is read of a Node.
enum class NodeParts : std::uint8_t { kMetadata, kAll };

/// Both outlive what is returned. An API server that does not answer is no error: it is asked when there is something
/// to ask.
[[nodiscard]] Result<std::unique_ptr<cluster::ClusterApi>> open_cluster(
    const config::Configuration& configuration, const config::Environment& environment,
    telemetry::Log& log, NodeParts node_parts = NodeParts::kMetadata);

}  // namespace drasriov::app
