// SPDX-License-Identifier: Apache-2.0
//
// ObjectStore: API objects in memory with the versions and watch history of an API server, without
// I/O. Owned by DirectoryCluster, which guards it: not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster {

/// "apiVersion/kind namespace/name": the identity of an object in the store.
struct StoreKey {
  std::string type;  ///< "resource.k8s.io/v1/ResourceClaim"
  ObjectKey object;
  friend auto operator<=>(const StoreKey&, const StoreKey&) = default;
};

[[nodiscard]] std::string type_of(const Resource& resource);
/// nullopt for a document that is no API object: apiVersion, kind or metadata.name missing or not
/// text.
[[nodiscard]] std::optional<StoreKey> key_of(const Json& object);

/// Whether the object is in the selector's namespace and has its fields.
[[nodiscard]] bool matches(const Selector& selector, const Json& object);

class ObjectStore {
 public:
  /// Remembers the last `history` changes for watches.
  explicit ObjectStore(std::size_t history = 4096) : history_(history) {}

  /// nullptr when there is none.
  [[nodiscard]] const Json* find(const StoreKey& key) const;
  [[nodiscard]] std::vector<Json> list(const std::string& type, const Selector& selector) const;

  /// Stores `object` under a new resource version, unless it differs from the stored one in nothing
  /// else; returns the stored form.
  const Json& put(const StoreKey& key, Json object);
  void erase(const StoreKey& key);

  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// The oldest version after which all changes are still known.
  [[nodiscard]] std::uint64_t oldest() const noexcept { return oldest_; }

  struct Change {
    std::uint64_t version = 0;
    WatchEventType type = WatchEventType::kAdded;
    Json object;
  };
  /// What a watch with this selector is told after `version`: an object that begins to match is
  /// added, one that ceases to match is deleted. REQUIRES: version >= oldest().
  [[nodiscard]] std::vector<Change> changes_after(std::uint64_t version, const std::string& type,
                                                  const Selector& selector) const;

 private:
  struct Entry {
    std::uint64_t version = 0;
    std::string type;
    std::optional<Json> before;
    std::optional<Json> after;
  };
  void remember(Entry entry);

  std::size_t history_;
  std::uint64_t version_ = 0;
  std::uint64_t oldest_ = 0;
  std::map<StoreKey, Json> objects_;
  std::deque<Entry> log_;
};

}  // namespace drasriov::cluster
