// SPDX-License-Identifier: Apache-2.0
#include "host/module/symbol_versions.hpp"

#include <link.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <span>

#include "host/base/durable_file.hpp"

namespace drasriov::module {
namespace {

constexpr std::size_t kLargestLibrary = 256U << 20U;

/// "GLIBCXX_3.4.30" as family and numbers; no numbers for names such as GLIBC_ABI_DT_RELR.
struct Version {
  std::string_view family;
  std::vector<int> numbers;
};

Version parse(std::string_view text) {
  const auto split = text.rfind('_');
  Version version{text.substr(0, split), {}};
  if (split == std::string_view::npos) return version;
  const char* at = text.data() + split + 1;
  const char* const end = text.data() + text.size();
  while (at < end) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || (next != end && *next != '.')) return {text, {}};
    version.numbers.push_back(number);
    at = next == end ? end : next + 1;
  }
  return version;
}

/// The highest of `versions` in each family.
std::map<std::string, std::string> highest(const std::vector<std::string>& versions) {
  std::map<std::string, std::string> best;
  for (const std::string& text : versions) {
    const Version version = parse(text);
    if (version.numbers.empty()) continue;
    auto& current = best[std::string(version.family)];
    if (current.empty() || parse(current).numbers < version.numbers) current = text;
  }
  return best;
}

/// The file that is mapped here under the name `library`, or empty.
std::string mapped_file(const std::string& library) {
  struct Search {
    const std::string& name;
    std::string path;
  } search{library, {}};
  ::dl_iterate_phdr(
      [](struct dl_phdr_info* info, std::size_t, void* context) {
        auto& wanted = *static_cast<Search*>(context);
        if (std::filesystem::path(info->dlpi_name).filename() != wanted.name) return 0;
        wanted.path = info->dlpi_name;
        return 1;
      },
      &search);
  return search.path;
}

/// What `library` defines here; empty when it is not mapped or cannot be read.
std::vector<std::string> versions_of(const std::string& library) {
  const std::string path = mapped_file(library);
  if (path.empty()) return {};
  const auto content = read_file(path, kLargestLibrary);
  if (!content) return {};
  const auto image = ElfImage::parse(std::as_bytes(std::span(*content)));
  if (!image) return {};
  auto table = image->dynamic_table();
  if (!table) return {};
  return std::move(table->versions_defined);
}

}  // namespace

std::vector<std::string> highest_needed(const DynamicTable& table) {
  std::vector<std::string> versions;
  for (const auto& needed : table.versions_needed) versions.push_back(needed.version);
  std::vector<std::string> out;
  for (auto& [family, version] : highest(versions)) out.push_back(version);
  return out;
}

Status check_symbol_versions(const DynamicTable& table) {
  std::map<std::string, std::vector<std::string>> needed;
  for (const auto& version : table.versions_needed) needed[version.file].push_back(version.version);
  for (const auto& [library, versions] : needed) {
    const std::vector<std::string> defined = versions_of(library);
    if (defined.empty()) continue;
    for (const std::string& version : versions) {
      if (std::ranges::find(defined, version) != defined.end()) continue;
      const auto best = highest(defined);
      const auto ours = best.find(std::string(parse(version).family));
      return Error(Code::kFailedPrecondition,
                   "it needs " + version + " of " + library + ", this system has " +
                       (ours == best.end() ? "none of that family" : "up to " + ours->second),
                   "build the module on a system as old as the oldest node, e.g. in the image that "
                   "dra-driver-sriov is built in");
    }
  }
  return {};
}

}  // namespace drasriov::module
