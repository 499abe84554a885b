// SPDX-License-Identifier: Apache-2.0
#include "uevents.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "pci.hpp"

namespace drasriov::discovery_sysfs {
namespace {

constexpr unsigned kKernelGroup = 1;  // 2 carries what udevd sends after its rules
constexpr unsigned kKernelPort = 0;
/// A message has at most UEVENT_BUFFER_SIZE (2 KiB) of keys and a header line with a path.
constexpr std::size_t kMessageSize = 8192;
/// Between two looks at the clock and at the stop signal.
constexpr int kMessagesPerDrain = 512;

}  // namespace

Uevent parse_uevent(std::string_view message) noexcept {
  Uevent uevent;
  const std::size_t header = std::min(message.find('\0'), message.size());
  const std::size_t at = message.substr(0, header).find('@');
  if (at == std::string_view::npos) {
    return uevent;
  }
  uevent.action = message.substr(0, at);
  uevent.devpath = message.substr(at + 1, header - at - 1);
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\0'), message.size());
    const std::string_view pair = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string_view key = pair.substr(0, equals);
    if (key == "SUBSYSTEM") {
      uevent.subsystem = pair.substr(equals + 1);
    } else if (key == "PCI_CLASS") {
      uevent.pci_class = pair.substr(equals + 1);
    }
  }
  return uevent;
}

bool is_relevant(const Uevent& uevent) noexcept {
  if (uevent.subsystem == "pci") {
    const auto pci_class = parse_hex(uevent.pci_class);
    return !pci_class || is_network_class(*pci_class);
  }
  return (uevent.subsystem == "net" || uevent.subsystem == "infiniband") &&
         !uevent.devpath.starts_with("/devices/virtual/");
}

sdk::Result<std::unique_ptr<UeventSource>> UeventSource::open(int receive_buffer) {
  const auto refused = [](const char* action) {
    const sdk::Error cause = sdk::errno_error(errno, action);
    return sdk::Error(sdk::Code::kUnimplemented, cause.message(),
                      "the driver needs the host's network namespace; without events devices are "
                      "scanned only when asked");
  };
  Descriptor socket(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (!socket) {
    return refused("open a NETLINK_KOBJECT_UEVENT socket");
  }
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer,
                   sizeof(receive_buffer)) != 0 &&
      ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer)) !=
          0) {
    return refused("set the receive buffer of a NETLINK_KOBJECT_UEVENT socket");
  }
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return refused("listen to the kernel's uevents");
  }
  return std::unique_ptr<UeventSource>(new UeventSource(std::move(socket)));
}

Drained UeventSource::drain() {
  Drained drained;
  std::array<char, kMessageSize> message;
  for (int i = 0; i < kMessagesPerDrain; ++i) {
    sockaddr_nl sender = {};
    socklen_t sender_size = sizeof(sender);
    const ssize_t size = ::recvfrom(socket_.get(), message.data(), message.size(), 0,
                                    reinterpret_cast<sockaddr*>(&sender), &sender_size);
    if (size >= 0) {
      // Root processes may send to this group too; only the kernel knows about devices.
      if (sender.nl_pid == kKernelPort && !drained.relevant) {
        drained.relevant = is_relevant(
            parse_uevent(std::string_view(message.data(), static_cast<std::size_t>(size))));
      }
    } else if (errno == ENOBUFS) {
      drained.overflow = true;
    } else if (errno == EAGAIN || errno == EINTR) {
      return drained;
    } else {
      drained.error = errno;
      return drained;
    }
  }
  return drained;
}

}  // namespace drasriov::discovery_sysfs
