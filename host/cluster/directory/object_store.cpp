// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_store.hpp"

#include <algorithm>
#include <utility>

namespace drasriov::cluster {
namespace {

/// The text at `path` ("/spec/nodeName"), empty when it is absent or no text.
std::string text_at(const Json& object, const char* path) {
  const Json::json_pointer pointer(path);
  if (!object.contains(pointer)) return {};
  const Json& value = object.at(pointer);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string field_path(std::string name) {
  std::ranges::replace(name, '.', '/');
  return "/" + name;
}

}  // namespace

std::string type_of(const Resource& resource) {
  return resource.api_version() + "/" + resource.kind;
}

std::optional<StoreKey> key_of(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  const std::string api_version = text_at(object, "/apiVersion");
  const std::string kind = text_at(object, "/kind");
  std::string name = text_at(object, "/metadata/name");
  if (api_version.empty() || kind.empty() || name.empty()) return std::nullopt;
  return StoreKey{api_version + "/" + kind,
                  {text_at(object, "/metadata/namespace"), std::move(name)}};
}

bool matches(const Selector& selector, const Json& object) {
  if (!selector.namespace_.empty() && text_at(object, "/metadata/namespace") != selector.namespace_)
    return false;
  return std::ranges::all_of(selector.fields, [&](const auto& field) {
    return text_at(object, field_path(field.first).c_str()) == field.second;
  });
}

const Json* ObjectStore::find(const StoreKey& key) const {
  const auto it = objects_.find(key);
  return it == objects_.end() ? nullptr : &it->second;
}

std::vector<Json> ObjectStore::list(const std::string& type, const Selector& selector) const {
  std::vector<Json> found;
  for (auto it = objects_.lower_bound({type, {}}); it != objects_.end() && it->first.type == type;
       ++it) {
    if (matches(selector, it->second)) found.push_back(it->second);
  }
  return found;
}

const Json& ObjectStore::put(const StoreKey& key, Json object) {
  const auto it = objects_.find(key);
  std::optional<Json> before;
  if (it != objects_.end()) {
    object["metadata"]["resourceVersion"] = it->second["metadata"]["resourceVersion"];
    if (object == it->second) return it->second;
    before = it->second;
  }
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  Json& stored = objects_[key];
  stored = object;
  remember({version_, key.type, std::move(before), std::move(object)});
  return stored;
}

void ObjectStore::erase(const StoreKey& key) {
  const auto it = objects_.find(key);
  if (it == objects_.end()) return;
  Json before = std::move(it->second);
  objects_.erase(it);
  // As an API server: the deleted object carries the version of its deletion.
  before["metadata"]["resourceVersion"] = std::to_string(++version_);
  remember({version_, key.type, std::move(before), std::nullopt});
}

void ObjectStore::remember(Entry entry) {
  log_.push_back(std::move(entry));
  if (log_.size() > history_) {
    oldest_ = log_.front().version;
    log_.pop_front();
  }
}

std::vector<ObjectStore::Change> ObjectStore::changes_after(std::uint64_t version,
                                                            const std::string& type,
                                                            const Selector& selector) const {
  std::vector<Change> changes;
  const auto begin = std::ranges::upper_bound(log_, version, {}, &Entry::version);
  for (auto it = begin; it != log_.end(); ++it) {
    if (it->type != type) continue;
    const bool before = it->before && matches(selector, *it->before);
    const bool after = it->after && matches(selector, *it->after);
    if (after) {
      changes.push_back(
          {it->version, before ? WatchEventType::kModified : WatchEventType::kAdded, *it->after});
    } else if (before) {
      Json object = *it->before;
      object["metadata"]["resourceVersion"] = std::to_string(it->version);
      changes.push_back({it->version, WatchEventType::kDeleted, std::move(object)});
    }
  }
  return changes;
}

}  // namespace drasriov::cluster
