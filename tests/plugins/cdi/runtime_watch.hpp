// SPDX-License-Identifier: Apache-2.0
//
// RuntimeWatch: notices changes of a CDI directory as containerd and CRI-O do. Their watch library
// maps inotify events to create, write, remove, rename and chmod; their CDI cache rescans on
// rename, on remove, and on write to a .json or .yaml file, and ignores the rest: a file that is
// linked or moved in from elsewhere goes unnoticed. One thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace drasriov::cdi {

class RuntimeWatch {
 public:
  /// Throws std::system_error.
  explicit RuntimeWatch(const std::filesystem::path& directory);
  ~RuntimeWatch();
  RuntimeWatch(const RuntimeWatch&) = delete;
  RuntimeWatch& operator=(const RuntimeWatch&) = delete;

  struct Change {
    std::string name;  ///< of the file
    bool rescan = false;
  };
  /// What has happened since the last call. The kernel queues events before the call that causes
  /// them returns, so there is nothing to wait for.
  [[nodiscard]] std::vector<Change> changes();
  /// Whether any of them made the runtime read the directory again.
  [[nodiscard]] bool rescanned();

 private:
  int fd_;
};

}  // namespace drasriov::cdi
