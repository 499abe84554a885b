// SPDX-License-Identifier: Apache-2.0
#include "runtime_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace drasriov::cdi {

RuntimeWatch::RuntimeWatch(const std::filesystem::path& directory)
    : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  constexpr std::uint32_t kMask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_MODIFY | IN_ATTRIB |
                                  IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
  if (fd_ < 0 || ::inotify_add_watch(fd_, directory.c_str(), kMask) < 0) {
    throw std::system_error(errno, std::generic_category(), "inotify on " + directory.native());
  }
}

RuntimeWatch::~RuntimeWatch() {
  ::close(fd_);
}

std::vector<RuntimeWatch::Change> RuntimeWatch::changes() {
  std::vector<Change> changes;
  alignas(inotify_event) std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
    if (got <= 0) return changes;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string name = event.len == 0 ? "" : buffer.data() + at + sizeof event;
      at += sizeof event + event.len;
      const bool is_spec = name.ends_with(".json") || name.ends_with(".yaml");
      const bool rename_or_remove =
          (event.mask & (IN_MOVED_FROM | IN_MOVE_SELF | IN_DELETE | IN_DELETE_SELF)) != 0;
      const bool write = (event.mask & IN_MODIFY) != 0 && is_spec;
      changes.push_back({.name = name, .rescan = rename_or_remove || write});
    }
  }
}

bool RuntimeWatch::rescanned() {
  return std::ranges::any_of(changes(), [](const Change& change) { return change.rescan; });
}

}  // namespace drasriov::cdi
