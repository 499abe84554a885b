// SPDX-License-Identifier: Apache-2.0
//
// DirectoryCluster: a folder as the cluster (`cluster: dir:PATH`), for the demo, tests and trials
// without an API server. Objects are YAML or JSON files, any number in each, in the folder or one
// level below; people and other programs may edit them, and a thread of its own follows by inotify.
// What the driver writes goes back as YAML: a claim's status into the document that it came from,
// created objects to <plural>/[<namespace>_]<name>.yaml.
//
// Versions, conflicts, watches and errors are those of an API server (ClusterApi). What is simpler:
// uid and creationTimestamp of an object without them come from its name and its file's time;
// server-side apply knows one owner for each driver's entries of status.devices and lets a manager
// own every other field that it sends.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "host/cluster/cluster_api.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::cluster {

class DirectoryCluster final : public ClusterApi {
 public:
  /// Reads the folder and begins to follow it. `log` outlives the cluster. NOT_FOUND when there is
  /// no such folder; a file that cannot be read or parsed is only logged.
  [[nodiscard]] static Result<std::unique_ptr<DirectoryCluster>> open(
      const std::filesystem::path& directory, telemetry::Log& log);
  /// Removes what a driver that was killed while it wrote left in `directory`: the temporary files of objects. For the one
  /// who owns the node; who only looks leaves the folder as it is.
  static void remove_stale_temporaries(const std::filesystem::path& directory);
  /// REQUIRES: its watches are gone.
  ~DirectoryCluster() override;

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

 private:
  class Impl;
  explicit DirectoryCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::cluster
