// SPDX-License-Identifier: Apache-2.0
#include "tree_events.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "pci.hpp"
#include "sysfs_dir.hpp"

namespace drasriov::discovery_sysfs {
namespace {

// Contents of attributes too: whoever plays the kernel rewrites uevent, numa_node and so on.
constexpr std::uint32_t kChanges =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR;
constexpr int kReadsPerDrain = 16;

std::string devices_path(const std::string& sys_root) {
  return sys_root + "/bus/pci/devices";
}
std::string drivers_path(const std::string& sys_root) {
  return sys_root + "/bus/pci/drivers";
}

bool may_have_vfs(const SysfsDir& dir) {
  Buffer buffer;
  const auto text = dir.read("uevent", buffer);
  const auto pci_class = text ? parse_pci_uevent(*text).pci_class : std::nullopt;
  return pci_class && is_network_class(*pci_class) && !dir.has("physfn");
}

}  // namespace

sdk::Result<std::unique_ptr<TreeEvents>> TreeEvents::open(std::string sys_root) {
  Descriptor inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) {
    return sdk::errno_error(errno, "open inotify", "raise fs.inotify.max_user_instances");
  }
  const std::string devices = devices_path(sys_root);
  std::unique_ptr<TreeEvents> events(new TreeEvents(std::move(sys_root), std::move(inotify)));
  if (const int error = events->watch(devices); error != 0) {
    return sdk::errno_error(
        error, "watch " + devices,
        error == ENOSPC ? "raise fs.inotify.max_user_watches" : "set roots.sys to a sysfs tree");
  }
  events->watch_children();
  return events;
}

int TreeEvents::watch(const std::string& path) {
  return ::inotify_add_watch(inotify_.get(), path.c_str(), kChanges) < 0 ? errno : 0;
}

void TreeEvents::watch_children() {
  // A folder that a captured tree lacks, or a device that is gone again, has no events to miss.
  static_cast<void>(watch(sys_root_ + "/class/net"));
  static_cast<void>(watch(drivers_path(sys_root_)));
  if (const auto drivers = SysfsDir::open(drivers_path(sys_root_))) {
    if (const auto names = (*drivers).list()) {
      for (const std::string& name : *names) {
        static_cast<void>(watch(drivers_path(sys_root_) + '/' + name));
      }
    }
  }
  const auto devices = SysfsDir::open(devices_path(sys_root_));
  if (!devices) {
    return;
  }
  const auto addresses = (*devices).list();
  if (!addresses) {
    return;
  }
  for (const std::string& address : *addresses) {
    const auto dir = (*devices).child(address);
    if (dir && may_have_vfs(*dir)) {
      static_cast<void>(watch(devices_path(sys_root_) + '/' + address));
    }
  }
}

void TreeEvents::prepare_notice() {
  static_cast<void>(watch(devices_path(sys_root_)));
  watch_children();
}

Drained TreeEvents::drain() {
  Drained drained;
  alignas(inotify_event) std::array<std::byte, 16384> events;
  for (int i = 0; i < kReadsPerDrain; ++i) {
    const ssize_t size = ::read(inotify_.get(), events.data(), events.size());
    if (size < 0) {
      drained.error = errno == EAGAIN || errno == EINTR ? 0 : errno;
      return drained;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      drained.overflow = drained.overflow || (event->mask & IN_Q_OVERFLOW) != 0;
      drained.relevant = drained.relevant || (event->mask & kChanges) != 0;
      at += sizeof(inotify_event) + event->len;
    }
  }
  return drained;
}

}  // namespace drasriov::discovery_sysfs
