// SPDX-License-Identifier: Apache-2.0
#include "vf_sysfs.hpp"

#include <net/if.h>
#include <sys/stat.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

namespace drasriov::vf_state {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// Decimal, or hexadecimal with 0x.
std::optional<std::uint32_t> read_number(const fs::path& file) {
  const std::string text = read(file);
  const bool hex = text.starts_with("0x");
  std::uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
  return error == std::errc() && at == end ? std::optional(value) : std::nullopt;
}

std::vector<fs::path> interfaces(const fs::path& device) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(device / "net", none)) {
    found.push_back(entry.path());
  }
  return found;
}

/// include/uapi/linux/netdevice.h
constexpr std::uint32_t kRandomAddress = 1;
constexpr std::uint32_t kChosenAddress = 3;

}  // namespace

bool VfSysfs::exists() const {
  std::error_code none;
  return fs::is_directory(path_, none);
}

std::string VfSysfs::incarnation() const {
  struct stat status = {};
  if (::stat(path_.c_str(), &status) != 0) {
    return {};
  }
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

std::string VfSysfs::driver() const {
  std::error_code none;
  return fs::read_symlink(path_ / "driver", none).filename();
}

std::optional<VfSysfs::Found> VfSysfs::netdev() const {
  for (const fs::path& interface : interfaces(path_)) {
    const auto index = read_number(interface / "ifindex");
    const auto mtu = read_number(interface / "mtu");
    if (!index || !mtu) {
      continue;  // it goes just now
    }
    const auto origin = read_number(interface / "addr_assign_type");
    Netdev netdev{.name = interface.filename(),
                  .mtu = *mtu,
                  .mac = parse_mac(read(interface / "address")),
                  .random_mac = origin == kRandomAddress,
                  .up = (read_number(interface / "flags").value_or(0) & IFF_UP) != 0,
                  .chosen_mac = origin == kChosenAddress,
                  .alias = read(interface / "ifalias")};
    return Found{std::move(netdev), static_cast<int>(*index)};
  }
  return std::nullopt;
}

std::optional<int> VfSysfs::pf_index(std::string_view preferred) const {
  std::optional<int> other;
  for (const fs::path& interface : interfaces(path_ / "physfn")) {
    const auto index = read_number(interface / "ifindex");
    if (!index) {
      continue;
    }
    if (interface.filename() == preferred) {
      return static_cast<int>(*index);
    }
    // A representor is named after its VF: pf0vf3.
    if (read(interface / "phys_port_name").find("vf") == std::string::npos) {
      other = static_cast<int>(*index);
    }
  }
  return other;
}

}  // namespace drasriov::vf_state
