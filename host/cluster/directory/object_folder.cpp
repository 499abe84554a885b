// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_folder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <set>
#include <utility>

#include "host/base/durable_file.hpp"
#include "host/base/encoding.hpp"
#include "host/cluster/directory/object_file.hpp"

namespace drasriov::cluster {
namespace {

namespace fs = std::filesystem;

/// A UID that is the same each time for an object that was written without one.
std::string uid_of(const StoreKey& key) {
  const std::string hex = sha256_hex(key.type + " " + key.object.to_string());
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-4" + hex.substr(13, 3) + "-8" +
         hex.substr(17, 3) + "-" + hex.substr(20, 12);
}

std::string timestamp(std::time_t seconds) {
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

/// The document as an API server would show it. An object that is known keeps the time at which it
/// was seen first.
Json complete(const StoreKey& key, Json document, std::time_t written, const ObjectStore& store) {
  Json& metadata = document["metadata"];
  metadata.erase("resourceVersion");
  if (!metadata.contains("uid")) metadata["uid"] = uid_of(key);
  if (!metadata.contains("creationTimestamp")) {
    const auto known = store.find(key);
    metadata["creationTimestamp"] =
        known ? (*known)["metadata"]["creationTimestamp"] : Json(timestamp(written));
  }
  return document;
}

/// Of a file that replace_file() makes: ".<object file>.XXXXXX.tmp".
bool is_object_temporary(std::string_view name) {
  constexpr std::size_t kEnding = std::string_view(".XXXXXX.tmp").size();
  return name.size() > kEnding + 1 && name.starts_with('.') && name.ends_with(".tmp") &&
         is_object_file(name.substr(1, name.size() - 1 - kEnding));
}

/// Writing would lose what its author is in the middle of.
Error broken_file(const fs::path& file) {
  return {Code::kFailedPrecondition,
          "write " + file.native() + ": its content cannot be parsed now", "correct the file"};
}

}  // namespace

std::vector<fs::path> ObjectFolder::directories_of(const fs::path& root) {
  std::vector<fs::path> found{root};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    std::error_code ignored;
    if (entry.is_directory(ignored) && !entry.path().filename().native().starts_with('.')) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin() + 1, found.end());
  return found;
}

void ObjectFolder::remove_stale_temporaries(const fs::path& root) {
  for (const fs::path& directory : directories_of(root)) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
      std::error_code ignored;
      if (is_object_temporary(entry.path().filename().native())) fs::remove(entry.path(), ignored);
    }
  }
}

void ObjectFolder::refresh_all(ObjectStore& store) {
  std::set<fs::path> seen;
  for (const fs::path& directory : directories()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
      if (is_object_file(entry.path().filename().native())) seen.insert(entry.path());
    }
  }
  for (const auto& [file, unused] : files_) seen.insert(file);
  for (const fs::path& file : seen) look_at(file, store);
}

std::optional<ObjectFolder::Identity> ObjectFolder::identity_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return Identity{info.st_ino, info.st_size, info.st_mtim};
}

void ObjectFolder::refresh(const fs::path& file, ObjectStore& store) {
  if (!is_object_file(file.filename().native())) return;
  const auto identity = identity_of(file);
  const auto known = files_.find(file);
  if (!identity) {
    if (known != files_.end()) forget(file, store);
  } else if (known == files_.end() || !(known->second.identity == *identity)) {
    load(file, *identity, store);
  }
}

void ObjectFolder::look_at(const fs::path& file, ObjectStore& store) {
  const auto identity = identity_of(file);
  if (identity && identity->size == 0 && files_.contains(file)) return;
  refresh(file, store);
}

fs::path ObjectFolder::file_of(const Resource& resource, const StoreKey& key) const {
  const auto owner = owners_.find(key);
  if (owner != owners_.end()) return owner->second;
  const std::string prefix = key.object.namespace_.empty() ? "" : key.object.namespace_ + "_";
  return root_ / resource.plural / (prefix + key.object.name + ".yaml");
}

void ObjectFolder::refresh(const Resource& resource, const StoreKey& key, ObjectStore& store) {
  look_at(file_of(resource, key), store);
}

std::string ObjectFolder::hint_for_missing() const {
  const auto broken =
      std::ranges::find_if(files_, [](const auto& file) { return !file.second.problem.empty(); });
  if (broken == files_.end()) return {};
  return "it may be in a file of the cluster folder that cannot be read, correct that: " +
         broken->second.problem;
}

void ObjectFolder::load(const fs::path& file, const Identity& identity, ObjectStore& store) {
  File& entry = files_[file];
  entry.identity = identity;
  const auto text = read_file(file);
  const auto documents = text ? parse_documents(*text) : Result<std::vector<Json>>(text.error());
  entry.problem = documents ? "" : documents.error().with_context(file.native()).message();
  if (!documents) {
    log_.error("cluster folder: " + entry.problem +
               " — hint: correct the file; until then its last good content is used");
    return;
  }

  std::vector<StoreKey> keys;
  for (const Json& document : *documents) {
    const auto key = key_of(document);
    if (!key) {
      log_.warning("cluster folder: " + file.native() +
                   ": a document without apiVersion, kind or metadata.name is left out");
      continue;
    }
    const auto owner = owners_.find(*key);
    if ((owner != owners_.end() && owner->second != file) ||
        std::ranges::find(keys, *key) != keys.end()) {
      log_.warning("cluster folder: " + file.native() + ": " + key->type + " " +
                   key->object.to_string() + " is defined in " +
                   (owner == owners_.end() ? file : owner->second).native() +
                   " already: this one is left out");
      continue;
    }
    owners_[*key] = file;
    keys.push_back(*key);
    store.put(*key, complete(*key, document, identity.changed.tv_sec, store));
  }
  for (const StoreKey& old : entry.keys) {
    if (std::ranges::find(keys, old) != keys.end()) continue;
    owners_.erase(old);
    store.erase(old);
  }
  entry.keys = std::move(keys);
}

void ObjectFolder::forget(const fs::path& file, ObjectStore& store) {
  const auto it = files_.find(file);
  for (const StoreKey& key : it->second.keys) {
    owners_.erase(key);
    store.erase(key);
  }
  files_.erase(it);
}

Status ObjectFolder::edit(const fs::path& file, const StoreKey& key, const DocumentEdit& edit) {
  const auto known = files_.find(file);
  std::string text;
  if (known != files_.end()) {
    if (!known->second.problem.empty()) return broken_file(file);
    if (!(identity_of(file) == known->second.identity)) {
      return Error(Code::kUnavailable,
                   "write " + file.native() + ": another program is writing it now");
    }
    auto read = read_file(file);
    if (!read) return std::move(read).error();
    text = *std::move(read);
  }
  const auto edited = edit_document(text, key, edit);
  if (!edited) return edited.error().with_context("edit " + file.native());
  if (edited->empty()) {
    files_.erase(file);
    return remove_file(file, Durability::kAtomic);
  }
  if (auto made = make_directories(file.parent_path(), 0755); !made) return made;
  if (auto written = replace_file(file, *edited, Durability::kAtomic, 0644); !written)
    return written;
  files_[file].identity = identity_of(file).value_or(Identity{});
  return {};
}

Result<Json> ObjectFolder::write(const Resource& resource, const StoreKey& key, Json object,
                                 ObjectStore& store) {
  object["metadata"].erase("resourceVersion");
  const fs::path file = file_of(resource, key);
  if (auto written = edit(file, key, {DocumentEdit::Kind::kPut, &object}); !written)
    return std::move(written).error();
  if (owners_.emplace(key, file).second) files_.at(file).keys.push_back(key);
  return store.put(key, std::move(object));
}

Result<Json> ObjectFolder::write_status(const StoreKey& key, Json object, ObjectStore& store) {
  const Json status = object.value("status", Json());
  if (auto written = edit(owners_.at(key), key, {DocumentEdit::Kind::kStatus, &status}); !written)
    return std::move(written).error();
  return store.put(key, std::move(object));
}

Status ObjectFolder::erase(const StoreKey& key, ObjectStore& store) {
  const fs::path file = owners_.at(key);
  if (auto erased = edit(file, key, {DocumentEdit::Kind::kRemove, nullptr}); !erased) return erased;
  if (const auto rest = files_.find(file); rest != files_.end()) std::erase(rest->second.keys, key);
  owners_.erase(key);
  store.erase(key);
  return {};
}

}  // namespace drasriov::cluster
