// SPDX-License-Identifier: Apache-2.0
#include "host/app/open_cluster.hpp"

#include <utility>

#include "host/cluster/directory/directory_cluster.hpp"
#include "host/cluster/kube/kube_cluster.hpp"

namespace drasriov::app {
namespace {

template <typename Cluster>
Result<std::unique_ptr<cluster::ClusterApi>> as_api(Result<std::unique_ptr<Cluster>> opened) {
  if (!opened) return opened.error();
  return std::unique_ptr<cluster::ClusterApi>(*std::move(opened));
}

}  // namespace

Result<cluster::kube::Connection> kube_connection(const config::Configuration& configuration,
                                                  const config::Environment& environment) {
  return configuration.kubeconfig.empty()
             ? cluster::kube::in_cluster(environment, cluster::kube::kServiceAccountDirectory)
             : cluster::kube::read_kubeconfig(configuration.kubeconfig);
}

Result<std::unique_ptr<cluster::ClusterApi>> open_cluster(
    const config::Configuration& configuration, const config::Environment& environment,
    telemetry::Log& log, NodeParts node_parts) {
  if (!configuration.cluster_directory.empty()) {
    return as_api(cluster::DirectoryCluster::open(configuration.cluster_directory, log));
  }
  const auto connection = kube_connection(configuration, environment);
  if (!connection) return connection.error();
  cluster::KubeSettings settings;
  settings.http.user_agent =
      "dra-driver-sriov/" DRASRIOV_VERSION " (linux) " + configuration.driver_name;
  settings.http.requests_per_second = configuration.kube_api_qps;
  settings.http.burst = configuration.kube_api_burst;
  settings.field_manager = configuration.driver_name;
  settings.whole_nodes = node_parts == NodeParts::kAll;
  auto opened = as_api(cluster::KubeCluster::open(*connection, std::move(settings), log));
  if (opened) log.info("API server " + connection->server);
  return opened;
}

}  // namespace drasriov::app
