// SPDX-License-Identifier: Apache-2.0
//
// Devlink: the eswitch mode of a PF by generic netlink (DEVLINK_CMD_ESWITCH_GET;
// Documentation/networking/devlink, include/uapi/linux/devlink.h). Two messages of a few dozen
// bytes, so no library. Building and parsing are pure; the source is used by one thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descriptor.hpp"
#include "eswitch.hpp"

namespace drasriov::discovery_sysfs {

using NetlinkMessage = std::vector<std::uint8_t>;

/// CTRL_CMD_GETFAMILY for "devlink".
[[nodiscard]] NetlinkMessage build_devlink_family_request(std::uint32_t sequence);
/// DEVLINK_CMD_ESWITCH_GET for a PCI device.
[[nodiscard]] NetlinkMessage build_eswitch_request(std::uint16_t family, std::uint32_t sequence,
                                                   std::string_view pf_address);

/// Family id of the answer to build_devlink_family_request; kUnimplemented when the kernel has no
/// devlink.
[[nodiscard]] sdk::Result<std::uint16_t> parse_devlink_family(std::span<const std::uint8_t> answer);
/// Legacy also where the kernel has no devlink instance for the device or its driver no eswitch
/// operations: such a device has no other mode.
[[nodiscard]] sdk::Result<EswitchMode> parse_eswitch_answer(std::span<const std::uint8_t> answer);
/// Sequence number of an answer; nothing for what is no complete netlink message.
[[nodiscard]] std::optional<std::uint32_t> netlink_sequence(std::span<const std::uint8_t> answer);

/// Opens its socket with the first question.
class DevlinkSource final : public EswitchSource {
 public:
  [[nodiscard]] sdk::Result<EswitchMode> mode(const std::string& pf_address) override;

 private:
  [[nodiscard]] sdk::Status connect();
  [[nodiscard]] sdk::Result<NetlinkMessage> exchange(const NetlinkMessage& request,
                                                     std::uint32_t sequence);

  Descriptor socket_;
  std::uint16_t family_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace drasriov::discovery_sysfs
