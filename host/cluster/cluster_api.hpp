// SPDX-License-Identifier: Apache-2.0
//
// ClusterApi: the part of the Kubernetes API that the driver uses, over JSON objects in API form. Implemented by
// directory/ (objects as YAML files) and kube/ (the API server). [any] thread unless said otherwise; every blocking call
// carries a deadline.
//
// Errors of all calls: NOT_FOUND (404), ALREADY_EXISTS (409 on create), ABORTED (409 conflict: read again),
// OUT_OF_RANGE (410: that resource version is gone, list again), INVALID_ARGUMENT (400, 422; the message has the server's
// causes), PERMISSION_DENIED (403), UNAUTHENTICATED (401), RESOURCE_EXHAUSTED (429), UNAVAILABLE (5xx, no connection),
// DEADLINE_EXCEEDED. The message names verb, resource and object.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"

namespace drasriov::cluster {

using Json = nlohmann::json;

/// One kind of API object.
struct Resource {
  std::string group;  ///< empty = core
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = false;

  [[nodiscard]] std::string api_version() const {
    return group.empty() ? version : group + "/" + version;
  }
  friend bool operator==(const Resource&, const Resource&) = default;
};

[[nodiscard]] const Resource& nodes();
[[nodiscard]] const Resource& resource_claims();                 ///< resource.k8s.io/v1
[[nodiscard]] const Resource& resource_slices();                 ///< resource.k8s.io/v1
[[nodiscard]] const Resource& network_attachment_definitions();  ///< k8s.cni.cncf.io/v1
[[nodiscard]] const Resource& events();                          ///< events.k8s.io/v1
/// SriovResourceFilter; its API group is the driver's name.
[[nodiscard]] Resource resource_filters(std::string_view driver_name);

struct ObjectKey {
  std::string namespace_;  ///< empty for cluster-scoped kinds
  std::string name;
  [[nodiscard]] std::string to_string() const {
    return namespace_.empty() ? name : namespace_ + "/" + name;
  }
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

/// Which objects a list or watch is about.
struct Selector {
  std::string namespace_;  ///< empty = all namespaces
  /// Equality terms on "metadata.name", "spec.nodeName" or "spec.driver"; all must hold.
  std::vector<std::pair<std::string, std::string>> fields;
};

struct ObjectList {
  std::vector<Json> items;
  std::string resource_version;
};

/// A delete goes through only when what is given matches.
struct Preconditions {
  std::string uid;
  std::string resource_version;
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

/// Receives one watch, on the implementation's I/O thread, never two calls at once.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  virtual void event(WatchEventType type, const Json& object) = 0;
  /// The watch is over; no call follows. OUT_OF_RANGE = list again; success = the server closed it, go on from the last
  /// resource version.
  virtual void closed(const Status& status) = 0;
};

/// A running watch. Destroying it ends the watch: no sink call is under way or follows when the destructor returns.
/// REQUIRES: not destroyed from inside a sink call.
class Watch {
 public:
  virtual ~Watch() = default;
};

class ClusterApi {
 public:
  virtual ~ClusterApi() = default;

  [[nodiscard]] virtual Result<Json> get(const Resource& resource, const ObjectKey& key,
                                         Deadline deadline) = 0;
  [[nodiscard]] virtual Result<ObjectList> list(const Resource& resource, const Selector& selector,
                                                Deadline deadline) = 0;
  /// Events after `resource_version`.
  [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch(const Resource& resource,
                                                             const Selector& selector,
                                                             std::string_view resource_version,
                                                             WatchSink& sink) = 0;
  /// The object as stored, with uid and resourceVersion; honours metadata.generateName.
  [[nodiscard]] virtual Result<Json> create(const Resource& resource, const Json& object,
                                            Deadline deadline) = 0;
  /// Replaces the object without its status; ABORTED when metadata.resourceVersion is given and stale.
  [[nodiscard]] virtual Result<Json> update(const Resource& resource, const Json& object,
                                            Deadline deadline) = 0;
  /// An object that is not there is NOT_FOUND.
  [[nodiscard]] virtual Status remove(const Resource& resource, const ObjectKey& key,
                                      const Preconditions& preconditions, Deadline deadline) = 0;
  /// Server-side apply of the status subresource with force: `object` holds apiVersion, kind, metadata {namespace, name,
  /// uid} and the whole of what `field_manager` owns below `status`. ABORTED when metadata.resourceVersion is given and
  /// stale.
  [[nodiscard]] virtual Result<Json> apply_status(const Resource& resource, const Json& object,
                                                  std::string_view field_manager,
                                                  Deadline deadline) = 0;

  /// For a stop: from now on every call but watches has ended by then, with CANCELLED if need be; a later call replaces
  /// the deadline. Nothing to do for an implementation whose calls wait for nobody.
  virtual void end_calls_by(Deadline /*deadline*/) {}
};

}  // namespace drasriov::cluster
