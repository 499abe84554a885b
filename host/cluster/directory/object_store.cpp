// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_store.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace drasriov::cluster {
namespace {

std::string text_at(const Json& object, const std::string& path) {
  const Json::json_pointer pointer(path);
  if (!object.contains(pointer)) return {};
  const Json& value = object.at(pointer);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// "spec.nodeName" → "/spec/nodeName"
std::string field_path(std::string name) {
  std::ranges::replace(name, '.', '/');
  return "/" + name;
}

std::shared_ptr<const std::string> text_of(const Json& object) {
  return std::make_shared<const std::string>(
      object.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void set_version(Json& object, std::uint64_t version) {
  object["metadata"]["resourceVersion"] = std::to_string(version);
}

}  // namespace

bool matches(const Selector& selector, const Json& object) {
  if (!selector.namespace_.empty() && text_at(object, "/metadata/namespace") != selector.namespace_)
    return false;
  return std::ranges::all_of(selector.fields, [&](const auto& field) {
    return text_at(object, field_path(field.first)) == field.second;
  });
}

std::optional<Json> ObjectStore::find(const StoreKey& key) const {
  const auto it = objects_.find(key);
  if (it == objects_.end()) return std::nullopt;
  return Json::parse(*it->second.text);
}

std::vector<Json> ObjectStore::list(const std::string& type, const Selector& selector) const {
  std::vector<Json> found;
  for (auto it = objects_.lower_bound({type, {}}); it != objects_.end() && it->first.type == type;
       ++it) {
    Json object = Json::parse(*it->second.text);
    if (matches(selector, object)) found.push_back(std::move(object));
  }
  return found;
}

Json ObjectStore::put(const StoreKey& key, Json object) {
  const auto it = objects_.find(key);
  Text before;
  if (it != objects_.end()) {
    set_version(object, it->second.version);
    before = it->second.text;
    if (object.dump(-1, ' ', false, Json::error_handler_t::replace) == *before) return object;
  }
  set_version(object, ++version_);
  Text after = text_of(object);
  objects_[key] = {version_, after};
  remember({version_, key.type, std::move(before), std::move(after)});
  return object;
}

void ObjectStore::erase(const StoreKey& key) {
  const auto it = objects_.find(key);
  if (it == objects_.end()) return;
  Text before = std::move(it->second.text);
  objects_.erase(it);
  remember({++version_, key.type, std::move(before), nullptr});
}

void ObjectStore::remember(Entry entry) {
  if (entry.before) history_bytes_ += entry.before->size();
  history_.push_back(std::move(entry));
  while (history_.size() > limit_.changes ||
         (history_bytes_ > limit_.bytes && history_.size() > 1)) {
    const Entry& oldest = history_.front();
    oldest_ = oldest.version;
    if (oldest.before) history_bytes_ -= oldest.before->size();
    history_.pop_front();
  }
}

std::optional<ObjectStore::Change> ObjectStore::next_change(std::uint64_t& version,
                                                            const std::string& type,
                                                            const Selector& selector) const {
  for (auto it = std::ranges::upper_bound(history_, version, {}, &Entry::version);
       it != history_.end(); ++it) {
    version = it->version;
    if (it->type != type) continue;
    Json before = it->before ? Json::parse(*it->before) : Json();
    const bool was = it->before && matches(selector, before);
    Json after = it->after ? Json::parse(*it->after) : Json();
    if (it->after && matches(selector, after)) {
      return Change{was ? WatchEventType::kModified : WatchEventType::kAdded, std::move(after)};
    }
    if (was) {
      // As an API server: the deleted object carries the version of its deletion.
      set_version(before, version);
      return Change{WatchEventType::kDeleted, std::move(before)};
    }
  }
  return std::nullopt;
}

}  // namespace drasriov::cluster
