// SPDX-License-Identifier: Apache-2.0
#include "host/module/device_convert.hpp"

#include <algorithm>
#include <type_traits>

#include "host/base/names.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

constexpr std::size_t kMostEntries = 32;
constexpr std::size_t kMostValues = 48;
constexpr std::size_t kLongestAttributeText = 64;

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Takes the leading digits off `text` and returns them.
std::string_view take_digits(std::string_view& text) noexcept {
  const auto end =
      static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  const auto digits = text.substr(0, end);
  text.remove_prefix(end);
  return digits;
}

/// The dot-separated identifiers of a pre-release or a build; `numeric_rule`: no leading zeros in
/// numbers.
bool is_identifier_list(std::string_view text, bool numeric_rule) noexcept {
  for (;;) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    if (part.empty() || !std::ranges::all_of(
                            part, [](char c) { return is_digit(c) || is_letter(c) || c == '-'; })) {
      return false;
    }
    if (numeric_rule && part.size() > 1 && part[0] == '0' && std::ranges::all_of(part, is_digit))
      return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

Result<std::string> checked_text(drasriov_string text, bool version) {
  const std::string_view view = to_view(text);
  if (view.size() > kLongestAttributeText) {
    return Error(Code::kInvalidArgument,
                 "has " + std::to_string(view.size()) + " bytes, the API takes 64");
  }
  if (!is_utf8(view)) return Error(Code::kInvalidArgument, "is not UTF-8");
  if (version && !is_semantic_version(view)) {
    return Error(Code::kInvalidArgument, "\"" + printable(view) + "\" is no semantic version");
  }
  return std::string(view);
}

template <typename Make>
auto text_list(const drasriov_value& value, bool version, Make make)
    -> Result<std::vector<decltype(make(std::string()))>> {
  std::vector<decltype(make(std::string()))> list;
  for (uint32_t i = 0; i < value.count; ++i) {
    auto text = checked_text(value.as.strings[i], version);
    if (!text) return std::move(text).error();
    list.push_back(make(*std::move(text)));
  }
  return list;
}

template <typename T>
Result<device::AttributeValue> as_value(Result<T> result) {
  if (!result) return std::move(result).error();
  return device::AttributeValue(*std::move(result));
}

Result<device::AttributeValue> value_from_abi(const drasriov_value& value) {
  const auto as_version = [](std::string text) { return device::Version{std::move(text)}; };
  const auto as_string = [](std::string text) { return text; };
  const bool list = value.kind >= DRASRIOV_VALUE_INTS && value.kind <= DRASRIOV_VALUE_VERSIONS;
  if (list && (value.count == 0 || value.as.strings == nullptr)) {
    return Error(Code::kInvalidArgument, "is an empty list");
  }
  if (list && value.count > kMostValues) {
    return Error(Code::kInvalidArgument,
                 "has " + std::to_string(value.count) + " values, the API takes 48");
  }
  switch (value.kind) {
    case DRASRIOV_VALUE_INT: return device::AttributeValue(value.as.integer);
    case DRASRIOV_VALUE_BOOL: return device::AttributeValue(value.as.boolean != 0);
    case DRASRIOV_VALUE_STRING: return as_value(checked_text(value.as.string, false));
    case DRASRIOV_VALUE_VERSION: {
      auto text = checked_text(value.as.string, true);
      if (!text) return std::move(text).error();
      return device::AttributeValue(as_version(*std::move(text)));
    }
    case DRASRIOV_VALUE_INTS:
      return device::AttributeValue(
          std::vector<std::int64_t>(value.as.integers, value.as.integers + value.count));
    case DRASRIOV_VALUE_BOOLS: {
      std::vector<bool> booleans;
      for (uint32_t i = 0; i < value.count; ++i) booleans.push_back(value.as.booleans[i] != 0);
      return device::AttributeValue(std::move(booleans));
    }
    case DRASRIOV_VALUE_STRINGS: return as_value(text_list(value, false, as_string));
    case DRASRIOV_VALUE_VERSIONS: return as_value(text_list(value, true, as_version));
    default:
      return Error(Code::kInvalidArgument, "is of unknown kind " + std::to_string(value.kind));
  }
}

template <typename T>
std::size_t count_values(const T& /*scalar*/) {
  return 1;
}
template <typename T>
std::size_t count_values(const std::vector<T>& list) {
  return list.size();
}

std::vector<drasriov_pair> pairs_of(const device::Fields<std::string>& map) {
  std::vector<drasriov_pair> pairs;
  pairs.reserve(map.size());
  for (const auto& [key, value] : map) pairs.push_back({to_abi(key), to_abi(value)});
  return pairs;
}

}  // namespace

bool is_qualified_name(std::string_view text) noexcept {
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    if (slash > 63 || !is_dns_subdomain(text.substr(0, slash))) return false;
    text.remove_prefix(slash + 1);
  }
  return !text.empty() && text.size() <= 32 && !is_digit(text[0]) &&
         std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

bool is_semantic_version(std::string_view text) noexcept {
  for (int part = 0; part < 3; ++part) {
    if (part > 0) {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
    }
    const auto digits = take_digits(text);
    if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return false;
  }
  const auto plus = text.find('+');
  if (plus != std::string_view::npos && !is_identifier_list(text.substr(plus + 1), false))
    return false;
  const auto pre_release = text.substr(0, plus);
  return pre_release.empty() ||
         (pre_release[0] == '-' && is_identifier_list(pre_release.substr(1), true));
}

bool is_quantity(std::string_view text) noexcept {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  bool digits = !take_digits(text).empty();
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    digits |= !take_digits(text).empty();
  }
  if (!digits) return false;
  static constexpr std::string_view kSuffixes[] = {"",  "n", "u",  "m",  "k",  "M",  "G",  "T",
                                                   "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  if (std::ranges::find(kSuffixes, text) != std::end(kSuffixes)) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !take_digits(text).empty() && text.empty();
}

drasriov_value DeviceView::value_of(const device::AttributeValue& value) {
  drasriov_value out = {};
  const auto set_strings = [&](uint32_t kind, const auto& list, auto text_of) {
    auto& strings = strings_.emplace_back();
    strings.reserve(list.size());
    for (const auto& element : list) strings.push_back(to_abi(text_of(element)));
    out.kind = kind;
    out.count = static_cast<uint32_t>(strings.size());
    out.as.strings = strings.data();
  };
  std::visit(
      [&](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::int64_t>) {
          out.kind = DRASRIOV_VALUE_INT;
          out.as.integer = held;
        } else if constexpr (std::is_same_v<T, bool>) {
          out.kind = DRASRIOV_VALUE_BOOL;
          out.as.boolean = held ? 1 : 0;
        } else if constexpr (std::is_same_v<T, std::string>) {
          out.kind = DRASRIOV_VALUE_STRING;
          out.as.string = to_abi(held);
        } else if constexpr (std::is_same_v<T, device::Version>) {
          out.kind = DRASRIOV_VALUE_VERSION;
          out.as.string = to_abi(held.text);
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
          out.kind = DRASRIOV_VALUE_INTS;
          out.count = static_cast<uint32_t>(held.size());
          out.as.integers = held.data();
        } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
          const auto& booleans = booleans_.emplace_back(held.begin(), held.end());
          out.kind = DRASRIOV_VALUE_BOOLS;
          out.count = static_cast<uint32_t>(booleans.size());
          out.as.booleans = booleans.data();
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          set_strings(DRASRIOV_VALUE_STRINGS, held,
                      [](const auto& text) -> std::string_view { return text; });
        } else {
          set_strings(DRASRIOV_VALUE_VERSIONS, held,
                      [](const auto& version) -> std::string_view { return version.text; });
        }
      },
      value);
  return out;
}

DeviceView::DeviceView(const device::Device& device)
    : capacities_(pairs_of(device.capacities)),
      facts_(pairs_of(device.facts)) {
  attributes_.reserve(device.attributes.size());
  for (const auto& [key, value] : device.attributes)
    attributes_.push_back({to_abi(key), value_of(value)});
  device_.struct_size = sizeof(device_);
  device_.name = to_abi(device.name);
  device_.kind = to_abi(device.kind);
  device_.parent = to_abi(device.parent);
  device_.attributes = attributes_.data();
  device_.attribute_count = attributes_.size();
  device_.capacities = capacities_.data();
  device_.capacity_count = capacities_.size();
  device_.facts = facts_.data();
  device_.fact_count = facts_.size();
}

Status check_device_limits(const device::Device& device) {
  const std::size_t entries = device.attributes.size() + device.capacities.size();
  if (entries > kMostEntries) {
    return Error(
        Code::kInvalidArgument,
        "has " + std::to_string(entries) + " attributes and capacities, the API takes 32 together",
        "let the discovery module report fewer");
  }
  std::size_t values = 0;
  for (const auto& [key, value] : device.attributes) {
    values += std::visit([](const auto& held) { return count_values(held); }, value);
  }
  if (values > kMostValues) {
    return Error(Code::kInvalidArgument,
                 "has " + std::to_string(values) + " attribute values, the API takes 48",
                 "let the discovery module report shorter lists");
  }
  return {};
}

Result<CheckedDevice> device_from_abi(const drasriov_device* device) {
  if (device == nullptr || !DRASRIOV_COVERS(device, fact_count)) {
    return Error(Code::kInvalidArgument, "its struct is shorter than drasriov_device of ABI 1.0",
                 "set struct_size to sizeof(drasriov_device)");
  }
  CheckedDevice checked;
  device::Device& out = checked.device;
  out.name = to_view(device->name);
  if (!is_dns_label(out.name)) {
    return Error(Code::kInvalidArgument, "its name is no DNS label",
                 "use the PCI address with ':' and '.' replaced by '-'");
  }
  out.kind = to_view(device->kind);
  if (out.kind != DRASRIOV_DEVICE_VF && out.kind != DRASRIOV_DEVICE_PF) {
    return Error(Code::kInvalidArgument, "its kind \"" + printable(out.kind) + "\" is unknown",
                 "use \"vf\" or \"pf\"");
  }
  out.parent = to_view(device->parent);
  if (!out.parent.empty() && !is_dns_label(out.parent)) {
    return Error(Code::kInvalidArgument, "its parent is no DNS label",
                 "use the name of the PF's device");
  }

  const auto drop = [&](std::string_view what, drasriov_string key, const std::string& why) {
    checked.dropped.push_back(std::string(what) + " \"" + printable(to_view(key)) + "\" " + why);
  };
  const std::string bad_key =
      "is no qualified name (domain/identifier, at most 63 and 32 characters)";
  out.attributes.reserve(std::min(device->attribute_count, kMostEntries));
  out.facts.reserve(std::min(device->fact_count, kMostEntries));
  for (size_t i = 0; device->attributes != nullptr && i < device->attribute_count; ++i) {
    const drasriov_attribute& attribute = device->attributes[i];
    if (!is_qualified_name(to_view(attribute.key))) {
      drop("attribute", attribute.key, bad_key);
      continue;
    }
    auto value = value_from_abi(attribute.value);
    if (!value) {
      drop("attribute", attribute.key, value.error().message());
    } else if (!out.attributes.emplace(to_view(attribute.key), *std::move(value)).second) {
      drop("attribute", attribute.key, "stands twice");
    }
  }
  for (size_t i = 0; device->capacities != nullptr && i < device->capacity_count; ++i) {
    const drasriov_pair& capacity = device->capacities[i];
    if (!is_qualified_name(to_view(capacity.key))) {
      drop("capacity", capacity.key, bad_key);
    } else if (!is_quantity(to_view(capacity.value))) {
      drop("capacity", capacity.key,
           "\"" + printable(to_view(capacity.value)) + "\" is no quantity");
    } else if (!out.capacities.emplace(to_view(capacity.key), to_view(capacity.value)).second) {
      drop("capacity", capacity.key, "stands twice");
    }
  }
  for (size_t i = 0; device->facts != nullptr && i < device->fact_count; ++i) {
    const drasriov_pair& fact = device->facts[i];
    if (to_view(fact.key).empty() || !is_utf8(to_view(fact.key)) || !is_utf8(to_view(fact.value))) {
      drop("fact", fact.key, "is empty or not UTF-8");
    } else if (!out.facts.emplace(to_view(fact.key), to_view(fact.value)).second) {
      drop("fact", fact.key, "stands twice");
    }
  }
  if (auto status = check_device_limits(out); !status) return std::move(status).error();
  return checked;
}

}  // namespace drasriov::module
