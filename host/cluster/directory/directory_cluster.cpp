// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/directory_cluster.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/names.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/base/unique_fd.hpp"
#include "host/cluster/directory/object_folder.hpp"
#include "host/cluster/directory/object_store.hpp"

namespace drasriov::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDevicesOfClaim = 32;

std::string describe(const Resource& resource, const ObjectKey& key) {
  return resource.plural + " " + key.to_string();
}

Error not_found(std::string_view verb, const Resource& resource, const ObjectKey& key) {
  return {Code::kNotFound, std::string(verb) + " " + describe(resource, key) + ": not found"};
}

std::string text_of(const Json& object, std::string_view key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string random_text(std::string_view alphabet, std::size_t size) {
  std::random_device source;
  std::uniform_int_distribution<std::size_t> pick(0, alphabet.size() - 1);
  std::string text;
  while (text.size() < size) text.push_back(alphabet[pick(source)]);
  return text;
}

std::string random_uid() {
  const std::string hex = random_text("0123456789abcdef", 32);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-4" + hex.substr(12, 3) + "-8" +
         hex.substr(15, 3) + "-" + hex.substr(18, 12);
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

/// The identity of an entry of ResourceClaim.status.devices.
std::array<std::string, 4> device_key(const Json& entry) {
  return {text_of(entry, "driver"), text_of(entry, "pool"), text_of(entry, "device"),
          text_of(entry, "shareID")};
}

/// The checks of status.devices that an API server makes: known devices, each once.
Status check_devices(const Json& devices, const Json& stored, const std::string& what) {
  if (!devices.is_array() || devices.size() > kMaxDevicesOfClaim) {
    return Error(Code::kInvalidArgument,
                 what + ": status.devices: Invalid value: a list of at most 32 is expected");
  }
  const Json results =
      stored.value(Json::json_pointer("/status/allocation/devices/results"), Json::array());
  for (auto it = devices.begin(); it != devices.end(); ++it) {
    const auto key = device_key(*it);
    if (std::any_of(devices.begin(), it,
                    [&](const Json& other) { return device_key(other) == key; })) {
      return Error(Code::kInvalidArgument, what + ": status.devices: Duplicate value: " + key[2]);
    }
    if (std::ranges::none_of(results,
                             [&](const Json& result) { return device_key(result) == key; })) {
      return Error(Code::kInvalidArgument, what + ": status.devices: Invalid value: " + key[0] +
                                               "/" + key[1] + "/" + key[2] +
                                               ": must be an allocated device in the claim");
    }
  }
  return {};
}

/// What apply makes of `stored`'s status: our driver's device entries are replaced as a set, other
/// fields set.
void merge_status(Json& stored, const Json& applied, std::string_view field_manager) {
  if (!stored.contains("status")) stored["status"] = Json::object();
  Json& status = stored["status"];
  for (const auto& [key, value] : applied.items()) {
    if (key != "devices") status[key] = value;
  }
  Json devices = Json::array();
  if (status.contains("devices")) {
    for (const Json& entry : status["devices"]) {
      if (text_of(entry, "driver") != field_manager) devices.push_back(entry);
    }
  }
  if (applied.contains("devices")) {
    for (const Json& entry : applied["devices"]) devices.push_back(entry);
  }
  if (devices.empty()) {
    status.erase("devices");
  } else {
    status["devices"] = std::move(devices);
  }
}

}  // namespace

class DirectoryCluster::Impl {
 public:
  Impl(const fs::path& root, telemetry::Log& log) : folder_(root, log) {}

  ~Impl() {
    stopping_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] Status start() {
    inotify_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    wake_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    const int error = inotify_ && wake_ ? 0 : errno;
    {
      const MutexLock lock(mutex_);
      if (error != 0) {
        return errno_error(error, "watch cluster folder " + folder_.root().native(),
                           "raise fs.inotify.max_user_instances on this machine");
      }
      watch_directories();  // before reading: what comes after it is seen
      folder_.refresh_all(store_);
    }
    thread_ = std::thread([this] { follow(); });
    return {};
  }

  [[nodiscard]] Result<Json> get(const Resource& resource, const ObjectKey& key) {
    const MutexLock lock(mutex_);
    auto object = store_.find({type_of(resource), key});
    if (!object && read_events()) {  // it may have been written just now
      wake();                        // for the watches
      object = store_.find({type_of(resource), key});
    }
    if (!object) return not_found("get", resource, key).with_hint(folder_.hint_for_missing());
    return *std::move(object);
  }

  [[nodiscard]] ObjectList list(const Resource& resource, const Selector& selector) {
    const MutexLock lock(mutex_);
    return {store_.list(type_of(resource), selector), std::to_string(store_.version())};
  }

  [[nodiscard]] Result<Json> create(const Resource& resource, Json object);
  [[nodiscard]] Result<Json> update(const Resource& resource, Json object);
  [[nodiscard]] Status remove(const Resource& resource, const ObjectKey& key,
                              const Preconditions& preconditions);
  [[nodiscard]] Result<Json> apply_status(const Resource& resource, const Json& object,
                                          std::string_view manager);

  class FolderWatch;
  [[nodiscard]] Result<std::unique_ptr<Watch>> watch(const Resource& resource,
                                                     const Selector& selector,
                                                     std::string_view resource_version,
                                                     WatchSink& sink);

 private:
  void wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof(one));
  }
  void follow();
  /// Brings the store in line with what has happened in the folder. False: nothing has.
  bool read_events() DRASRIOV_REQUIRES(mutex_);
  void deliver();
  void watch_directories() DRASRIOV_REQUIRES(mutex_);
  UniqueFd inotify_;
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;

  Mutex mutex_;
  ObjectFolder folder_ DRASRIOV_GUARDED_BY(mutex_);
  ObjectStore store_ DRASRIOV_GUARDED_BY(mutex_);
  std::map<int, fs::path> watched_ DRASRIOV_GUARDED_BY(mutex_);

  Mutex delivery_;  ///< held around sink calls; taken before mutex_
  std::vector<FolderWatch*> watches_ DRASRIOV_GUARDED_BY(delivery_);
};

class DirectoryCluster::Impl::FolderWatch final : public Watch {
 public:
  FolderWatch(Impl& impl, std::string type, Selector selector, std::uint64_t version,
              WatchSink& sink)
      : impl_(impl),
        type_(std::move(type)),
        selector_(std::move(selector)),
        version_(version),
        sink_(sink) {
    const MutexLock lock(impl_.delivery_);
    impl_.watches_.push_back(this);
  }
  ~FolderWatch() override {
    const MutexLock lock(impl_.delivery_);
    std::erase(impl_.watches_, this);
  }

  Impl& impl_;
  const std::string type_;
  const Selector selector_;
  std::uint64_t version_;
  WatchSink& sink_;
  bool closed_ = false;
};

Result<std::unique_ptr<Watch>> DirectoryCluster::Impl::watch(const Resource& resource,
                                                             const Selector& selector,
                                                             std::string_view resource_version,
                                                             WatchSink& sink) {
  std::uint64_t version = 0;
  {
    const MutexLock lock(mutex_);
    version = store_.version();
    if (!resource_version.empty()) {
      const auto [end, error] = std::from_chars(
          resource_version.data(), resource_version.data() + resource_version.size(), version);
      if (error != std::errc() || end != resource_version.data() + resource_version.size()) {
        return Error(Code::kInvalidArgument, "watch " + resource.plural + ": resource version \"" +
                                                 std::string(resource_version) + "\" is not valid");
      }
    }
    if (version < store_.oldest()) {
      return Error(Code::kOutOfRange, "watch " + resource.plural +
                                          ": too old resource version: " + std::to_string(version) +
                                          " (" + std::to_string(store_.oldest()) + ")");
    }
  }
  auto watch = std::make_unique<FolderWatch>(*this, type_of(resource), selector, version, sink);
  wake();
  return std::unique_ptr<Watch>(std::move(watch));
}

void DirectoryCluster::Impl::watch_directories() {
  constexpr std::uint32_t kMask =
      IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR;
  for (const fs::path& directory : folder_.directories()) {
    const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), kMask);
    if (watch >= 0) watched_[watch] = directory;
  }
}

void DirectoryCluster::Impl::follow() {
  while (!stopping_) {
    std::array<pollfd, 2> fds{pollfd{inotify_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    (void)::poll(fds.data(), fds.size(), -1);
    std::uint64_t wakes = 0;
    [[maybe_unused]] const auto drained = ::read(wake_.get(), &wakes, sizeof(wakes));
    {
      const MutexLock lock(mutex_);
      read_events();
    }
    deliver();
  }
}

bool DirectoryCluster::Impl::read_events() {
  alignas(inotify_event) std::array<char, 16384> buffer{};
  for (bool any = false;; any = true) {
    // Under the lock: events that another thread has read and not yet followed would be missing.
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size <= 0) return any;
    for (ssize_t offset = 0; offset < size;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + offset, sizeof(event));
      const char* name = buffer.data() + offset + sizeof(event);
      offset += static_cast<ssize_t>(sizeof(event)) + event.len;
      const auto directory = watched_.find(event.wd);
      if ((event.mask & IN_IGNORED) != 0) {
        if (directory != watched_.end()) watched_.erase(directory);
      } else if ((event.mask & (IN_Q_OVERFLOW | IN_ISDIR)) != 0) {
        watch_directories();
        folder_.refresh_all(store_);
      } else if (directory != watched_.end() && event.len > 0 && (event.mask & IN_CREATE) == 0) {
        // A created file is read when it is closed: before that it may be half written.
        folder_.refresh(directory->second / name, store_);
      }
    }
  }
}

void DirectoryCluster::Impl::deliver() {
  const MutexLock delivery(delivery_);
  for (FolderWatch* watch : watches_) {
    while (!watch->closed_) {
      std::optional<ObjectStore::Change> change;
      {
        const MutexLock lock(mutex_);
        watch->closed_ = watch->version_ < store_.oldest();
        if (!watch->closed_)
          change = store_.next_change(watch->version_, watch->type_, watch->selector_);
      }
      if (watch->closed_) {
        watch->sink_.closed(Error(Code::kOutOfRange, "watch: too old resource version"));
      } else if (change) {
        watch->sink_.event(change->type, change->object);
      } else {
        break;
      }
    }
  }
}

Result<Json> DirectoryCluster::Impl::create(const Resource& resource, Json object) {
  object["apiVersion"] = resource.api_version();
  object["kind"] = resource.kind;
  Json& metadata = object["metadata"];
  const bool generated = text_of(metadata, "name").empty();
  if (generated) {
    // The API server cuts the prefix at 58 bytes and adds 5 of this alphabet.
    metadata["name"] = text_of(metadata, "generateName").substr(0, 58) +
                       random_text("bcdfghjklmnpqrstvwxz2456789", 5);
  }
  const auto key = key_of(object);
  if (!key || !is_dns_subdomain(key->object.name)) {
    return Error(Code::kInvalidArgument, "create " + resource.plural +
                                             ": metadata.name is not a DNS subdomain: \"" +
                                             text_of(metadata, "name") + "\"");
  }
  const MutexLock lock(mutex_);
  folder_.refresh(resource, *key, store_);
  if (store_.contains(*key)) {
    return Error(Code::kAlreadyExists,
                 "create " + describe(resource, key->object) + ": already exists");
  }
  metadata["uid"] = random_uid();
  metadata["creationTimestamp"] = now_text();
  metadata["generation"] = 1;
  auto written = folder_.write(resource, *key, std::move(object), store_);
  wake();
  if (!written) return written.error().with_context("create " + describe(resource, key->object));
  return written;
}

Result<Json> DirectoryCluster::Impl::update(const Resource& resource, Json object) {
  object["apiVersion"] = resource.api_version();
  object["kind"] = resource.kind;
  const auto key = key_of(object);
  if (!key)
    return Error(Code::kInvalidArgument,
                 "update " + resource.plural + ": metadata.name is missing");
  const MutexLock lock(mutex_);
  folder_.refresh(resource, *key, store_);
  const auto stored = store_.find(*key);
  if (!stored) return not_found("update", resource, key->object);
  Json& metadata = object["metadata"];
  const Json& current = (*stored)["metadata"];
  for (const char* field : {"resourceVersion", "uid"}) {
    if (metadata.contains(field) && metadata[field] != current[field]) {
      return Error(Code::kAborted, "update " + describe(resource, key->object) +
                                       ": the object has been modified (" + field + " differs)");
    }
  }
  metadata["uid"] = current["uid"];
  metadata["creationTimestamp"] = current["creationTimestamp"];
  if (object.value("spec", Json()) != stored->value("spec", Json())) {
    metadata["generation"] = current.value("generation", 1) + 1;
  } else if (current.contains("generation")) {
    metadata["generation"] = current["generation"];
  }
  object.erase("status");
  if (stored->contains("status")) object["status"] = (*stored)["status"];
  metadata["resourceVersion"] = current["resourceVersion"];
  if (object == *stored) return *stored;
  auto written = folder_.write(resource, *key, std::move(object), store_);
  wake();
  if (!written) return written.error().with_context("update " + describe(resource, key->object));
  return written;
}

Status DirectoryCluster::Impl::remove(const Resource& resource, const ObjectKey& key,
                                      const Preconditions& preconditions) {
  const StoreKey store_key{type_of(resource), key};
  const MutexLock lock(mutex_);
  folder_.refresh(resource, store_key, store_);
  const auto stored = store_.find(store_key);
  if (!stored) return not_found("delete", resource, key);
  const Json& metadata = (*stored)["metadata"];
  if ((!preconditions.uid.empty() && text_of(metadata, "uid") != preconditions.uid) ||
      (!preconditions.resource_version.empty() &&
       text_of(metadata, "resourceVersion") != preconditions.resource_version)) {
    return Error(Code::kAborted, "delete " + describe(resource, key) + ": the precondition failed");
  }
  auto erased = folder_.erase(store_key, store_);
  wake();
  if (!erased) return erased.error().with_context("delete " + describe(resource, key));
  return {};
}

Result<Json> DirectoryCluster::Impl::apply_status(const Resource& resource, const Json& object,
                                                  std::string_view manager) {
  const auto key = key_of(object);
  if (!key)
    return Error(Code::kInvalidArgument, "apply " + resource.plural + ": metadata.name is missing");
  const std::string what = "apply status of " + describe(resource, key->object);
  const MutexLock lock(mutex_);
  folder_.refresh(resource, *key, store_);
  const auto stored = store_.find(*key);
  if (!stored) return not_found("apply status of", resource, key->object);
  const Json& metadata = object["metadata"];
  if (metadata.contains("uid") && metadata["uid"] != (*stored)["metadata"]["uid"]) {
    return Error(Code::kAborted, what + ": the object was replaced (uid differs)");
  }
  if (metadata.contains("resourceVersion") &&
      metadata["resourceVersion"] != (*stored)["metadata"]["resourceVersion"]) {
    return Error(Code::kAborted, what + ": the object has changed (resourceVersion differs)");
  }
  const Json applied = object.value("status", Json::object());
  if (applied.contains("devices")) {
    if (auto checked = check_devices(applied["devices"], *stored, what); !checked)
      return std::move(checked).error();
  }
  Json merged = *stored;
  merge_status(merged, applied, manager);
  if (merged == *stored) return *stored;
  auto written = folder_.write_status(*key, std::move(merged), store_);
  wake();
  if (!written) return written.error().with_context(what);
  return written;
}

Result<std::unique_ptr<DirectoryCluster>> DirectoryCluster::open(const fs::path& directory,
                                                                 telemetry::Log& log) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return Error(Code::kNotFound, "cluster folder " + directory.native() + ": no such directory",
                 "create it, or give another in `cluster: dir:PATH`");
  }
  auto impl = std::make_unique<Impl>(fs::absolute(directory), log);
  if (auto started = impl->start(); !started) return std::move(started).error();
  return std::unique_ptr<DirectoryCluster>(new DirectoryCluster(std::move(impl)));
}

void DirectoryCluster::remove_stale_temporaries(const fs::path& directory) {
  ObjectFolder::remove_stale_temporaries(directory);
}

DirectoryCluster::DirectoryCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DirectoryCluster::~DirectoryCluster() = default;

Result<Json> DirectoryCluster::get(const Resource& resource, const ObjectKey& key,
                                   Deadline /*deadline*/) {
  return impl_->get(resource, key);
}

Result<ObjectList> DirectoryCluster::list(const Resource& resource, const Selector& selector,
                                          Deadline /*deadline*/) {
  return impl_->list(resource, selector);
}

Result<std::unique_ptr<Watch>> DirectoryCluster::watch(const Resource& resource,
                                                       const Selector& selector,
                                                       std::string_view resource_version,
                                                       WatchSink& sink) {
  return impl_->watch(resource, selector, resource_version, sink);
}

Result<Json> DirectoryCluster::create(const Resource& resource, const Json& object,
                                      Deadline /*deadline*/) {
  return impl_->create(resource, object);
}

Result<Json> DirectoryCluster::update(const Resource& resource, const Json& object,
                                      Deadline /*deadline*/) {
  return impl_->update(resource, object);
}

Status DirectoryCluster::remove(const Resource& resource, const ObjectKey& key,
                                const Preconditions& preconditions, Deadline /*deadline*/) {
  return impl_->remove(resource, key, preconditions);
}

Result<Json> DirectoryCluster::apply_status(const Resource& resource, const Json& object,
                                            std::string_view field_manager, Deadline /*deadline*/) {
  return impl_->apply_status(resource, object, field_manager);
}

}  // namespace drasriov::cluster
