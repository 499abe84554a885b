// SPDX-License-Identifier: Apache-2.0
//
// The rtnetlink messages about links and the VFs of a PF (linux/if_link.h), to and from bytes. Pure;
// any thread.
#pragma once

#include <netlink/msg.h>

#include <memory>
#include <optional>
#include <vector>

#include "snapshot.hpp"

namespace drasriov::vf_state {

struct FreeMessage {
  void operator()(nl_msg* message) const noexcept { nlmsg_free(message); }
};
using Message = std::unique_ptr<nl_msg, FreeMessage>;

/// Asks for one link with its VFs and without any statistics. The kernel has no smaller question: the
/// answer grows with the VFs of this PF, a dump would with those of all.
[[nodiscard]] Message vf_query(int pf_index);

/// One message for each setting that is present: the kernel stops at the first setting of a message
/// that a driver does not have.
[[nodiscard]] std::vector<Message> vf_changes(int pf_index, std::uint32_t vf,
                                              const VfSettings& changes);

/// What changes a link, one message each, in an order in which they can succeed: a link is renamed
/// while it is down.
[[nodiscard]] std::vector<Message> link_changes(int index, const LinkChange& change, bool is_up);

/// The settings of one VF in the answer to vf_query(); nothing when the link has no such VF.
[[nodiscard]] std::optional<VfSettings> parse_vf(const nlmsghdr& answer, std::uint32_t vf);

}  // namespace drasriov::vf_state
