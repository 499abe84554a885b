// SPDX-License-Identifier: Apache-2.0
#include "holders.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string_view>

namespace drasriov::binding_vfio {
namespace {

namespace fs = std::filesystem;

struct CloseDir {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

bool is_pid(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_same(const struct stat& file, const struct stat& node) {
  if (S_ISCHR(node.st_mode)) {
    return S_ISCHR(file.st_mode) && file.st_rdev == node.st_rdev;
  }
  return file.st_dev == node.st_dev && file.st_ino == node.st_ino;
}

bool holds(const fs::path& fd_directory, const std::vector<struct stat>& nodes) {
  const Dir directory(::opendir(fd_directory.c_str()));  // none: the process has ended
  while (directory != nullptr) {
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      break;
    }
    struct stat file = {};
    if (!is_pid(entry->d_name) ||
        ::fstatat(::dirfd(directory.get()), entry->d_name, &file, 0) != 0) {
      continue;
    }
    if (std::ranges::any_of(nodes, [&](const auto& node) { return is_same(file, node); })) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<Holder> find_holders(const fs::path& proc, const std::vector<fs::path>& nodes) {
  std::vector<struct stat> wanted;
  for (const fs::path& node : nodes) {
    struct stat status = {};
    if (::stat(node.c_str(), &status) == 0) {
      wanted.push_back(status);
    }
  }
  std::vector<Holder> holders;
  const Dir directory(wanted.empty() ? nullptr : ::opendir(proc.c_str()));
  while (directory != nullptr) {
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      break;
    }
    if (!is_pid(entry->d_name) || !holds(proc / entry->d_name / "fd", wanted)) {
      continue;
    }
    Holder holder{entry->d_name, {}};
    std::ifstream comm(proc / entry->d_name / "comm");
    std::getline(comm, holder.name);
    holders.push_back(std::move(holder));
  }
  return holders;
}

std::string describe(const std::vector<Holder>& holders) {
  constexpr std::size_t kShown = 3;
  if (holders.empty()) {
    return "an unknown process";
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(holders.size(), kShown); ++i) {
    text.append(i == 0 ? "" : ", ").append("pid ").append(holders[i].pid);
    if (!holders[i].name.empty()) {
      text.append(" (").append(holders[i].name).append(")");
    }
  }
  if (holders.size() > kShown) {
    text.append(" and ").append(std::to_string(holders.size() - kShown)).append(" more");
  }
  return text;
}

}  // namespace drasriov::binding_vfio
