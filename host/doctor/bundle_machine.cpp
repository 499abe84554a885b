// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/doctor/bundle.hpp"
#include "host/doctor/host_files.hpp"
#include "host/doctor/redaction.hpp"

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

/// Regular files of a directory, sorted.
std::vector<fs::path> files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    // A link may lead to what nobody meant to hand on.
    if (fs::is_regular_file(it->symlink_status(ignored))) files.push_back(it->path());
  }
  std::ranges::sort(files);
  return files;
}

/// One text for each PCI function: a file for each attribute would be thousands.
void add_function(const fs::path& sys, const std::string& address, Bundle& bundle) {
  constexpr std::array kAttributes = {"vendor",         "device",       "class",
                                      "uevent",         "numa_node",    "driver_override",
                                      "sriov_totalvfs", "sriov_numvfs", "sriov_drivers_autoprobe",
                                      "sriov_offset",   "sriov_stride", "sriov_vf_device"};
  const fs::path folder = sys / "bus/pci/devices" / address;
  std::string text;
  for (const char* attribute : kAttributes) {
    const auto value = read_some(folder / attribute);
    if (!value) continue;  // a VF has no sriov_*
    text.append("== ").append(attribute).append("\n").append(*value);
    if (!value->ends_with('\n')) text.push_back('\n');
  }
  for (const char* link : {"driver", "iommu_group", "physfn"}) {
    std::error_code error;
    const fs::path target = fs::read_symlink(folder / link, error);
    if (!error) text.append("== ").append(link).append(" -> ").append(target.native()).append("\n");
  }
  for (const char* children : {"net", "infiniband"}) {
    std::error_code error;
    for (fs::directory_iterator it(folder / children, error), end; !error && it != end;
         it.increment(error)) {
      text.append("== ")
          .append(children)
          .append("/")
          .append(it->path().filename().native())
          .append("\n");
    }
  }
  bundle.add("sys/" + address + ".txt", folder.native(), text);
}

/// "netconf" of a device and "config" of an attachment are CNI configuration verbatim, "result" its answer.
void remove_network_configuration(nlohmann::ordered_json& value) {
  if (value.is_object()) {
    const bool attachment = value.contains("netnsPath");
    for (auto& [key, member] : value.items()) {
      const bool verbatim =
          key == "netconf" || (attachment && (key == "config" || key == "result"));
      if (verbatim) {
        member = "(left out)";
      } else {
        remove_network_configuration(member);
      }
    }
  } else if (value.is_array()) {
    for (auto& element : value) remove_network_configuration(element);
  }
}

void add_records(const fs::path& directory, const std::string& folder, Bundle& bundle) {
  constexpr std::size_t kLargestRecord = 16U << 20U;
  for (const fs::path& file : files_in(directory)) {
    const std::string path = folder + file.filename().native();
    if (file.extension() == ".reason") {
      bundle.add_file(path, file);
      continue;
    }
    if (file.extension() != ".json") continue;
    const auto text = read_some(file, kLargestRecord);
    if (!text) {
      bundle.add_missing(path, file.native(), text.error());
      continue;
    }
    auto json = parse_shallow(*text);
    if (!json) {
      bundle.add_missing(path, file.native(),
                         Error(Code::kDataLoss, "no JSON (" + std::to_string(text->size()) +
                                                    " bytes): left out, it may hold secrets"));
      continue;
    }
    remove_network_configuration(*json);
    bundle.add(path, file.native(),
               json->dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
}

/// "type mode owner:group size path", sorted, two levels: sockets of plugins are there.
void list_directory(const fs::path& directory, int levels, std::string& text) {
  constexpr std::size_t kLongest = 1U << 20U;
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    paths.push_back(it->path());
  if (error) text.append(directory.native()).append(": ").append(error.message()).append("\n");
  std::ranges::sort(paths);
  for (const fs::path& path : paths) {
    if (text.size() > kLongest) return;
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) continue;  // went away
    const char type = S_ISDIR(status.st_mode)    ? 'd'
                      : S_ISREG(status.st_mode)  ? '-'
                      : S_ISSOCK(status.st_mode) ? 's'
                      : S_ISLNK(status.st_mode)  ? 'l'
                      : S_ISFIFO(status.st_mode) ? 'p'
                                                 : '?';
    std::array<char, 64> line{};
    const int length = std::snprintf(line.data(), line.size(), "%c %04o %u:%u %lld ", type,
                                     status.st_mode & 07777U, status.st_uid, status.st_gid,
                                     static_cast<long long>(status.st_size));
    text.append(line.data(), static_cast<std::size_t>(length)).append(path.native());
    if (S_ISLNK(status.st_mode)) {
      std::error_code ignored;
      text.append(" -> ").append(fs::read_symlink(path, ignored).native());
    }
    text.push_back('\n');
    if (S_ISDIR(status.st_mode) && levels > 1) list_directory(path, levels - 1, text);
  }
}

}  // namespace

void add_machine(const config::Configuration& configuration, const Facts& facts, Bundle& bundle) {
  const fs::path& proc = configuration.roots.proc;
  for (const char* file :
       {"cmdline", "version", "modules", "mounts", "meminfo", "loadavg", "uptime", "locks",
        "sys/kernel/random/boot_id", "self/status", "self/limits", "self/cgroup"}) {
    bundle.add_file("proc/" + std::string(file), proc / file);
  }
  for (const PhysicalFunction& pf : facts.pfs)
    add_function(configuration.roots.sys, pf.address, bundle);
  for (const VirtualFunction& vf : facts.vfs)
    add_function(configuration.roots.sys, vf.address, bundle);

  const fs::path claims = configuration.data_directory() / "claims";
  add_records(claims, "claims/", bundle);
  add_records(claims / "quarantine", "claims/quarantine/", bundle);

  std::string listing;
  for (const fs::path& directory :
       {configuration.kubelet_registrar_directory, configuration.kubelet_plugins_directory,
        configuration.cdi_root}) {
    listing.append("== ").append(directory.native()).append("\n");
    list_directory(directory, 2, listing);
  }
  listing.append("== ").append(claims.native()).append("\n");
  list_directory(claims, 2, listing);
  bundle.add("directories.txt", "kubelet's directories, CDI, the journal", listing);

  // Other drivers' specs are not ours to hand on.
  const std::string kind = "\"" + configuration.driver_name + "/";
  for (const fs::path& file : files_in(configuration.cdi_root)) {
    const auto text = read_some(file);
    if (text && text->find(kind) != std::string::npos)
      bundle.add("cdi/" + file.filename().native(), file.native(), *text);
  }
}

}  // namespace drasriov::doctor
