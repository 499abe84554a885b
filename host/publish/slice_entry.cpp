// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_entry.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "host/base/names.hpp"

namespace drasriov::publish {
namespace {

using Json = nlohmann::json;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Takes the digits off the front of `text`; how many.
std::size_t take_digits(std::string_view& text) noexcept {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  text.remove_prefix(count);
  return count;
}

bool is_c_identifier(std::string_view text) noexcept {
  if (text.empty() || text.size() > kMaxIdentifier || is_digit(text.front())) return false;
  return std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

/// "0" or digits without a leading zero.
bool is_version_number(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, is_digit) &&
         (text.size() == 1 || text.front() != '0');
}

/// The part after '-' or '+': identifiers of [0-9A-Za-z-] joined by '.'; numeric ones of a
/// pre-release have no leading zero.
bool is_version_suffix(std::string_view text, bool prerelease) noexcept {
  for (;;) {
    const auto dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty() || !std::ranges::all_of(
                            part, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; })) {
      return false;
    }
    if (prerelease && std::ranges::all_of(part, is_digit) && !is_version_number(part)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

/// "vendor" and "<driver>/vendor" are one attribute; it is published under the second name.
std::string qualified(std::string_view key, std::string_view driver_name) {
  if (key.find('/') != std::string_view::npos) return std::string(key);
  std::string name(driver_name);
  name.append("/").append(key);
  return name;
}

Error refuse(std::string message, std::string hint = {}) {
  return {Code::kInvalidArgument, std::move(message), std::move(hint)};
}

/// Appends `text` as a JSON string, byte for byte as nlohmann::json would. False: it is not UTF-8.
bool append_string(std::string& json, std::string_view text) {
  const auto plain = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
  };
  if (std::ranges::all_of(text, plain)) {
    json.append("\"").append(text).append("\"");
    return true;
  }
  try {
    json.append(Json(text).dump());
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

/// Writes one DeviceAttribute, {"string":"8086"}, and counts its values. The text is written
/// directly because 2,048 devices have 35,000 attributes: trees of them take 60 ms.
class AttributeWriter {
 public:
  AttributeWriter(std::string& json, std::size_t& values) : json_(json), values_(values) {}

  template <typename T>
  Status operator()(const T& value) {
    json_.append("{\"").append(member<T>()).append("\":");
    if (auto written = write(value); !written) return written;
    json_.append("}");
    return {};
  }

 private:
  template <typename T>
  static constexpr std::string_view member() {
    if constexpr (std::is_same_v<T, std::int64_t>) return "int";
    if constexpr (std::is_same_v<T, bool>) return "bool";
    if constexpr (std::is_same_v<T, std::string>) return "string";
    if constexpr (std::is_same_v<T, device::Version>) return "version";
    if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) return "ints";
    if constexpr (std::is_same_v<T, std::vector<bool>>) return "bools";
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return "strings";
    if constexpr (std::is_same_v<T, std::vector<device::Version>>) return "versions";
  }

  Status write(std::int64_t value) {
    ++values_;
    json_.append(std::to_string(value));
    return {};
  }
  Status write(bool value) {
    ++values_;
    json_.append(value ? "true" : "false");
    return {};
  }
  Status write(const std::string& value) {
    ++values_;
    if (value.size() > kMaxAttributeBytes) {
      return refuse(std::to_string(value.size()) + " bytes, an attribute holds " +
                    std::to_string(kMaxAttributeBytes));
    }
    return append_string(json_, value) ? Status() : refuse("not UTF-8");
  }
  Status write(const device::Version& value) {
    if (!is_semantic_version(value.text)) {
      return refuse("\"" + value.text + "\" is no semantic version 2.0.0", "report it as a string");
    }
    return write(value.text);
  }
  template <typename T>
  Status write(const std::vector<T>& list) {
    if (list.empty()) return refuse("an empty list", "leave the attribute out");
    char separator = '[';
    for (const auto& element : list) {
      json_.append(1, separator);
      if (auto written = write(static_cast<const T&>(element)); !written) return written;
      separator = ',';
    }
    json_.append("]");
    return {};
  }

  std::string& json_;
  std::size_t& values_;
};

/// The members of `map` under their qualified names, in the order of those; INVALID_ARGUMENT for a
/// bad or a double one.
template <typename Map>
Result<std::vector<std::pair<std::string, const typename Map::mapped_type*>>> by_qualified_name(
    const Map& map, std::string_view driver_name, std::string_view what) {
  std::vector<std::pair<std::string, const typename Map::mapped_type*>> members;
  members.reserve(map.size());
  for (const auto& [key, value] : map) {
    members.emplace_back(qualified(key, driver_name), &value);
    if (!is_qualified_name(members.back().first)) {
      return refuse(std::string(what) + " " + members.back().first + ": no qualified name",
                    "use [domain/]identifier, the identifier a C identifier of at most 32");
    }
  }
  std::ranges::sort(members);
  const auto twice = std::ranges::adjacent_find(
      members, {}, [](const auto& member) -> const std::string& { return member.first; });
  if (twice != members.end()) {
    return refuse(std::string(what) + " " + twice->first +
                  ": reported twice, with and without the driver's domain");
  }
  return members;
}

Status append_attributes(std::string& json, const device::Device& device,
                         std::string_view driver_name) {
  auto members = by_qualified_name(device.attributes, driver_name, "attribute");
  if (!members) return std::move(members).error();
  std::size_t values = 0;
  std::string_view separator = R"("attributes":{)";
  for (const auto& [name, value] : *members) {
    json.append(separator).append("\"").append(name).append("\":");
    separator = ",";
    if (auto written = std::visit(AttributeWriter(json, values), *value); !written) {
      return written.error().with_context("attribute " + name);
    }
  }
  if (values > kMaxAttributeValues) {
    return refuse(std::to_string(values) + " attribute values, a device may have " +
                  std::to_string(kMaxAttributeValues));
  }
  if (!members->empty()) json.append("},");
  return {};
}

Status append_capacities(std::string& json, const device::Device& device,
                         std::string_view driver_name) {
  auto members = by_qualified_name(device.capacities, driver_name, "capacity");
  if (!members) return std::move(members).error();
  std::string_view separator = R"("capacity":{)";
  for (const auto& [name, quantity] : *members) {
    if (!is_quantity(*quantity))
      return refuse("capacity " + name + ": \"" + *quantity + "\" is no quantity");
    json.append(separator)
        .append("\"")
        .append(name)
        .append(R"(":{"value":")")
        .append(*quantity)
        .append("\"}");
    separator = ",";
  }
  if (!members->empty()) json.append("},");
  return {};
}

/// Keys in alphabetical order, as nlohmann::json writes them.
Result<SliceEntry> checked_entry(const device::Device& device, std::string_view driver_name) {
  if (!is_dns_label(device.name)) return refuse("the name is no DNS label");
  const std::size_t count = device.attributes.size() + device.capacities.size();
  if (count > kMaxAttributesAndCapacities) {
    return refuse(std::to_string(count) + " attributes and capacities, a device may have " +
                      std::to_string(kMaxAttributesAndCapacities),
                  "disable a module that adds attributes");
  }
  std::string json = "{";
  if (auto appended = append_attributes(json, device, driver_name); !appended)
    return std::move(appended).error();
  if (auto appended = append_capacities(json, device, driver_name); !appended)
    return std::move(appended).error();
  json.append(R"("name":")").append(device.name).append("\"}");
  json.shrink_to_fit();
  return SliceEntry{device.name, std::move(json)};
}

}  // namespace

Result<SliceEntry> slice_entry(const device::Device& device, std::string_view driver_name) {
  auto entry = checked_entry(device, driver_name);
  if (!entry) return entry.error().with_context("device " + device.name + " is not published");
  return entry;
}

SliceEntries slice_entries(const std::vector<device::Device>& devices,
                           std::string_view driver_name) {
  SliceEntries result;
  result.entries.reserve(devices.size());
  for (const auto& device : devices) {
    auto entry = slice_entry(device, driver_name);
    if (entry) {
      result.entries.push_back(*std::move(entry));
    } else {
      result.rejected.push_back({device.name, std::move(entry).error()});
    }
  }
  std::ranges::stable_sort(result.entries, {}, &SliceEntry::name);
  const auto repeated = std::ranges::unique(result.entries, {}, &SliceEntry::name);
  result.entries.erase(repeated.begin(), repeated.end());
  return result;
}

bool is_qualified_name(std::string_view name) noexcept {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return is_c_identifier(name);
  const std::string_view domain = name.substr(0, slash);
  return domain.size() <= kMaxDomain && is_dns_subdomain(domain) &&
         is_c_identifier(name.substr(slash + 1));
}

bool is_semantic_version(std::string_view text) noexcept {
  const auto plus = text.find('+');
  if (plus != std::string_view::npos) {
    if (!is_version_suffix(text.substr(plus + 1), false)) return false;
    text = text.substr(0, plus);
  }
  const auto dash = text.find('-');
  if (dash != std::string_view::npos) {
    if (!is_version_suffix(text.substr(dash + 1), true)) return false;
    text = text.substr(0, dash);
  }
  const auto first = text.find('.');
  if (first == std::string_view::npos) return false;
  const auto second = text.find('.', first + 1);
  if (second == std::string_view::npos) return false;
  return is_version_number(text.substr(0, first)) &&
         is_version_number(text.substr(first + 1, second - first - 1)) &&
         is_version_number(text.substr(second + 1));
}

bool is_quantity(std::string_view text) noexcept {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  std::size_t digits = take_digits(text);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    digits += take_digits(text);
  }
  if (digits == 0) return false;
  static constexpr std::array<std::string_view, 16> kSuffixes = {
      "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  if (std::ranges::find(kSuffixes, text) != kSuffixes.end()) return true;
  if (!text.starts_with('e') && !text.starts_with('E')) return false;
  text.remove_prefix(1);
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return take_digits(text) > 0 && text.empty();
}

}  // namespace drasriov::publish
