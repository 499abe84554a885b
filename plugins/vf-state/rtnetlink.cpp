// SPDX-License-Identifier: Apache-2.0
#include "rtnetlink.hpp"

#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "link_messages.hpp"

namespace drasriov::vf_state {
namespace {

/// The kernel answers within the system call that asks; this is for an answer that was lost.
constexpr timeval kAnswerTimeout{2, 0};

struct FreeSocket {
  void operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }
};
using Socket = std::unique_ptr<nl_sock, FreeSocket>;

struct FreeCallbacks {
  void operator()(nl_cb* callbacks) const noexcept { nl_cb_put(callbacks); }
};

/// libnl folds errnos into its own numbers and loses some; those that matter here are told apart.
sdk::Error netlink_error(int code, std::string_view action) {
  const auto error = [&](int number) { return sdk::errno_error(number, action); };
  switch (code < 0 ? -code : code) {
    case NLE_EXIST: return error(EEXIST);
    case NLE_NODEV: return error(ENODEV);
    case NLE_OBJ_NOTFOUND: return error(ENOENT);
    case NLE_PERM:
    case NLE_NOACCESS: return error(EPERM);
    case NLE_OPNOTSUPP: return error(EOPNOTSUPP);
    case NLE_BUSY: return error(EBUSY);
    case NLE_INVAL: return error(EINVAL);
    case NLE_RANGE: return error(ERANGE);
    case NLE_NOMEM: return error(ENOMEM);
    case NLE_AGAIN: return error(ETIMEDOUT);
    default:
      return sdk::Error(sdk::Code::kUnknown,
                        std::string(action) + ": " + nl_geterror(code < 0 ? -code : code));
  }
}

sdk::Result<Socket> connect() {
  Socket socket(nl_socket_alloc());
  if (!socket) {
    return sdk::Error(sdk::Code::kResourceExhausted, "open rtnetlink: no memory");
  }
  if (const int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0) {
    return netlink_error(code, "open rtnetlink");
  }
  if (::setsockopt(nl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout,
                   sizeof kAnswerTimeout) != 0) {
    return sdk::errno_error(errno, "open rtnetlink");
  }
  return socket;
}

sdk::Status send_all(const std::vector<Message>& messages, std::string_view action) {
  if (messages.empty()) {
    return {};
  }
  const auto socket = connect();
  if (!socket) {
    return socket.error();
  }
  sdk::Status first;
  for (const Message& message : messages) {
    int code = nl_send_auto(socket->get(), message.get());
    if (code >= 0) {
      code = nl_wait_for_ack(socket->get());
    }
    if (code < 0 && first) {
      first = netlink_error(code, action);
    }
  }
  return first;
}

}  // namespace

sdk::Result<std::optional<VfSettings>> Rtnetlink::vf(int pf_index, std::uint32_t vf) {
  const auto socket = connect();
  if (!socket) {
    return socket.error();
  }
  const Message query = vf_query(pf_index);
  struct Answer {
    std::uint32_t vf;
    std::optional<VfSettings> settings;
  } answer{vf, std::nullopt};
  const std::unique_ptr<nl_cb, FreeCallbacks> callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (!callbacks) {
    return sdk::Error(sdk::Code::kResourceExhausted, "ask rtnetlink: no memory");
  }
  nl_cb_set(
      callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM,
      [](nl_msg* message, void* context) -> int {
        auto& to = *static_cast<Answer*>(context);
        to.settings = parse_vf(*nlmsg_hdr(message), to.vf);
        return NL_STOP;
      },
      &answer);
  int code = nl_send_auto(socket->get(), query.get());
  if (code >= 0) {
    code = nl_recvmsgs(socket->get(), callbacks.get());
  }
  if (code < 0) {
    return netlink_error(code, "ask for the VFs of interface " + std::to_string(pf_index));
  }
  return std::move(answer.settings);
}

sdk::Status Rtnetlink::set_vf(int pf_index, std::uint32_t vf, const VfSettings& changes) {
  return send_all(vf_changes(pf_index, vf, changes),
                  "set VF " + std::to_string(vf) + " of interface " + std::to_string(pf_index));
}

sdk::Status Rtnetlink::set_link(int index, const LinkChange& change, bool is_up) {
  return send_all(link_changes(index, change, is_up), "set interface " + std::to_string(index));
}

sdk::Result<std::optional<VfSettings>> NoLinks::vf(int /*pf_index*/, std::uint32_t /*vf*/) {
  return std::optional<VfSettings>();
}

sdk::Status NoLinks::set_vf(int /*pf_index*/, std::uint32_t /*vf*/, const VfSettings& /*changes*/) {
  return {};
}

sdk::Status NoLinks::set_link(int /*index*/, const LinkChange& /*change*/, bool /*is_up*/) {
  return {};
}

}  // namespace drasriov::vf_state
