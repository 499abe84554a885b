// SPDX-License-Identifier: Apache-2.0
#include "result.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <string>
#include <utility>

namespace drasriov::netconf_cni {
namespace {

using sdk::Code;
using sdk::Error;

Error wrong(std::string message) {
  return {Code::kDataLoss, std::move(message),
          "the plugin violates the CNI specification: update it, or tell its vendor"};
}

/// 4, 6, or 0 for what is no address with a prefix length.
int family_of(const std::string& cidr) {
  const std::size_t slash = cidr.find('/');
  if (slash == std::string::npos) return 0;
  unsigned prefix = 0;
  const char* const end = cidr.data() + cidr.size();
  const auto [at, error] = std::from_chars(cidr.data() + slash + 1, end, prefix);
  if (error != std::errc() || at != end) return 0;
  const std::string address = cidr.substr(0, slash);
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) return prefix <= 32 ? 4 : 0;
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return prefix <= 128 ? 6 : 0;
  return 0;
}

/// The list at `key`, absent and null being empty; or why it is none.
sdk::Result<const Json*> list_at(const Json& result, const char* key) {
  static const Json kNone = Json::array();
  const auto found = result.find(key);
  if (found == result.end() || found->is_null()) return &kNone;
  if (!found->is_array()) return wrong("`" + std::string(key) + "` of its result is no list");
  return &*found;
}

bool is_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string();
}

}  // namespace

sdk::Result<Json> read_result(std::string_view output, std::string_view request_version) {
  auto parsed = parse_object(output, "its result", kMostOutputBytes);
  if (!parsed) return wrong(parsed.error().message());
  Json result = *std::move(parsed);
  if (!is_text(result, "cniVersion") || result["cniVersion"] == "")
    result["cniVersion"] = request_version;
  const auto version = result["cniVersion"].get<std::string>();
  if (!is_spoken(version)) return wrong("its result has cniVersion \"" + version + "\"");

  const auto interfaces = list_at(result, "interfaces");
  if (!interfaces) return interfaces.error();
  for (const Json& interface : **interfaces) {
    if (!interface.is_object() || !is_text(interface, "name"))
      return wrong("an interface of its result has no name");
  }
  const auto ips = list_at(result, "ips");
  if (!ips) return ips.error();
  for (const Json& ip : **ips) {
    if (!ip.is_object() || !is_text(ip, "address") ||
        family_of(ip["address"].get<std::string>()) == 0) {
      return wrong("an address of its result is not written as ADDRESS/PREFIX");
    }
    const auto index = ip.find("interface");
    if (index == ip.end() || index->is_null()) continue;
    if (!index->is_number_integer() || index->get<std::int64_t>() < 0 ||
        index->get<std::uint64_t>() >= (*interfaces)->size()) {
      return wrong("an address of its result belongs to interface " + index->dump() +
                   ", which is not there");
    }
  }
  return result;
}

Json convert_result(Json result, std::string_view version) {
  const auto from = result["cniVersion"].get<std::string>();
  result["cniVersion"] = version;
  const bool was_new = at_least(from, "1.0.0");
  const bool is_new = at_least(version, "1.0.0");
  if (was_new == is_new) return result;
  if (result.contains("ips") && result["ips"].is_array()) {
    for (Json& ip : result["ips"]) {
      if (is_new) {
        ip.erase("version");
      } else {
        ip["version"] = std::to_string(family_of(ip["address"].get<std::string>()));
      }
    }
  }
  if (!is_new && result.contains("interfaces") && result["interfaces"].is_array()) {
    for (Json& interface : result["interfaces"]) {
      for (const char* key : {"mtu", "socketPath", "pciID"}) interface.erase(key);
    }
  }
  return result;
}

}  // namespace drasriov::netconf_cni
