// SPDX-License-Identifier: Apache-2.0
//
// WatchedObjects: single objects of one kind, read once and then kept fresh by a watch on each, for readers that cannot
// wait for the API server. An object is known as long as its watch runs (minutes); then, and when it is deleted, the next
// read asks again. So nobody watches what nobody reads any more. Absent objects are not remembered. [any] thread.
#pragma once

#include <cstddef>
#include <memory>

#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster {

class WatchedObjects {
 public:
  /// At most `limit` objects are watched; the one that was read longest ago goes first. `api` outlives this.
  WatchedObjects(ClusterApi& api, Resource resource, std::size_t limit = 64);
  ~WatchedObjects();
  WatchedObjects(const WatchedObjects&) = delete;
  WatchedObjects& operator=(const WatchedObjects&) = delete;

  [[nodiscard]] Result<Json> get(const ObjectKey& key, Deadline deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::cluster
