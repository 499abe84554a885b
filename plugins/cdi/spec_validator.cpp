// SPDX-License-Identifier: Apache-2.0
#include "spec_validator.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace drasriov::cdi {
namespace {

using nlohmann::json;

// ---- where, and what was wrong ----

/// Where a value stands in the document: a chain on the stack, spelt out only for an error.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;   ///< of an object; empty for an element of an array
  std::size_t index = 0;  ///< of an array

  [[nodiscard]] Place at(std::string_view member) const { return {.parent = this, .key = member}; }
  [[nodiscard]] Place at(std::size_t element) const { return {.parent = this, .index = element}; }

  [[nodiscard]] std::string text() const {
    if (parent == nullptr) return {};
    std::string path = parent->text();
    if (key.empty()) return path + "[" + std::to_string(index) + "]";
    if (!path.empty()) path += ".";
    return path.append(key);
  }
};

sdk::Error refused(std::string message) {
  return {sdk::Code::kInvalidArgument, "CDI spec: " + std::move(message),
          "nothing was written; the edits of a module are wrong, or this is a bug of the driver: "
          "report it with this line"};
}

sdk::Error refused(const Place& place, std::string_view problem) {
  const std::string path = place.text();
  return refused((path.empty() ? "the document" : path) + " " + std::string(problem));
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

// ---- names ----

constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_alphanumeric(char c) noexcept {
  return is_letter(c) || is_digit(c);
}

/// Alphanumeric at both ends, between them also one of `signs`.
bool is_name(std::string_view text, std::string_view signs) {
  return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [&](char c) {
           return is_alphanumeric(c) || signs.find(c) != std::string_view::npos;
         });
}

bool is_vendor_or_class(std::string_view text, std::size_t limit) {
  return text.size() >= 2 && text.size() <= limit && is_letter(text.front()) &&
         is_name(text, "_.-");
}

/// "[prefix/]name" as Kubernetes qualifies keys; the prefix is a DNS subdomain, compared in lower
/// case.
bool is_annotation_key(std::string_view key) {
  if (const auto slash = key.find('/'); slash != std::string_view::npos) {
    std::string_view prefix = key.substr(0, slash);
    key.remove_prefix(slash + 1);
    if (prefix.size() > 253) return false;
    for (;;) {
      const auto dot = prefix.find('.');
      if (!is_name(prefix.substr(0, dot), "-")) return false;
      if (dot == std::string_view::npos) break;
      prefix.remove_prefix(dot + 1);
    }
  }
  return key.size() <= 63 && is_name(key, "_.-");
}

// ---- versions ----

/// Only the versions that some content needs: 0.8.0 and 1.0.0 are never the lowest.
enum class Version : std::uint8_t { k030, k040, k050, k060, k070, k110 };
constexpr std::array<std::string_view, 6> kVersionNames = {"0.3.0", "0.4.0", "0.5.0",
                                                           "0.6.0", "0.7.0", "1.1.0"};
constexpr std::size_t kAnnotationLimit = std::size_t{256} * 1024;

// ---- the document ----

class Checker {
 public:
  explicit Checker(std::string_view kind) : kind_(kind) {}

  sdk::Status spec(const json& value);

 private:
  using Check = sdk::Status (Checker::*)(const json&, const Place&);
  struct Member {
    std::string_view key;
    Check check;
    bool required = false;
  };

  sdk::Status object(const json& value, const Place& place, std::span<const Member> members);
  sdk::Status each(const json& value, const Place& place, Check check);
  sdk::Status unique(const json& array, const Place& place, std::string_view key);

  // Leaves.
  sdk::Status text(const json& value, const Place& place);
  sdk::Status filled_text(const json& value, const Place& place);
  sdk::Status texts(const json& value, const Place& place) {
    return each(value, place, &Checker::text);
  }
  sdk::Status boolean(const json& value, const Place& place);
  sdk::Status int64(const json& value, const Place& place);
  sdk::Status uint32(const json& value, const Place& place);

  // Parts of the document, from the outside in.
  sdk::Status kind(const json& value, const Place& place);
  sdk::Status annotations(const json& value, const Place& place);
  sdk::Status devices(const json& value, const Place& place);
  sdk::Status device(const json& value, const Place& place);
  sdk::Status device_name(const json& value, const Place& place);
  sdk::Status device_edits(const json& value, const Place& place);
  sdk::Status edits(const json& value, const Place& place);
  sdk::Status env(const json& value, const Place& place) {
    return each(value, place, &Checker::variable);
  }
  sdk::Status variable(const json& value, const Place& place);
  sdk::Status nodes(const json& value, const Place& place) {
    return each(value, place, &Checker::node);
  }
  sdk::Status node(const json& value, const Place& place);
  sdk::Status node_host_path(const json& value, const Place& place);
  sdk::Status node_type(const json& value, const Place& place);
  sdk::Status node_permissions(const json& value, const Place& place);
  sdk::Status mounts(const json& value, const Place& place) {
    return each(value, place, &Checker::mount);
  }
  sdk::Status mount(const json& value, const Place& place);
  sdk::Status mount_type(const json& value, const Place& place);
  sdk::Status hooks(const json& value, const Place& place) {
    return each(value, place, &Checker::hook);
  }
  sdk::Status hook(const json& value, const Place& place);
  sdk::Status hook_name(const json& value, const Place& place);
  sdk::Status hook_path(const json& value, const Place& place);
  sdk::Status hook_timeout(const json& value, const Place& place);
  sdk::Status gids(const json& value, const Place& place);
  sdk::Status rdt(const json& value, const Place& place);
  sdk::Status rdt_class(const json& value, const Place& place);
  sdk::Status rdt_schemata(const json& value, const Place& place);
  sdk::Status rdt_monitoring(const json& value, const Place& place);
  sdk::Status rdt_removed(const json& value, const Place& place);
  sdk::Status net_devices(const json& value, const Place& place);
  sdk::Status net_device(const json& value, const Place& place);

  /// Notes that this content needs a reader of at least `version`.
  void needs(Version version, const Place& place) {
    if (version > needed_) {
      needed_ = version;
      needed_by_ = place.text();
    }
  }

  std::string_view kind_;
  Version needed_ = Version::k030;
  std::string needed_by_;
  std::size_t annotation_bytes_ = 0;
};

sdk::Status Checker::object(const json& value, const Place& place,
                            std::span<const Member> members) {
  if (!value.is_object()) return refused(place, "is not an object");
  for (const auto& [key, member] : value.items()) {
    const auto known = std::ranges::find(members, key, &Member::key);
    if (known == members.end()) {
      return refused(place.at(key), "is not a key of CDI: runtimes refuse unknown keys");
    }
    if (auto checked = (this->*known->check)(member, place.at(known->key)); !checked)
      return checked;
  }
  for (const Member& member : members) {
    if (member.required && !value.contains(member.key)) {
      return refused(place.at(member.key), "is missing");
    }
  }
  return {};
}

sdk::Status Checker::each(const json& value, const Place& place, Check check) {
  if (!value.is_array()) return refused(place, "is not an array");
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (auto checked = (this->*check)(value[i], place.at(i)); !checked) return checked;
  }
  return {};
}

/// REQUIRES: every element has been checked to hold a string under `key`.
sdk::Status Checker::unique(const json& array, const Place& place, std::string_view key) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const auto& name = array[i].find(key)->get_ref<const std::string&>();
    if (!seen.insert(name).second) {
      const Place element = place.at(i);
      return refused(element.at(key), in_quotes(name) + " stands twice");
    }
  }
  return {};
}

sdk::Status Checker::text(const json& value, const Place& place) {
  if (!value.is_string()) return refused(place, "is not a string");
  if (value.get_ref<const std::string&>().find('\0') != std::string::npos) {
    return refused(place, "holds a NUL character, which no container runtime can pass on");
  }
  return {};
}

sdk::Status Checker::filled_text(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  return value.get_ref<const std::string&>().empty() ? sdk::Status(refused(place, "is empty"))
                                                     : sdk::Status();
}

sdk::Status Checker::boolean(const json& value, const Place& place) {
  if (!value.is_boolean()) return refused(place, "is neither true nor false");
  return {};
}

sdk::Status Checker::int64(const json& value, const Place& place) {
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() &&
       value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})) {
    return refused(place, "is not a 64-bit integer");
  }
  return {};
}

sdk::Status Checker::uint32(const json& value, const Place& place) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max()) {
    return refused(place, "is not an unsigned 32-bit integer");
  }
  return {};
}

sdk::Status Checker::spec(const json& value) {
  const Place root;
  static constexpr std::array<Member, 5> kMembers = {{
      {.key = "cdiVersion", .check = &Checker::text, .required = true},
      {.key = "kind", .check = &Checker::kind, .required = true},
      {.key = "annotations", .check = &Checker::annotations},
      {.key = "devices", .check = &Checker::devices, .required = true},
      {.key = "containerEdits", .check = &Checker::edits},
  }};
  if (auto checked = object(value, root, kMembers); !checked) return checked;

  const auto& version = value.at("cdiVersion").get_ref<const std::string&>();
  const std::string_view lowest = kVersionNames[static_cast<std::size_t>(needed_)];
  if (version != lowest) {
    std::string because = needed_by_.empty() ? "" : " because of " + needed_by_;
    return refused(root.at("cdiVersion"),
                   "is " + in_quotes(version) + ": the lowest version that its contents allow is " +
                       std::string(lowest) + because + ", and runtimes refuse newer or wrong ones");
  }
  return {};
}

sdk::Status Checker::kind(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  const auto& kind = value.get_ref<const std::string&>();
  if (kind != kind_) {
    return refused(place,
                   "is " + in_quotes(kind) + ", but the spec is written for " + in_quotes(kind_));
  }
  if (kind.find('.', kind.find('/')) != std::string::npos) needs(Version::k060, place);
  return {};
}

sdk::Status Checker::annotations(const json& value, const Place& place) {
  if (!value.is_object()) return refused(place, "is not an object");
  if (!value.empty()) needs(Version::k060, place);
  for (const auto& [key, member] : value.items()) {
    const Place here = place.at(key);
    if (!is_annotation_key(key))
      return refused(place, "has the key " + in_quotes(key) + ", which is not a qualified name");
    if (auto checked = text(member, here); !checked) return checked;
    annotation_bytes_ += key.size() + member.get_ref<const std::string&>().size();
    if (annotation_bytes_ > kAnnotationLimit) return refused(place, "hold more than 256 KiB");
  }
  return {};
}

sdk::Status Checker::devices(const json& value, const Place& place) {
  if (auto checked = each(value, place, &Checker::device); !checked) return checked;
  if (value.empty()) return refused(place, "is empty: newer runtimes want at least one device");
  return unique(value, place, "name");
}

sdk::Status Checker::device(const json& value, const Place& place) {
  static constexpr std::array<Member, 3> kMembers = {{
      {.key = "name", .check = &Checker::device_name, .required = true},
      {.key = "annotations", .check = &Checker::annotations},
      {.key = "containerEdits", .check = &Checker::device_edits, .required = true},
  }};
  return object(value, place, kMembers);
}

sdk::Status Checker::device_name(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  const auto& name = value.get_ref<const std::string&>();
  if (!is_name(name, "_.:-")) return refused(place, in_quotes(name) + " is not a CDI device name");
  if (is_digit(name.front())) needs(Version::k050, place);
  return {};
}

sdk::Status Checker::device_edits(const json& value, const Place& place) {
  if (auto checked = edits(value, place); !checked) return checked;
  const auto holds_something = [](const json& member) {
    return !member.is_array() || !member.empty();
  };
  if (!std::ranges::any_of(value, holds_something)) {
    return refused(place, "is empty: runtimes refuse a device without edits");
  }
  return {};
}

sdk::Status Checker::edits(const json& value, const Place& place) {
  static constexpr std::array<Member, 7> kMembers = {{
      {.key = "env", .check = &Checker::env},
      {.key = "deviceNodes", .check = &Checker::nodes},
      {.key = "netDevices", .check = &Checker::net_devices},
      {.key = "mounts", .check = &Checker::mounts},
      {.key = "hooks", .check = &Checker::hooks},
      {.key = "intelRdt", .check = &Checker::rdt},
      {.key = "additionalGids", .check = &Checker::gids},
  }};
  return object(value, place, kMembers);
}

sdk::Status Checker::variable(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  const auto& variable = value.get_ref<const std::string&>();
  if (const auto equals = variable.find('='); equals == std::string::npos || equals == 0) {
    return refused(place, in_quotes(variable) + " is not of the form NAME=value");
  }
  return {};
}

sdk::Status Checker::node(const json& value, const Place& place) {
  static constexpr std::array<Member, 9> kMembers = {{
      {.key = "path", .check = &Checker::filled_text, .required = true},
      {.key = "hostPath", .check = &Checker::node_host_path},
      {.key = "type", .check = &Checker::node_type},
      {.key = "major", .check = &Checker::int64},
      {.key = "minor", .check = &Checker::int64},
      {.key = "fileMode", .check = &Checker::uint32},
      {.key = "permissions", .check = &Checker::node_permissions},
      {.key = "uid", .check = &Checker::uint32},
      {.key = "gid", .check = &Checker::uint32},
  }};
  return object(value, place, kMembers);
}

sdk::Status Checker::node_host_path(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  if (!value.get_ref<const std::string&>().empty()) needs(Version::k050, place);
  return {};
}

sdk::Status Checker::node_type(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  const auto& type = value.get_ref<const std::string&>();
  if (type.size() > 1 || type.find_first_not_of("bcup") != std::string::npos) {
    return refused(place, in_quotes(type) + " is none of b, c, u, p");
  }
  return {};
}

sdk::Status Checker::node_permissions(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  const auto& permissions = value.get_ref<const std::string&>();
  if (permissions.find_first_not_of("rwm") != std::string::npos) {
    return refused(place, in_quotes(permissions) + " has other letters than r, w, m");
  }
  return {};
}

sdk::Status Checker::mount(const json& value, const Place& place) {
  static constexpr std::array<Member, 4> kMembers = {{
      {.key = "hostPath", .check = &Checker::filled_text, .required = true},
      {.key = "containerPath", .check = &Checker::filled_text, .required = true},
      {.key = "options", .check = &Checker::texts},
      {.key = "type", .check = &Checker::mount_type},
  }};
  return object(value, place, kMembers);
}

sdk::Status Checker::mount_type(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  if (!value.get_ref<const std::string&>().empty()) needs(Version::k040, place);
  return {};
}

sdk::Status Checker::hook(const json& value, const Place& place) {
  static constexpr std::array<Member, 5> kMembers = {{
      {.key = "hookName", .check = &Checker::hook_name, .required = true},
      {.key = "path", .check = &Checker::hook_path, .required = true},
      {.key = "args", .check = &Checker::texts},
      {.key = "env", .check = &Checker::env},
      {.key = "timeout", .check = &Checker::hook_timeout},
  }};
  return object(value, place, kMembers);
}

sdk::Status Checker::hook_name(const json& value, const Place& place) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
  if (auto checked = text(value, place); !checked) return checked;
  const auto& name = value.get_ref<const std::string&>();
  if (std::ranges::find(kNames, name) == kNames.end()) {
    return refused(place, in_quotes(name) + " is not an OCI hook");
  }
  return {};
}

sdk::Status Checker::hook_path(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  if (!value.get_ref<const std::string&>().starts_with('/')) {
    return refused(place, "is not an absolute path");
  }
  return {};
}

sdk::Status Checker::hook_timeout(const json& value, const Place& place) {
  if (auto checked = int64(value, place); !checked) return checked;
  if (value.get<std::int64_t>() <= 0) return refused(place, "is not a number of seconds above 0");
  return {};
}

sdk::Status Checker::gids(const json& value, const Place& place) {
  if (auto checked = each(value, place, &Checker::uint32); !checked) return checked;
  if (!value.empty()) needs(Version::k070, place);
  return {};
}

sdk::Status Checker::rdt(const json& value, const Place& place) {
  static constexpr std::array<Member, 7> kMembers = {{
      {.key = "closID", .check = &Checker::rdt_class},
      {.key = "l3CacheSchema", .check = &Checker::text},
      {.key = "memBwSchema", .check = &Checker::text},
      {.key = "schemata", .check = &Checker::rdt_schemata},
      {.key = "enableMonitoring", .check = &Checker::rdt_monitoring},
      {.key = "enableCMT", .check = &Checker::rdt_removed},
      {.key = "enableMBM", .check = &Checker::rdt_removed},
  }};
  needs(Version::k070, place);
  return object(value, place, kMembers);
}

sdk::Status Checker::rdt_class(const json& value, const Place& place) {
  if (auto checked = text(value, place); !checked) return checked;
  const auto& name = value.get_ref<const std::string&>();
  const bool file_name =
      name != "." && name != ".." && name.find_first_of("/\n") == std::string::npos;
  if (name.size() >= 4096 || (name != "/" && !file_name)) {
    return refused(place, "is not the name of a resctrl group");
  }
  return {};
}

sdk::Status Checker::rdt_schemata(const json& value, const Place& place) {
  needs(Version::k110, place);
  return texts(value, place);
}

sdk::Status Checker::rdt_monitoring(const json& value, const Place& place) {
  if (auto checked = boolean(value, place); !checked) return checked;
  if (value.get<bool>()) needs(Version::k110, place);
  return {};
}

sdk::Status Checker::rdt_removed(const json&, const Place& place) {
  return refused(place, "was removed in CDI 1.1.0: newer runtimes refuse it");
}

sdk::Status Checker::net_devices(const json& value, const Place& place) {
  if (auto checked = each(value, place, &Checker::net_device); !checked) return checked;
  if (!value.empty()) needs(Version::k110, place);
  if (auto checked = unique(value, place, "hostInterfaceName"); !checked) return checked;
  return unique(value, place, "name");
}

sdk::Status Checker::net_device(const json& value, const Place& place) {
  static constexpr std::array<Member, 2> kMembers = {{
      {.key = "hostInterfaceName", .check = &Checker::filled_text, .required = true},
      {.key = "name", .check = &Checker::filled_text, .required = true},
  }};
  return object(value, place, kMembers);
}

// ---- the text ----

/// A parser keeps the last of two equal keys without a word; the runtimes refuse them.
class DuplicateKeys {
 public:
  bool operator()(json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(key).second && duplicate_.empty()) duplicate_ = in_quotes(key);
    }
    return true;
  }
  [[nodiscard]] const std::string& duplicate() const noexcept { return duplicate_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::string duplicate_;
};

sdk::Result<json> parse(std::string_view text) {
  DuplicateKeys keys;
  try {
    json value = json::parse(
        text, [&](int, json::parse_event_t event, json& parsed) { return keys(event, parsed); });
    if (!keys.duplicate().empty())
      return refused("the key " + keys.duplicate() + " stands twice in one object");
    return value;
  } catch (const json::parse_error& error) {
    return refused("not valid JSON at byte " + std::to_string(error.byte));
  }
}

}  // namespace

sdk::Status check_kind(std::string_view kind) {
  const auto slash = kind.find('/');
  if (slash == std::string_view::npos || !is_vendor_or_class(kind.substr(0, slash), 253) ||
      !is_vendor_or_class(kind.substr(slash + 1), 63)) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      in_quotes(kind) + " is not a CDI kind <vendor>/<class>",
                      "the vendor is the driver's name: at least two characters, a letter first");
  }
  return {};
}

sdk::Status check_spec(std::string_view spec_json, std::string_view kind) {
  if (auto checked = check_kind(kind); !checked) return checked;
  const sdk::Result<json> value = parse(spec_json);
  if (!value) return value.error();
  return Checker(kind).spec(*value);
}

}  // namespace drasriov::cdi
