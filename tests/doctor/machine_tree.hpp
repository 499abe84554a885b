// SPDX-License-Identifier: Apache-2.0
//
// A machine of files in a temporary folder: <proc>, <sys>, the host's root below <proc>/1/root, kubelet's directories.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "host/config/configuration.hpp"

namespace drasriov::doctor {

class MachineTree {
 public:
  MachineTree() {
    std::string pattern = (std::filesystem::temp_directory_path() / "doctor-XXXXXX").native();
    root_ = ::mkdtemp(pattern.data());
    for (const char* folder :
         {"sys", "dev", "netns", "proc/1/root/etc", "plugins", "registry", "cdi"})
      std::filesystem::create_directories(root_ / folder);
  }
  ~MachineTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  MachineTree(const MachineTree&) = delete;
  MachineTree& operator=(const MachineTree&) = delete;

  [[nodiscard]] std::filesystem::path path(const std::string& relative) const {
    return root_ / relative;
  }
  void put(const std::string& relative, std::string_view text) const {
    std::filesystem::create_directories(path(relative).parent_path());
    std::ofstream(path(relative), std::ios::binary) << text;
  }
  /// A file of the host.
  void put_host(const std::string& absolute, std::string_view text) const {
    put("proc/1/root" + absolute, text);
  }
  void link(const std::string& relative, const std::string& target) const {
    std::filesystem::create_directories(path(relative).parent_path());
    std::filesystem::create_symlink(target, path(relative));
  }
  void put_process(int pid, const std::string& name, const std::string& command_line) const {
    std::string arguments = command_line + " ";
    for (char& c : arguments)
      if (c == ' ') c = '\0';
    const std::string folder = "proc/" + std::to_string(pid);
    put(folder + "/comm", name + "\n");
    put(folder + "/cmdline", arguments);
  }
  [[nodiscard]] config::Configuration configuration() const {
    config::Configuration configuration;
    configuration.node_name = "worker-1";
    configuration.roots = {path("sys"), path("dev"), path("proc"), path("netns")};
    configuration.kubelet_plugins_directory = path("plugins");
    configuration.kubelet_registrar_directory = path("registry");
    configuration.cdi_root = path("cdi");
    return configuration;
  }
  /// Every path with what it holds and when it was changed.
  [[nodiscard]] std::map<std::string, std::string> listing() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      std::ostringstream what;
      std::error_code ignored;
      if (!entry.is_symlink())
        what << entry.last_write_time(ignored).time_since_epoch().count() << " ";
      if (entry.is_regular_file() && !entry.is_symlink())
        what << std::ifstream(entry.path(), std::ios::binary).rdbuf();
      all[entry.path().native()] = what.str();
    }
    return all;
  }

 private:
  std::filesystem::path root_;
};

}  // namespace drasriov::doctor
