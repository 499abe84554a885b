// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/request_target.hpp"

namespace drasriov::cluster::kube {

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kKept =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    if (kKept.find(c) != std::string_view::npos) {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded.push_back('%');
    encoded.push_back(kDigits[byte >> 4U]);
    encoded.push_back(kDigits[byte & 15U]);
  }
  return encoded;
}

std::string collection_path(const Resource& resource, std::string_view namespace_) {
  std::string path = resource.group.empty() ? "/api/" + resource.version
                                            : "/apis/" + resource.group + "/" + resource.version;
  if (resource.namespaced && !namespace_.empty()) {
    path += "/namespaces/" + percent_encode(namespace_);
  }
  return path + "/" + resource.plural;
}

std::string object_path(const Resource& resource, const ObjectKey& key) {
  return collection_path(resource, key.namespace_) + "/" + percent_encode(key.name);
}

std::string field_selector(const Selector& selector) {
  std::string text;
  for (const auto& [field, value] : selector.fields) {
    if (!text.empty()) text.push_back(',');
    text.append(field).push_back('=');
    for (const char c : value) {
      if (c == '\\' || c == ',' || c == '=') text.push_back('\\');
      text.push_back(c);
    }
  }
  return text;
}

std::string resource_name(const Resource& resource) {
  return resource.group.empty() ? resource.plural : resource.plural + "." + resource.group;
}

}  // namespace drasriov::cluster::kube
