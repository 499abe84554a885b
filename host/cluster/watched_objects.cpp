// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/watched_objects.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/thread_annotations.hpp"

namespace drasriov::cluster {

class WatchedObjects::Impl {
 public:
  Impl(ClusterApi& api, Resource resource, std::size_t limit)
      : api_(api),
        resource_(std::move(resource)),
        limit_(limit) {}

  Result<Json> get(const ObjectKey& key, Deadline deadline) {
    Finished finished;  // ends without the lock: a watch waits for its sink, which takes it
    {
      const MutexLock lock(mutex_);
      collect(finished);
      if (const auto known = entries_.find(key); known != entries_.end()) {
        known->second->read = ++clock_;
        if (auto object = known->second->object()) return *std::move(object);
      }
    }
    auto object = api_.get(resource_, key, deadline);
    if (object) follow(key, *object, finished);
    return object;
  }

 private:
  /// One object and its watch.
  class Entry final : public WatchSink {
   public:
    explicit Entry(Json object) : object_(std::move(object)) {}

    void event(WatchEventType type, const Json& object) override {
      const MutexLock lock(mutex_);
      if (type == WatchEventType::kDeleted) object_.reset();
      if (type == WatchEventType::kAdded || type == WatchEventType::kModified) object_ = object;
    }
    void closed(const Status& /*status*/) override {
      const MutexLock lock(mutex_);
      object_.reset();
      closed_ = true;
    }

    /// nullopt: it was deleted, or nobody tells of changes any more.
    [[nodiscard]] std::optional<Json> object() const {
      const MutexLock lock(mutex_);
      return object_;
    }
    [[nodiscard]] bool ended() const {
      const MutexLock lock(mutex_);
      return closed_ || !object_;
    }

   private:
    mutable Mutex mutex_;
    std::optional<Json> object_ DRASRIOV_GUARDED_BY(mutex_);
    bool closed_ DRASRIOV_GUARDED_BY(mutex_) = false;

   public:
    std::uint64_t read = 0;        ///< when, by Impl::clock_; guarded by Impl::mutex_
    std::unique_ptr<Watch> watch;  ///< set before the entry is shared; ends before what it tells
  };
  using Finished = std::vector<std::unique_ptr<Entry>>;

  void follow(const ObjectKey& key, const Json& object, Finished& finished) {
    const std::string version =
        object.value(Json::json_pointer("/metadata/resourceVersion"), std::string());
    auto entry = std::make_unique<Entry>(object);
    auto watch =
        api_.watch(resource_, {key.namespace_, {{"metadata.name", key.name}}}, version, *entry);
    if (!watch) return;  // the object is good for this once
    entry->watch = *std::move(watch);
    const MutexLock lock(mutex_);
    entry->read = ++clock_;
    auto& place = entries_[key];
    if (place) finished.push_back(std::move(place));
    place = std::move(entry);
    if (entries_.size() <= limit_) return;
    const auto oldest = std::ranges::min_element(
        entries_, {}, [](const auto& known) { return known.second->read; });
    finished.push_back(std::move(oldest->second));
    entries_.erase(oldest);
  }

  void collect(Finished& finished) DRASRIOV_REQUIRES(mutex_) {
    for (auto it = entries_.begin(); it != entries_.end();) {
      const auto present = it++;
      if (!present->second->ended()) continue;
      finished.push_back(std::move(present->second));
      entries_.erase(present);
    }
  }

  ClusterApi& api_;
  const Resource resource_;
  const std::size_t limit_;
  Mutex mutex_;
  std::uint64_t clock_ DRASRIOV_GUARDED_BY(mutex_) = 0;
  std::map<ObjectKey, std::unique_ptr<Entry>> entries_ DRASRIOV_GUARDED_BY(mutex_);
};

WatchedObjects::WatchedObjects(ClusterApi& api, Resource resource, std::size_t limit)
    : impl_(std::make_unique<Impl>(api, std::move(resource), limit)) {}

WatchedObjects::~WatchedObjects() = default;

Result<Json> WatchedObjects::get(const ObjectKey& key, Deadline deadline) {
  return impl_->get(key, deadline);
}

}  // namespace drasriov::cluster
