// SPDX-License-Identifier: Apache-2.0
//
// Device: what a discovery module reports. DeviceView: what the host hands to the other
// capabilities. A Device is a value; a DeviceView is borrowed for the call. No locking.
#pragma once

#include <drasriov/abi/discovery.h>
#include <drasriov/sdk/view.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {

/// A semantic version 2.0.0, published under `version` instead of `string`.
struct Version {
  std::string text;
  friend bool operator==(const Version&, const Version&) = default;
};

/// A ResourceSlice attribute value. Lists need Kubernetes 1.36 (DRAListTypeAttributes).
using Value = std::variant<std::int64_t, bool, std::string, Version, std::vector<std::int64_t>,
                           std::vector<bool>, std::vector<std::string>, std::vector<Version>>;

struct Attribute {
  std::string key;  ///< "domain/name", or "name" for the driver's own domain
  Value value;
  friend bool operator==(const Attribute&, const Attribute&) = default;
};

/// A key and a value that are owned.
struct Entry {
  std::string key;
  std::string value;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// Builder and value:
///   Device device("0000-08-00-2", DRASRIOV_DEVICE_VF);
///   device.parent("0000-08-00-0").string("pciAddress", "0000:08:00.2").integer("vfID", 0)
///       .fact(DRASRIOV_FACT_DRIVER, "iavf");
/// A key that is set twice keeps the later value.
class Device {
 public:
  explicit Device(std::string name, std::string kind = DRASRIOV_DEVICE_VF)
      : name_(std::move(name)),
        kind_(std::move(kind)) {}

  Device& parent(std::string name) {
    parent_ = std::move(name);
    return *this;
  }
  Device& attribute(std::string_view key, Value value) {
    for (Attribute& old : attributes_) {
      if (old.key == key) {
        old.value = std::move(value);
        return *this;
      }
    }
    attributes_.push_back({std::string(key), std::move(value)});
    return *this;
  }
  Device& integer(std::string_view key, std::int64_t value) { return attribute(key, value); }
  Device& boolean(std::string_view key, bool value) { return attribute(key, value); }
  Device& string(std::string_view key, std::string_view value) {
    return attribute(key, std::string(value));
  }
  Device& version(std::string_view key, std::string_view value) {
    return attribute(key, Version{std::string(value)});
  }
  Device& integers(std::string_view key, std::vector<std::int64_t> values) {
    return attribute(key, std::move(values));
  }
  Device& booleans(std::string_view key, std::vector<bool> values) {
    return attribute(key, std::move(values));
  }
  Device& strings(std::string_view key, std::vector<std::string> values) {
    return attribute(key, std::move(values));
  }
  Device& versions(std::string_view key, std::vector<Version> values) {
    return attribute(key, std::move(values));
  }
  /// quantity: a canonical Kubernetes quantity, "25G".
  Device& capacity(std::string_view key, std::string_view quantity) {
    return put(capacities_, key, quantity);
  }
  /// Not published. Keys: DRASRIOV_FACT_…, or "domain/name" of your own.
  Device& fact(std::string_view key, std::string_view value) { return put(facts_, key, value); }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& parent() const noexcept { return parent_; }
  [[nodiscard]] const std::vector<Attribute>& attributes() const noexcept { return attributes_; }
  [[nodiscard]] const std::vector<Entry>& capacities() const noexcept { return capacities_; }
  [[nodiscard]] const std::vector<Entry>& facts() const noexcept { return facts_; }

  [[nodiscard]] const Value* attribute(std::string_view key) const noexcept {
    for (const Attribute& attribute : attributes_) {
      if (attribute.key == key) {
        return &attribute.value;
      }
    }
    return nullptr;
  }
  [[nodiscard]] const std::string* fact(std::string_view key) const noexcept {
    return find(facts_, key);
  }
  [[nodiscard]] const std::string* capacity(std::string_view key) const noexcept {
    return find(capacities_, key);
  }

  friend bool operator==(const Device&, const Device&) = default;

 private:
  Device& put(std::vector<Entry>& entries, std::string_view key, std::string_view value) {
    for (Entry& old : entries) {
      if (old.key == key) {
        old.value = value;
        return *this;
      }
    }
    entries.push_back({std::string(key), std::string(value)});
    return *this;
  }
  static const std::string* find(const std::vector<Entry>& entries, std::string_view key) noexcept {
    for (const Entry& entry : entries) {
      if (entry.key == key) {
        return &entry.value;
      }
    }
    return nullptr;
  }

  std::string name_;
  std::string kind_;
  std::string parent_;
  std::vector<Attribute> attributes_;
  std::vector<Entry> capacities_;
  std::vector<Entry> facts_;
};

/// One attribute value as it crosses the ABI. Each accessor is empty for another kind.
class ValueView {
 public:
  explicit ValueView(const drasriov_value& value) noexcept : value_(&value) {}

  [[nodiscard]] std::uint32_t kind() const noexcept { return value_->kind; }
  [[nodiscard]] std::optional<std::int64_t> integer() const noexcept {
    return is(DRASRIOV_VALUE_INT) ? std::optional(value_->as.integer) : std::nullopt;
  }
  [[nodiscard]] std::optional<bool> boolean() const noexcept {
    return is(DRASRIOV_VALUE_BOOL) ? std::optional(value_->as.boolean != 0) : std::nullopt;
  }
  [[nodiscard]] std::optional<std::string_view> string() const noexcept {
    return is(DRASRIOV_VALUE_STRING) ? std::optional(from_abi(value_->as.string)) : std::nullopt;
  }
  [[nodiscard]] std::optional<std::string_view> version() const noexcept {
    return is(DRASRIOV_VALUE_VERSION) ? std::optional(from_abi(value_->as.string)) : std::nullopt;
  }
  [[nodiscard]] std::span<const std::int64_t> integers() const noexcept {
    return is(DRASRIOV_VALUE_INTS) ? std::span(value_->as.integers, value_->count)
                                   : std::span<const std::int64_t>();
  }
  /// 0 or 1 each.
  [[nodiscard]] std::span<const std::uint8_t> booleans() const noexcept {
    return is(DRASRIOV_VALUE_BOOLS) ? std::span(value_->as.booleans, value_->count)
                                    : std::span<const std::uint8_t>();
  }
  /// Of strings and of versions.
  [[nodiscard]] StringList strings() const noexcept {
    return is(DRASRIOV_VALUE_STRINGS) || is(DRASRIOV_VALUE_VERSIONS)
               ? std::span(value_->as.strings, value_->count)
               : std::span<const drasriov_string>();
  }

  /// A copy that is owned; nothing for a kind that is newer than this SDK.
  [[nodiscard]] std::optional<Value> to_value() const {
    switch (value_->kind) {
      case DRASRIOV_VALUE_INT: return Value(value_->as.integer);
      case DRASRIOV_VALUE_BOOL: return Value(value_->as.boolean != 0);
      case DRASRIOV_VALUE_STRING: return Value(std::string(from_abi(value_->as.string)));
      case DRASRIOV_VALUE_VERSION: return Value(Version{std::string(from_abi(value_->as.string))});
      case DRASRIOV_VALUE_INTS:
        return Value(std::vector<std::int64_t>(integers().begin(), integers().end()));
      case DRASRIOV_VALUE_BOOLS:
        return Value(std::vector<bool>(booleans().begin(), booleans().end()));
      case DRASRIOV_VALUE_STRINGS: {
        std::vector<std::string> list;
        for (const std::string_view element : strings()) {
          list.emplace_back(element);
        }
        return Value(std::move(list));
      }
      case DRASRIOV_VALUE_VERSIONS: {
        std::vector<Version> list;
        for (const std::string_view element : strings()) {
          list.push_back({std::string(element)});
        }
        return Value(std::move(list));
      }
      default: return std::nullopt;
    }
  }

 private:
  [[nodiscard]] bool is(std::uint32_t kind) const noexcept { return value_->kind == kind; }

  const drasriov_value* value_;
};

struct AttributeView {
  std::string_view key;
  ValueView value;
};

[[nodiscard]] inline AttributeView attribute_from_abi(
    const drasriov_attribute& attribute) noexcept {
  return {from_abi(attribute.key), ValueView(attribute.value)};
}

using AttributeList = ListView<drasriov_attribute, &attribute_from_abi>;

/// A device of the host, borrowed for the call. REQUIRES of every accessor but `present`:
/// present().
class DeviceView {
 public:
  explicit DeviceView(const drasriov_device* device) noexcept : device_(device) {}

  /// False only in netconf validate and status.
  [[nodiscard]] bool present() const noexcept { return device_ != nullptr; }
  [[nodiscard]] std::string_view name() const noexcept {
    return text(device_, &drasriov_device::name);
  }
  [[nodiscard]] std::string_view kind() const noexcept {
    return text(device_, &drasriov_device::kind);
  }
  [[nodiscard]] std::string_view parent() const noexcept {
    return text(device_, &drasriov_device::parent);
  }
  [[nodiscard]] AttributeList attributes() const noexcept {
    return array(device_, &drasriov_device::attributes, &drasriov_device::attribute_count);
  }
  [[nodiscard]] PairList capacities() const noexcept {
    return array(device_, &drasriov_device::capacities, &drasriov_device::capacity_count);
  }
  [[nodiscard]] PairList facts() const noexcept {
    return array(device_, &drasriov_device::facts, &drasriov_device::fact_count);
  }

  [[nodiscard]] std::optional<ValueView> attribute(std::string_view key) const noexcept {
    for (const AttributeView attribute : attributes()) {
      if (attribute.key == key) {
        return attribute.value;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::string_view> fact(std::string_view key) const noexcept {
    return abi_v1::find(facts(), key);
  }
  [[nodiscard]] std::optional<std::string_view> capacity(std::string_view key) const noexcept {
    return abi_v1::find(capacities(), key);
  }

  /// A copy that outlives the call.
  [[nodiscard]] Device to_device() const {
    Device copy{std::string(name()), std::string(kind())};
    copy.parent(std::string(parent()));
    for (const AttributeView attribute : attributes()) {
      if (auto value = attribute.value.to_value()) {
        copy.attribute(attribute.key, *std::move(value));
      }
    }
    for (const Pair pair : capacities()) {
      copy.capacity(pair.key, pair.value);
    }
    for (const Pair pair : facts()) {
      copy.fact(pair.key, pair.value);
    }
    return copy;
  }

 private:
  const drasriov_device* device_;
};

/// A Device as the ABI wants it. Points into `device`, which must outlive the use. Reused for many
/// devices without new allocation: convert() forgets the one before.
class AbiDevice {
 public:
  const drasriov_device* convert(const Device& device) {
    attributes_.clear();
    capacities_.clear();
    facts_.clear();
    string_lists_.clear();
    boolean_lists_.clear();
    for (const Attribute& attribute : device.attributes()) {
      attributes_.push_back({to_abi(attribute.key), std::visit(*this, attribute.value)});
    }
    for (const Entry& entry : device.capacities()) {
      capacities_.push_back({to_abi(entry.key), to_abi(entry.value)});
    }
    for (const Entry& entry : device.facts()) {
      facts_.push_back({to_abi(entry.key), to_abi(entry.value)});
    }
    abi_ = {
        .struct_size = sizeof(drasriov_device),
        .name = to_abi(device.name()),
        .kind = to_abi(device.kind()),
        .parent = to_abi(device.parent()),
        .attributes = attributes_.data(),
        .attribute_count = attributes_.size(),
        .capacities = capacities_.data(),
        .capacity_count = capacities_.size(),
        .facts = facts_.data(),
        .fact_count = facts_.size(),
    };
    return &abi_;
  }

  drasriov_value operator()(std::int64_t value) const noexcept {
    return {.kind = DRASRIOV_VALUE_INT, .count = 0, .as = {.integer = value}};
  }
  drasriov_value operator()(bool value) const noexcept {
    return {.kind = DRASRIOV_VALUE_BOOL, .count = 0, .as = {.boolean = value ? 1 : 0}};
  }
  drasriov_value operator()(const std::string& value) const noexcept {
    return {.kind = DRASRIOV_VALUE_STRING, .count = 0, .as = {.string = to_abi(value)}};
  }
  drasriov_value operator()(const Version& value) const noexcept {
    return {.kind = DRASRIOV_VALUE_VERSION, .count = 0, .as = {.string = to_abi(value.text)}};
  }
  drasriov_value operator()(const std::vector<std::int64_t>& list) const noexcept {
    return {.kind = DRASRIOV_VALUE_INTS, .count = count(list), .as = {.integers = list.data()}};
  }
  drasriov_value operator()(const std::vector<bool>& list) {
    const auto& copy = boolean_lists_.emplace_back(list.begin(), list.end());
    return {.kind = DRASRIOV_VALUE_BOOLS, .count = count(copy), .as = {.booleans = copy.data()}};
  }
  drasriov_value operator()(const std::vector<std::string>& list) {
    auto& copy = string_lists_.emplace_back();
    for (const std::string& element : list) {
      copy.push_back(to_abi(element));
    }
    return {.kind = DRASRIOV_VALUE_STRINGS, .count = count(copy), .as = {.strings = copy.data()}};
  }
  drasriov_value operator()(const std::vector<Version>& list) {
    auto& copy = string_lists_.emplace_back();
    for (const Version& element : list) {
      copy.push_back(to_abi(element.text));
    }
    return {.kind = DRASRIOV_VALUE_VERSIONS, .count = count(copy), .as = {.strings = copy.data()}};
  }

 private:
  template <class List>
  static std::uint32_t count(const List& list) noexcept {
    return static_cast<std::uint32_t>(list.size());
  }

  std::vector<drasriov_attribute> attributes_;
  std::vector<drasriov_pair> capacities_;
  std::vector<drasriov_pair> facts_;
  std::deque<std::vector<drasriov_string>> string_lists_;
  std::deque<std::vector<std::uint8_t>> boolean_lists_;
  drasriov_device abi_{};
};

}  // namespace abi_v1
}  // namespace drasriov::sdk
