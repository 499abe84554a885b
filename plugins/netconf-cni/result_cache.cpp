// SPDX-License-Identifier: Apache-2.0
#include "result_cache.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include "result.hpp"

namespace drasriov::netconf_cni {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKind = "netconf-cni/1";

/// '~' is in no network name and no sandbox id, so no two attachments share a name.
std::string file_name(std::string_view network, std::string_view container_id,
                      std::string_view interface_name) {
  std::string name(network);
  return name.append("~").append(container_id).append("~").append(interface_name);
}

/// 0, or an errno.
int write_synced(const fs::path& path, std::string_view bytes) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return errno;
  int failure = 0;
  while (failure == 0 && !bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      failure = errno;
    }
  }
  if (failure == 0 && ::fsync(file) != 0) failure = errno;
  if (::close(file) != 0 && failure == 0) failure = errno;
  return failure;
}

/// 0, or an errno.
int sync_folder(const fs::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return errno;
  const int failure = ::fsync(file) != 0 ? errno : 0;
  ::close(file);
  return failure;
}

std::optional<CachedAdd> read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto json = parse_object(text, "", 8 * (kMostConfigBytes + kMostOutputBytes));
  if (!json || json->value("kind", Json()) != kKind) return std::nullopt;
  CachedAdd add;
  try {
    add.network = json->at("network").get<std::string>();
    add.container_id = json->at("containerId").get<std::string>();
    add.interface_name = json->at("ifName").get<std::string>();
    add.netns_path = json->at("netns").get<std::string>();
    // Not in files of an earlier version.
    add.netns.device = json->value("netnsDevice", std::uint64_t{0});
    add.netns.inode = json->value("netnsInode", std::uint64_t{0});
    add.config_json = json->at("config").get<std::string>();
    add.device_id = json->at("deviceID").get<std::string>();
    add.args = json->at("args").get<std::string>();
    add.capability_args = json->at("capabilityArgs");
    auto result = read_result(json->at("result").dump(), "");
    if (!result || !add.capability_args.is_object()) return std::nullopt;
    add.result = *std::move(result);
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return add;
}

}  // namespace

sdk::Status ResultCache::store(const CachedAdd& add) const {
  const Json json = {{"kind", kKind},
                     {"network", add.network},
                     {"containerId", add.container_id},
                     {"ifName", add.interface_name},
                     {"netns", add.netns_path},
                     {"netnsDevice", add.netns.device},
                     {"netnsInode", add.netns.inode},
                     {"config", add.config_json},
                     {"deviceID", add.device_id},
                     {"args", add.args},
                     {"capabilityArgs", add.capability_args},
                     {"result", add.result}};
  const std::string name = file_name(add.network, add.container_id, add.interface_name);
  const fs::path path = folder_ / name;
  const fs::path fresh = folder_ / ("." + name);  // no network's name begins with a dot
  std::error_code failed;
  fs::create_directories(folder_, failed);
  int failure = failed ? failed.value() : write_synced(fresh, json.dump());
  if (failure == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) failure = errno;
  if (failure == 0) failure = sync_folder(folder_);
  if (failure == 0) return {};
  return sdk::errno_error(failure, "keep the CNI result in " + path.native(),
                          "the driver's data directory must be writable and have room");
}

std::optional<CachedAdd> ResultCache::load(std::string_view network, std::string_view container_id,
                                           std::string_view interface_name) const {
  return read(folder_ / file_name(network, container_id, interface_name));
}

sdk::Status ResultCache::remove(std::string_view network, std::string_view container_id,
                                std::string_view interface_name) const {
  const fs::path path = folder_ / file_name(network, container_id, interface_name);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return sdk::errno_error(errno, "remove " + path.native());
}

std::vector<CachedAdd> ResultCache::of_network(std::string_view network) const {
  std::vector<CachedAdd> adds;
  std::error_code failed;
  const std::string prefix = std::string(network) + "~";
  for (fs::directory_iterator entry(folder_, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename();
    if (!name.starts_with(prefix)) continue;
    if (auto add = read(entry->path()); add && add->network == network)
      adds.push_back(*std::move(add));
  }
  return adds;
}

}  // namespace drasriov::netconf_cni
