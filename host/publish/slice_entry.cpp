// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_entry.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
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

std::optional<Error> check_text(std::string_view text, bool version) {
  if (text.size() > kMaxAttributeBytes) {
    return refuse(std::to_string(text.size()) + " bytes, an attribute holds " +
                  std::to_string(kMaxAttributeBytes));
  }
  if (version && !is_semantic_version(text)) {
    return refuse("\"" + std::string(text) + "\" is no semantic version 2.0.0",
                  "report it as a string");
  }
  return std::nullopt;
}

/// Builds one DeviceAttribute; counts its values.
class AttributeBuilder {
 public:
  explicit AttributeBuilder(std::size_t& values) : values_(values) {}

  Result<Json> operator()(std::int64_t value) { return one("int", value); }
  Result<Json> operator()(bool value) { return one("bool", value); }
  Result<Json> operator()(const std::string& value) {
    if (auto error = check_text(value, false)) return *std::move(error);
    return one("string", value);
  }
  Result<Json> operator()(const device::Version& value) {
    if (auto error = check_text(value.text, true)) return *std::move(error);
    return one("version", value.text);
  }
  template <typename T>
  Result<Json> operator()(const std::vector<T>& list) {
    if (list.empty()) return refuse("an empty list", "leave the attribute out");
    Json items = Json::array();
    for (const auto& item : list) {
      auto built = (*this)(static_cast<const T&>(item));
      if (!built) return built;
      items.push_back(std::move(built->begin().value()));
    }
    return Json{{list_member<T>(), std::move(items)}};
  }

 private:
  template <typename T>
  static constexpr const char* list_member() {
    if constexpr (std::is_same_v<T, std::int64_t>) return "ints";
    if constexpr (std::is_same_v<T, bool>) return "bools";
    if constexpr (std::is_same_v<T, std::string>) return "strings";
    if constexpr (std::is_same_v<T, device::Version>) return "versions";
  }
  template <typename T>
  Result<Json> one(const char* member, const T& value) {
    ++values_;
    return Json{{member, value}};
  }

  std::size_t& values_;
};

Result<Json> attributes_json(const device::Device& device, std::string_view driver_name) {
  Json attributes = Json::object();
  std::size_t values = 0;
  for (const auto& [key, value] : device.attributes) {
    const std::string name = qualified(key, driver_name);
    const std::string context = "attribute " + name;
    if (!is_qualified_name(name)) {
      return refuse(context + ": no qualified name",
                    "use [domain/]identifier, the identifier a C identifier of at most 32");
    }
    auto built = std::visit(AttributeBuilder(values), value);
    if (!built) return built.error().with_context(context);
    if (!attributes.emplace(name, *std::move(built)).second) {
      return refuse(context + ": reported twice, with and without the driver's domain");
    }
  }
  if (values > kMaxAttributeValues) {
    return refuse(std::to_string(values) + " attribute values, a device may have " +
                  std::to_string(kMaxAttributeValues));
  }
  return attributes;
}

Result<Json> capacity_json(const device::Device& device, std::string_view driver_name) {
  Json capacity = Json::object();
  for (const auto& [key, quantity] : device.capacities) {
    const std::string name = qualified(key, driver_name);
    if (!is_qualified_name(name)) return refuse("capacity " + name + ": no qualified name");
    if (!is_quantity(quantity))
      return refuse("capacity " + name + ": \"" + quantity + "\" is no quantity");
    if (!capacity.emplace(name, Json{{"value", quantity}}).second) {
      return refuse("capacity " + name + ": reported twice, with and without the driver's domain");
    }
  }
  return capacity;
}

/// The attribute that made dump() throw: its key, as reported.
std::string not_utf8(const device::Device& device) {
  for (const auto& [key, value] : device.attributes) {
    const auto* text = std::get_if<std::string>(&value);
    try {
      if (text != nullptr) (void)Json(*text).dump();
    } catch (const Json::type_error&) {
      return "attribute " + key;
    }
  }
  return "an element of a list attribute";
}

Result<SliceEntry> checked_entry(const device::Device& device, std::string_view driver_name) {
  if (!is_dns_label(device.name)) return refuse("the name is no DNS label");
  const std::size_t count = device.attributes.size() + device.capacities.size();
  if (count > kMaxAttributesAndCapacities) {
    return refuse(std::to_string(count) + " attributes and capacities, a device may have " +
                      std::to_string(kMaxAttributesAndCapacities),
                  "disable a module that adds attributes");
  }
  auto attributes = attributes_json(device, driver_name);
  if (!attributes) return std::move(attributes).error();
  auto capacity = capacity_json(device, driver_name);
  if (!capacity) return std::move(capacity).error();

  Json entry = {{"name", device.name}};
  if (!attributes->empty()) entry["attributes"] = *std::move(attributes);
  if (!capacity->empty()) entry["capacity"] = *std::move(capacity);
  try {
    return SliceEntry{device.name, entry.dump()};
  } catch (const Json::type_error&) {
    return refuse(not_utf8(device) + " is not UTF-8");
  }
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
