// SPDX-License-Identifier: Apache-2.0
#include "host/module/manifest.hpp"

#include <drasriov/abi/module.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

namespace drasriov::module {
namespace {

using nlohmann::json;

constexpr std::string_view kRebuildHint =
    "build the module again with drasriov_add_module() of a released SDK";

Error bad_note(std::string_view what) {
  return {Code::kInvalidArgument, "its manifest note is damaged: " + std::string(what),
          std::string(kRebuildHint)};
}

std::optional<AbiVersion> parse_version(std::string_view text) {
  AbiVersion version;
  const char* const end = text.data() + text.size();
  auto [dot, error] = std::from_chars(text.data(), end, version.major);
  if (error != std::errc() || dot == end || *dot != '.') return std::nullopt;
  const auto [last, minor_error] = std::from_chars(dot + 1, end, version.minor);
  if (minor_error != std::errc() || last != end) return std::nullopt;
  return version;
}

Result<std::string> text_member(const json& note, const char* key) {
  const auto member = note.find(key);
  if (member == note.end()) return bad_note("key \"" + std::string(key) + "\" is missing");
  if (!member->is_string()) return bad_note("key \"" + std::string(key) + "\" is no string");
  return member->get<std::string>();
}

Result<AbiVersion> version_member(const json& note, const char* key) {
  auto text = text_member(note, key);
  if (!text) return std::move(text).error();
  const auto version = parse_version(*text);
  if (!version) {
    return bad_note("key \"" + std::string(key) + "\" is \"" + *text + "\", not MAJOR.MINOR");
  }
  return *version;
}

}  // namespace

std::string AbiVersion::to_string() const {
  return std::to_string(major) + "." + std::to_string(minor);
}

HostAbi HostAbi::of_this_build() noexcept {
  return {.abi = {DRASRIOV_ABI_MAJOR, DRASRIOV_ABI_MINOR}, .sanitizer = DRASRIOV_SANITIZER};
}

Result<Manifest> parse_manifest(std::string_view note) {
  while (!note.empty() && note.back() == '\0')
    note.remove_suffix(1);  // a C string's end, or padding
  const json object = json::parse(note, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return bad_note("its payload is no JSON object");
  const auto schema = object.find("schema");
  if (schema == object.end() || !schema->is_number_integer())
    return bad_note("key \"schema\" is no number");
  if (*schema != DRASRIOV_NOTE_SCHEMA) {
    return Error(Code::kFailedPrecondition,
                 "its manifest note has schema " + schema->dump() + ", this host reads " +
                     std::to_string(DRASRIOV_NOTE_SCHEMA),
                 "use a newer dra-driver-sriov, or a module built with an SDK of this one");
  }

  Manifest manifest;
  for (auto [key, target] :
       {std::pair("abi", &manifest.abi), std::pair("minHost", &manifest.min_host)}) {
    auto version = version_member(object, key);
    if (!version) return std::move(version).error();
    *target = *version;
  }
  for (auto [key, target] :
       {std::pair("name", &manifest.name), std::pair("version", &manifest.version),
        std::pair("vendor", &manifest.vendor), std::pair("license", &manifest.license),
        std::pair("compiler", &manifest.compiler), std::pair("sanitizer", &manifest.sanitizer)}) {
    auto text = text_member(object, key);
    if (!text) return std::move(text).error();
    *target = *std::move(text);
  }
  if (manifest.name.empty() || !std::ranges::all_of(manifest.name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      })) {
    return bad_note("name \"" + manifest.name + "\" is not of [a-z0-9-]");
  }
  const auto capabilities = object.find("capabilities");
  if (capabilities == object.end() || !capabilities->is_array() || capabilities->empty()) {
    return bad_note("key \"capabilities\" is no list of ids");
  }
  for (const json& id : *capabilities) {
    if (!id.is_string() || !is_capability_id(id.get_ref<const std::string&>())) {
      return bad_note("capability " + id.dump(-1, ' ', false, json::error_handler_t::replace) +
                      " is no id like \"binding/1\"");
    }
    manifest.capabilities.push_back(id.get<std::string>());
  }
  return manifest;
}

Status check_compatible(const Manifest& manifest, const HostAbi& host) {
  if (manifest.abi.major != host.abi.major) {
    return Error(Code::kFailedPrecondition,
                 "it was built for module ABI " + manifest.abi.to_string() + ", this host has " +
                     host.abi.to_string(),
                 manifest.abi.major > host.abi.major
                     ? "use a newer dra-driver-sriov, or the vendor's build for ABI " +
                           std::to_string(host.abi.major)
                     : "ask the vendor for a build for ABI " + std::to_string(host.abi.major));
  }
  if (manifest.min_host.major != host.abi.major || manifest.min_host.minor > host.abi.minor) {
    return Error(Code::kFailedPrecondition,
                 "it needs a host with module ABI " + manifest.min_host.to_string() +
                     " or newer, this host has " + host.abi.to_string(),
                 "use a newer dra-driver-sriov, or an older version of the module");
  }
  if (manifest.sanitizer != host.sanitizer) {
    return Error(Code::kFailedPrecondition,
                 "it was built with sanitizer " + manifest.sanitizer + ", this host with " +
                     std::string(host.sanitizer) + ": the mixture aborts or hides errors",
                 "build module and host with the same DRASRIOV_SANITIZE");
  }
  return {};
}

Status check_offered(const std::vector<std::string>& offered,
                     const std::vector<std::string>& expected) {
  std::vector<std::string> missing;
  std::ranges::copy_if(expected, std::back_inserter(missing), [&](const std::string& id) {
    return std::ranges::find(offered, id) == offered.end();
  });
  if (missing.empty()) return {};
  return Error(Code::kFailedPrecondition,
               "the configuration expects " + join_names(missing) + ", the module offers only " +
                   join_names(offered),
               "choose the right module file, or correct capabilities of the module");
}

bool is_capability_id(std::string_view text) noexcept {
  const auto slash = text.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == text.size() ||
      text.size() > 128)
    return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::ranges::all_of(
             text.substr(0, slash),
             [&](char c) { return (c >= 'a' && c <= 'z') || digit(c) || c == '.' || c == '-'; }) &&
         std::ranges::all_of(text.substr(slash + 1), digit);
}

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace drasriov::module
