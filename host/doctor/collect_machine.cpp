// SPDX-License-Identifier: Apache-2.0
//
// Permissions, kernel, PCI functions: text files below <proc> and <sys>.
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>
#include <system_error>

#include "host/doctor/collect_parts.hpp"

namespace drasriov::doctor {
namespace {

namespace fs = std::filesystem;

/// The file's text without the line end; empty when it cannot be read.
std::string text_of(const fs::path& path) {
  auto text = read_some(path);
  if (!text) return {};
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  return *std::move(text);
}

std::uint64_t number(std::string_view text, int base = 10) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  std::uint64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

/// What follows `name` on the line that begins with it.
std::string_view after(std::string_view text, std::string_view name) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (line.starts_with(name)) return line.substr(name.size());
    begin = end + 1;
  }
  return {};
}

std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    found.push_back(it->path());
  std::ranges::sort(found);
  return found;
}

std::string link_name(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).filename().native();
}

/// "kernel/drivers/vfio/pci/vfio-pci.ko.xz: …" → "vfio_pci"
std::string module_of(std::string_view line) {
  const std::string_view path = line.substr(0, line.find(':'));
  const std::string_view file = path.substr(path.rfind('/') + 1);
  std::string name(file.substr(0, file.find('.')));
  std::ranges::replace(name, '-', '_');
  return name;
}

std::set<std::string> modules_in(std::string_view text) {
  std::set<std::string> names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end != begin) names.insert(module_of(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return names;
}

}  // namespace

Permissions collect_permissions(const fs::path& proc) {
  Permissions permissions;
  const std::string status = text_of(proc / "self" / "status");
  const std::string_view effective = after(status, "CapEff:");
  permissions.known = !effective.empty();
  permissions.capabilities = number(effective, 16);
  const std::string limits = text_of(proc / "self" / "limits");
  const std::string_view open_files = after(limits, "Max open files");
  permissions.open_files = open_files.find("unlimited") < 40 ? UINT64_MAX : number(open_files);
  permissions.inotify_instances = number(text_of(proc / "sys/fs/inotify/max_user_instances"));
  permissions.inotify_watches = number(text_of(proc / "sys/fs/inotify/max_user_watches"));
  return permissions;
}

Kernel collect_kernel(const config::Roots& roots, const HostFiles* host) {
  Kernel kernel;
  kernel.release = text_of(roots.proc / "sys/kernel/osrelease");
  kernel.command_line = text_of(roots.proc / "cmdline");
  const std::string cpu = text_of(roots.proc / "cpuinfo");
  std::string_view vendor = after(cpu, "vendor_id");
  vendor.remove_prefix(std::min(vendor.find_first_not_of(" \t:"), vendor.size()));
  kernel.cpu_vendor = vendor;
  kernel.iommu_groups = entries(roots.sys / "kernel/iommu_groups").size();
  kernel.noiommu_mode =
      text_of(roots.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y";

  std::set<std::string> loadable;
  std::set<std::string> builtin;
  if (host != nullptr && !kernel.release.empty() && kernel.release.find('/') == std::string::npos) {
    const fs::path folder = fs::path("/lib/modules") / kernel.release;
    if (const auto list = host->read(folder / "modules.dep")) {
      kernel.modules_listed = true;
      loadable = modules_in(*list);
    }
    if (const auto list = host->read(folder / "modules.builtin")) builtin = modules_in(*list);
  }
  for (const char* name : {"vfio", "vfio_pci", "vfio_iommu_type1", "vhost_net", "tun"}) {
    std::error_code error;
    kernel.modules.push_back({name, fs::exists(roots.sys / "module" / name, error),
                              builtin.contains(name), loadable.contains(name)});
  }
  return kernel;
}

void collect_functions(const fs::path& sys, Facts& facts) {
  for (const fs::path& device : entries(sys / "bus/pci/devices")) {
    std::error_code error;
    const std::string address = device.filename().native();
    const std::string driver = link_name(device / "driver");
    if (fs::exists(device / "sriov_totalvfs", error) &&
        text_of(device / "class").starts_with("0x02")) {
      facts.pfs.push_back({address, driver, number(text_of(device / "sriov_totalvfs")),
                           number(text_of(device / "sriov_numvfs")),
                           text_of(device / "sriov_drivers_autoprobe") != "0"});
    } else if (fs::is_symlink(device / "physfn", error) &&
               text_of(device / "class").starts_with("0x02")) {
      const std::string wanted = text_of(device / "driver_override");
      facts.vfs.push_back(
          {address, link_name(device / "physfn"), driver,
           wanted == "(null)" ? std::string() : wanted,
           !entries(device / "net").empty() || !entries(device / "infiniband").empty()});
    }
  }
}

}  // namespace drasriov::doctor
