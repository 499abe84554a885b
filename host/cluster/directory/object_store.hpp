// SPDX-License-Identifier: Apache-2.0
//
// ObjectStore: API objects in memory with the versions and watch history of an API server, without
// I/O. Objects are kept as compact JSON text, shared between store and history: a fifth of the memory
// of trees. Owned by DirectoryCluster, which guards it: not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/cluster/cluster_api.hpp"
#include "host/cluster/directory/object_file.hpp"

namespace drasriov::cluster {

/// Whether the object is in the selector's namespace and has its fields.
[[nodiscard]] bool matches(const Selector& selector, const Json& object);

/// How much of the past a store remembers for watches, whichever is reached first.
struct HistoryLimit {
  std::size_t changes = 4096;
  /// Of objects that are no longer current. Watches are in the same process and seldom behind; one that is lists again.
  std::size_t bytes = 1U << 20U;
};

class ObjectStore {
 public:
  explicit ObjectStore(HistoryLimit limit = {}) : limit_(limit) {}

  [[nodiscard]] bool contains(const StoreKey& key) const { return objects_.contains(key); }
  /// nullopt when there is none.
  [[nodiscard]] std::optional<Json> find(const StoreKey& key) const;
  [[nodiscard]] std::vector<Json> list(const std::string& type, const Selector& selector) const;

  /// Stores `object` under a new resource version, unless it differs from the stored one in nothing
  /// else; returns the stored form.
  Json put(const StoreKey& key, Json object);
  void erase(const StoreKey& key);

  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// The oldest version after which all changes are still known.
  [[nodiscard]] std::uint64_t oldest() const noexcept { return oldest_; }

  struct Change {
    WatchEventType type = WatchEventType::kAdded;
    Json object;
  };
  /// The first of what a watch with this selector is told after `version`, which is moved to the
  /// change, or to the end when nothing more concerns it (nullopt): an object that begins to match
  /// is added, one that ceases to match is deleted. One at a time, because a batch of large objects
  /// would stay in the heap for ever. REQUIRES: version >= oldest().
  [[nodiscard]] std::optional<Change> next_change(std::uint64_t& version, const std::string& type,
                                                  const Selector& selector) const;

 private:
  using Text = std::shared_ptr<const std::string>;  ///< of a JSON object; null = absent
  struct Object {
    std::uint64_t version = 0;
    Text text;
  };
  struct Entry {
    std::uint64_t version = 0;
    std::string type;
    Text before;
    Text after;
  };
  void remember(Entry entry);

  HistoryLimit limit_;
  std::uint64_t version_ = 0;
  std::uint64_t oldest_ = 0;
  std::map<StoreKey, Object> objects_;
  std::deque<Entry> history_;
  std::size_t history_bytes_ = 0;
};

}  // namespace drasriov::cluster
