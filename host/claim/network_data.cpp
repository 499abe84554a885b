// SPDX-License-Identifier: Apache-2.0
#include "host/claim/network_data.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace drasriov::claim {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostAddresses = 16;  // NetworkDeviceData.ips, resource.k8s.io/v1
constexpr std::size_t kLongestName = 256;
constexpr std::size_t kLongestHardwareAddress = 128;

std::string text(const Json& object, const char* key, std::size_t longest) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  auto value = found->get<std::string>();
  return value.size() <= longest ? value : std::string();
}

const Json& array(const Json& object, const char* key) {
  static const Json kNone = Json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kNone;
}

/// Index in `interfaces` of the one in the sandbox.
std::optional<std::size_t> sandbox_interface(const Json& interfaces, std::string_view name) {
  std::optional<std::size_t> first;
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    const Json& interface = interfaces[i];
    if (!interface.is_object() || text(interface, "sandbox", std::string::npos).empty()) continue;
    if (text(interface, "name", kLongestName) == name) return i;
    if (!first) first = i;
  }
  return first;
}

bool belongs_to(const Json& address, std::optional<std::size_t> interface) {
  const auto index = address.find("interface");
  if (index == address.end() || index->is_null()) return true;
  return interface && index->is_number_unsigned() && index->get<std::size_t>() == *interface;
}

}  // namespace

Result<NetworkData> network_data(std::string_view result_json, std::string_view interface_name) {
  const Json result = Json::parse(result_json, nullptr, /*allow_exceptions=*/false);
  if (!result.is_object()) return Error(Code::kDataLoss, "the CNI result is no JSON object");
  NetworkData data;
  data.interface_name = interface_name;
  const Json& interfaces = array(result, "interfaces");
  const auto own = sandbox_interface(interfaces, interface_name);
  if (own) {
    if (auto name = text(interfaces[*own], "name", kLongestName); !name.empty())
      data.interface_name = std::move(name);
    data.hardware_address = text(interfaces[*own], "mac", kLongestHardwareAddress);
  }
  for (const Json& address : array(result, "ips")) {
    if (!address.is_object() || !belongs_to(address, own)) continue;
    auto cidr = text(address, "address", kLongestName);
    const bool known = std::ranges::find(data.ips, cidr) != data.ips.end();
    if (cidr.empty() || known || data.ips.size() == kMostAddresses) continue;
    data.ips.push_back(std::move(cidr));
  }
  return data;
}

}  // namespace drasriov::claim
