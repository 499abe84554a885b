// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/runtime_config.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

/// What a file that cannot be used leaves is its name and the reason.
std::optional<toml::table> parse_file(const HostFiles& host, const fs::path& path,
                                      Runtime& runtime) {
  auto text = host.read(path);
  if (!text) {
    // Not being there is allowed: the runtime's defaults count.
    if (text.error().code() != Code::kNotFound)
      runtime.files.push_back({path.native(), text.error().to_string()});
    return std::nullopt;
  }
  auto parsed = toml::parse(*text, path.native());
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    runtime.files.push_back({path.native(), "line " + std::to_string(error.source().begin.line) +
                                                ": " + std::string(error.description())});
    return std::nullopt;
  }
  runtime.files.push_back({path.native(), {}});
  return std::move(parsed).table();
}

std::optional<std::vector<std::string>> strings(const toml::node* node) {
  if (node == nullptr || node->as_array() == nullptr) return std::nullopt;
  std::vector<std::string> values;
  for (const toml::node& element : *node->as_array()) {
    if (const auto* text = element.as_string()) values.push_back(text->get());
  }
  return values;
}

void set_timeout(Runtime& runtime, const toml::table& section, std::string_view key) {
  if (const auto* text = section.get_as<std::string>(key))
    runtime.nri_request_timeout_ms = parse_go_duration(text->get());
}

/// One file over what earlier ones said.
void apply_containerd(const toml::table& file, Runtime& runtime) {
  if (const auto disabled = strings(file.get("disabled_plugins"))) {
    if (std::ranges::find(*disabled, "io.containerd.nri.v1.nri") != disabled->end())
      runtime.nri_enabled = false;
  }
  const toml::table* plugins = file.get_as<toml::table>("plugins");
  if (plugins == nullptr) return;
  if (const auto* nri = plugins->get_as<toml::table>("io.containerd.nri.v1.nri")) {
    if (const auto* disable = nri->get_as<bool>("disable")) runtime.nri_enabled = !disable->get();
    if (const auto* connections = nri->get_as<bool>("disable_connections");
        connections != nullptr && connections->get()) {
      runtime.nri_enabled = false;  // it runs, but takes no plugin that connects
    }
    if (const auto* socket = nri->get_as<std::string>("socket_path"))
      runtime.nri_socket = socket->get();
    set_timeout(runtime, *nri, "plugin_request_timeout");
  }
  // Format version 2 names the section after the gRPC plugin, version 3 after the runtime's part of it.
  for (const char* name : {"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"}) {
    const auto* cri = plugins->get_as<toml::table>(name);
    if (cri == nullptr) continue;
    if (const auto* enabled = cri->get_as<bool>("enable_cdi")) runtime.cdi_enabled = enabled->get();
    if (auto directories = strings(cri->get("cdi_spec_dirs")))
      runtime.cdi_directories = std::move(directories);
  }
}

/// The files that `pattern` names: containerd's imports are shell patterns in the last component, relative to the file.
std::vector<fs::path> expand(const HostFiles& host, const fs::path& base, const std::string& text) {
  fs::path pattern = text;
  if (pattern.is_relative()) pattern = base.parent_path() / pattern;
  const std::string name = pattern.filename().native();
  const auto star = name.find('*');
  if (star == std::string::npos) return {pattern};
  const std::string_view head = std::string_view(name).substr(0, star);
  const std::string_view tail = std::string_view(name).substr(star + 1);
  std::vector<fs::path> found;
  for (const std::string& file : host.list(pattern.parent_path())) {
    if (file.size() >= head.size() + tail.size() && file.starts_with(head) && file.ends_with(tail))
      found.push_back(pattern.parent_path() / file);
  }
  return found;
}

void load_containerd(const HostFiles& host, const fs::path& path, std::set<fs::path>& seen,
                     Runtime& runtime) {
  constexpr std::size_t kMostFiles = 64;
  if (seen.size() >= kMostFiles || !seen.insert(path).second) return;
  const auto file = parse_file(host, path, runtime);
  if (!file) return;
  apply_containerd(*file, runtime);
  // An import wins over the file that names it.
  for (const std::string& import :
       strings(file->get("imports")).value_or(std::vector<std::string>{})) {
    for (const fs::path& next : expand(host, path, import))
      load_containerd(host, next, seen, runtime);
  }
}

void apply_crio(const toml::table& file, Runtime& runtime) {
  if (const auto* nri = file.at_path("crio.nri").as_table()) {
    if (const auto* enabled = nri->get_as<bool>("enable_nri")) runtime.nri_enabled = enabled->get();
    if (const auto* connections = nri->get_as<bool>("nri_disable_connections");
        connections != nullptr && connections->get()) {
      runtime.nri_enabled = false;
    }
    if (const auto* socket = nri->get_as<std::string>("nri_listen"))
      runtime.nri_socket = socket->get();
    set_timeout(runtime, *nri, "nri_plugin_request_timeout");
  }
  if (auto directories = strings(file.at_path("crio.runtime.cdi_spec_dirs").node()))
    runtime.cdi_directories = std::move(directories);
}

}  // namespace

std::optional<std::int64_t> parse_go_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double milliseconds;
  };
  // "ms" before "m": the longer name first.
  constexpr std::array kUnits = {Unit{"ns", 1e-6}, Unit{"us", 1e-3}, Unit{"ms", 1.0},
                                 Unit{"s", 1e3},   Unit{"m", 6e4},   Unit{"h", 3.6e6}};
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + digits, value);
    if (digits == 0 || parsed.ec != std::errc() || parsed.ptr != text.data() + digits)
      return std::nullopt;
    text.remove_prefix(digits);
    const auto* unit = std::ranges::find_if(
        kUnits, [&text](const Unit& candidate) { return text.starts_with(candidate.name); });
    if (unit == kUnits.end()) return std::nullopt;
    total += value * unit->milliseconds;
    text.remove_prefix(unit->name.size());
  }
  return total < 9e15 ? std::optional(std::llround(total)) : std::nullopt;
}

void read_containerd_config(const HostFiles& host, const fs::path& main_file, Runtime& runtime) {
  std::set<fs::path> seen;
  load_containerd(host, main_file, seen, runtime);
}

void read_crio_config(const HostFiles& host, const fs::path& main_file, Runtime& runtime) {
  if (const auto file = parse_file(host, main_file, runtime)) apply_crio(*file, runtime);
  const fs::path folder = main_file.native() + ".d";
  for (const std::string& name : host.list(folder)) {
    if (const auto file = parse_file(host, folder / name, runtime)) apply_crio(*file, runtime);
  }
}

}  // namespace drasriov::doctor
