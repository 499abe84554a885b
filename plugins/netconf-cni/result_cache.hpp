// SPDX-License-Identifier: Apache-2.0
//
// ResultCache: what each ADD was asked and answered, one file for each attachment, durable before
// the ADD is reported. CHECK, DEL and GC need it when the host was killed before it knew the result,
// and GC for attachments that the host no longer knows. Any thread, but not two for one attachment.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "network.hpp"

namespace drasriov::netconf_cni {

/// What tells a namespace from a later one that has its path, unless the kernel gave its number again. Zeros: not known.
struct NamespaceId {
  std::uint64_t device = 0;  ///< st_dev, st_ino
  std::uint64_t inode = 0;
  friend bool operator==(const NamespaceId&, const NamespaceId&) = default;
};

struct CachedAdd {
  std::string network;
  std::string container_id;
  std::string interface_name;
  std::string netns_path;
  NamespaceId netns;
  std::string config_json;
  std::string device_id;
  std::string args;  ///< CNI_ARGS
  Json capability_args = Json::object();
  Json result;  ///< as the last plugin gave it
};

class ResultCache {
 public:
  explicit ResultCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// On disk when it returns: synced, renamed, and the folder synced.
  [[nodiscard]] sdk::Status store(const CachedAdd& add) const;
  /// Nothing when there is none, or none that can be read: DEL then goes on without.
  [[nodiscard]] std::optional<CachedAdd> load(std::string_view network,
                                              std::string_view container_id,
                                              std::string_view interface_name) const;
  [[nodiscard]] sdk::Status remove(std::string_view network, std::string_view container_id,
                                   std::string_view interface_name) const;
  /// All of a network that can be read, in no order.
  [[nodiscard]] std::vector<CachedAdd> of_network(std::string_view network) const;

 private:
  const std::filesystem::path folder_;
};

}  // namespace drasriov::netconf_cni
