// SPDX-License-Identifier: Apache-2.0
//
// KubeCluster: ClusterApi over the API server (`cluster: kube`). Callers' threads build requests and parse answers, one
// I/O thread (HttpClient) moves the bytes and runs the watch sinks.
//
// Two lanes: reads of a single claim and of a NetworkAttachmentDefinition are what prepare waits for and are never
// delayed by the client-side limit; everything else takes a token of KUBE_API_QPS and KUBE_API_BURST. Of Nodes only the
// metadata is asked for, unless the settings say otherwise: their status is large, and changes every few seconds.
#pragma once

#include <memory>
#include <string>

#include "host/cluster/cluster_api.hpp"
#include "host/cluster/kube/connection.hpp"
#include "host/cluster/kube/http_client.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::cluster {

struct KubeSettings {
  kube::HttpSettings http;
  std::string field_manager;  ///< of what is created and updated
  int page_size = 200;        ///< objects in one answer of a list
  bool whole_nodes = false;   ///< Nodes with spec and status
};

class KubeCluster final : public ClusterApi {
 public:
  /// Connects only when there is something to ask: a server that is down is no error here. `log` outlives the cluster.
  [[nodiscard]] static Result<std::unique_ptr<KubeCluster>> open(const kube::Connection& connection,
                                                                 KubeSettings settings,
                                                                 telemetry::Log& log);
  /// Calls that are under way end with CANCELLED. REQUIRES: its watches are gone.
  ~KubeCluster() override;

  [[nodiscard]] Result<Json> get(const Resource& resource, const ObjectKey& key,
                                 Deadline deadline) override;
  [[nodiscard]] Result<ObjectList> list(const Resource& resource, const Selector& selector,
                                        Deadline deadline) override;
  [[nodiscard]] Result<std::unique_ptr<Watch>> watch(const Resource& resource,
                                                     const Selector& selector,
                                                     std::string_view resource_version,
                                                     WatchSink& sink) override;
  [[nodiscard]] Result<Json> create(const Resource& resource, const Json& object,
                                    Deadline deadline) override;
  [[nodiscard]] Result<Json> update(const Resource& resource, const Json& object,
                                    Deadline deadline) override;
  [[nodiscard]] Status remove(const Resource& resource, const ObjectKey& key,
                              const Preconditions& preconditions, Deadline deadline) override;
  [[nodiscard]] Result<Json> apply_status(const Resource& resource, const Json& object,
                                          std::string_view field_manager,
                                          Deadline deadline) override;
  void end_calls_by(Deadline deadline) override;

 private:
  class Impl;
  explicit KubeCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::cluster
