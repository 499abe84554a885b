// SPDX-License-Identifier: Apache-2.0
//
// Uevents: the kernel's device events over NETLINK_KOBJECT_UEVENT, and which of them concern SR-IOV
// devices. Parsing is pure.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <memory>
#include <string_view>

#include "descriptor.hpp"
#include "event_source.hpp"

namespace drasriov::discovery_sysfs {

/// One message: "add@/devices/…" and NUL-terminated KEY=VALUE texts (lib/kobject_uevent.c). Views
/// into the message.
struct Uevent {
  std::string_view action;
  std::string_view devpath;
  std::string_view subsystem;
  std::string_view pci_class;  ///< hex, of pci events only
};
/// Empty members for what the message does not say, all of them empty for what is no kernel uevent.
[[nodiscard]] Uevent parse_uevent(std::string_view message) noexcept;

/// Whether a scan may see another result: PCI functions of a network class, and interfaces and RDMA
/// devices on real hardware. A pod's veth or a bridge comes and goes without a scan.
[[nodiscard]] bool is_relevant(const Uevent& uevent) noexcept;

class UeventSource final : public EventSource {
 public:
  /// receive_buffer: bytes asked of the kernel; it takes SO_RCVBUFFORCE (CAP_NET_ADMIN) to get more
  /// than net.core.rmem_max. kUnimplemented when this machine lets nobody listen.
  [[nodiscard]] static sdk::Result<std::unique_ptr<UeventSource>> open(int receive_buffer);

  [[nodiscard]] int descriptor() const noexcept override { return socket_.get(); }
  [[nodiscard]] Drained drain() override;

 private:
  explicit UeventSource(Descriptor socket) : socket_(std::move(socket)) {}

  Descriptor socket_;
};

}  // namespace drasriov::discovery_sysfs
