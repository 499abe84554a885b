// SPDX-License-Identifier: Apache-2.0
//
// Links: network interfaces and the VF settings of PFs in the driver's network namespace.
// Implementations are stateless; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <cstdint>
#include <optional>

#include "snapshot.hpp"

namespace drasriov::vf_state {

class Links {
 public:
  Links() = default;
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;
  virtual ~Links() = default;

  /// Nothing: the PF tells nothing of such a VF.
  [[nodiscard]] virtual sdk::Result<std::optional<VfSettings>> vf(int pf_index,
                                                                  std::uint32_t vf) = 0;
  /// Everything is tried; the first error counts.
  [[nodiscard]] virtual sdk::Status set_vf(int pf_index, std::uint32_t vf,
                                           const VfSettings& changes) = 0;
  /// kAlreadyExists: another interface has the name.
  [[nodiscard]] virtual sdk::Status set_link(int index, const LinkChange& change, bool is_up) = 0;
};

/// The kernel's. A socket for each call: a question costs the kernel more than the socket.
class Rtnetlink final : public Links {
 public:
  [[nodiscard]] sdk::Result<std::optional<VfSettings>> vf(int pf_index, std::uint32_t vf) override;
  [[nodiscard]] sdk::Status set_vf(int pf_index, std::uint32_t vf,
                                   const VfSettings& changes) override;
  [[nodiscard]] sdk::Status set_link(int index, const LinkChange& change, bool is_up) override;
};

/// For a captured sysfs: its interfaces are not this machine's, whose own must not be touched.
class NoLinks final : public Links {
 public:
  [[nodiscard]] sdk::Result<std::optional<VfSettings>> vf(int pf_index, std::uint32_t vf) override;
  [[nodiscard]] sdk::Status set_vf(int pf_index, std::uint32_t vf,
                                   const VfSettings& changes) override;
  [[nodiscard]] sdk::Status set_link(int index, const LinkChange& change, bool is_up) override;
};

}  // namespace drasriov::vf_state
