// SPDX-License-Identifier: Apache-2.0
#include "devlink.hpp"

#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace drasriov::discovery_sysfs {
namespace {

constexpr std::string_view kBus = "pci";
/// The answer is there when sendmsg() returns; the wait covers a kernel that queues it.
constexpr auto kAnswerTimeout = std::chrono::seconds(1);
/// DEVLINK_ESWITCH_MODE_SWITCHDEV_INACTIVE: switchdev that forwards nothing yet; newer than
/// bookworm's headers.
constexpr std::uint16_t kSwitchdevInactive = 2;

template <typename Header>
void append(NetlinkMessage& message, const Header& header) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header);
  message.insert(message.end(), bytes, bytes + sizeof(header));
  message.resize(NLMSG_ALIGN(message.size()));
}

void append_text(NetlinkMessage& message, std::uint16_t type, std::string_view text) {
  append(message, nlattr{.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + text.size() + 1),
                         .nla_type = type});
  message.insert(message.end(), text.begin(), text.end());
  message.push_back(0);
  message.resize(NLA_ALIGN(message.size()));
}

NetlinkMessage begin(std::uint16_t type, std::uint32_t sequence, std::uint8_t command,
                     std::uint8_t version) {
  NetlinkMessage message;
  append(message,
         nlmsghdr{.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = sequence});
  append(message, genlmsghdr{.cmd = command, .version = version});
  return message;
}

NetlinkMessage finish(NetlinkMessage message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof(size));
  return message;
}

template <typename Value>
std::optional<Value> read_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  Value value;
  if (at > bytes.size() || bytes.size() - at < sizeof(value)) {
    return std::nullopt;
  }
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

std::optional<nlmsghdr> header_of(std::span<const std::uint8_t> message) {
  const auto header = read_at<nlmsghdr>(message, 0);
  return header && header->nlmsg_len >= sizeof(nlmsghdr) && header->nlmsg_len <= message.size()
             ? header
             : std::nullopt;
}

/// Positive errno of an NLMSG_ERROR, 0 for any other message; EBADMSG for what is none.
int error_of(std::span<const std::uint8_t> message) {
  const auto header = header_of(message);
  if (!header) {
    return EBADMSG;
  }
  if (header->nlmsg_type != NLMSG_ERROR) {
    return 0;
  }
  const auto error = read_at<nlmsgerr>(message, NLMSG_HDRLEN);
  return error && error->error < 0 ? -error->error : EBADMSG;
}

/// A 16-bit attribute of a generic netlink message.
std::optional<std::uint16_t> attribute(std::span<const std::uint8_t> message, std::uint16_t type) {
  const auto header = header_of(message);
  if (!header) {
    return std::nullopt;
  }
  message = message.first(header->nlmsg_len);
  std::size_t at = NLMSG_HDRLEN + GENL_HDRLEN;
  while (const auto head = read_at<nlattr>(message, at)) {
    if (head->nla_len < NLA_HDRLEN || head->nla_len > message.size() - at) {
      return std::nullopt;
    }
    if ((head->nla_type & NLA_TYPE_MASK) == type) {
      return head->nla_len >= NLA_HDRLEN + sizeof(std::uint16_t)
                 ? read_at<std::uint16_t>(message, at + NLA_HDRLEN)
                 : std::nullopt;
    }
    at += NLA_ALIGN(head->nla_len);
  }
  return std::nullopt;
}

sdk::Error malformed(std::string_view what) {
  return {sdk::Code::kInternal, std::string(what) + ": malformed netlink answer"};
}

}  // namespace

NetlinkMessage build_devlink_family_request(std::uint32_t sequence) {
  NetlinkMessage message = begin(GENL_ID_CTRL, sequence, CTRL_CMD_GETFAMILY, 1);
  append_text(message, CTRL_ATTR_FAMILY_NAME, DEVLINK_GENL_NAME);
  return finish(std::move(message));
}

NetlinkMessage build_eswitch_request(std::uint16_t family, std::uint32_t sequence,
                                     std::string_view pf_address) {
  NetlinkMessage message = begin(family, sequence, DEVLINK_CMD_ESWITCH_GET, DEVLINK_GENL_VERSION);
  append_text(message, DEVLINK_ATTR_BUS_NAME, kBus);
  append_text(message, DEVLINK_ATTR_DEV_NAME, pf_address);
  return finish(std::move(message));
}

sdk::Result<std::uint16_t> parse_devlink_family(std::span<const std::uint8_t> answer) {
  const int error = error_of(answer);
  if (error == ENOENT) {
    return sdk::Error(sdk::Code::kUnimplemented, "the kernel has no devlink");
  }
  if (error != 0) {
    return sdk::errno_error(error, "find generic netlink family devlink");
  }
  const auto family = attribute(answer, CTRL_ATTR_FAMILY_ID);
  if (!family) {
    return malformed("find generic netlink family devlink");
  }
  return *family;
}

sdk::Result<EswitchMode> parse_eswitch_answer(std::span<const std::uint8_t> answer) {
  const int error = error_of(answer);
  if (error == ENODEV || error == EOPNOTSUPP) {
    return EswitchMode::kLegacy;
  }
  if (error != 0) {
    return sdk::errno_error(error, "devlink eswitch get",
                            error == EPERM ? "give the driver CAP_NET_ADMIN; a PF whose eswitch "
                                             "another host manages answers so too"
                                           : "");
  }
  const auto mode = attribute(answer, DEVLINK_ATTR_ESWITCH_MODE);
  if (!mode) {
    return malformed("devlink eswitch get");
  }
  switch (*mode) {
    case DEVLINK_ESWITCH_MODE_LEGACY: return EswitchMode::kLegacy;
    case DEVLINK_ESWITCH_MODE_SWITCHDEV:
    case kSwitchdevInactive: return EswitchMode::kSwitchdev;
    default:
      return sdk::Error(sdk::Code::kUnknown,
                        "devlink eswitch get: unknown mode " + std::to_string(*mode),
                        "this kernel is newer than the driver: update the driver");
  }
}

std::optional<std::uint32_t> netlink_sequence(std::span<const std::uint8_t> answer) {
  const auto header = header_of(answer);
  return header ? std::optional(header->nlmsg_seq) : std::nullopt;
}

sdk::Result<EswitchMode> DevlinkSource::mode(const std::string& pf_address) {
  if (const sdk::Status connected = connect(); !connected) {
    return connected.error();
  }
  const std::uint32_t sequence = ++sequence_;
  const auto answer = exchange(build_eswitch_request(family_, sequence, pf_address), sequence);
  return answer ? parse_eswitch_answer(*answer) : answer.error();
}

sdk::Status DevlinkSource::connect() {
  if (family_ != 0) {
    return {};
  }
  if (!socket_) {
    socket_ = Descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
    sockaddr_nl address = {};
    address.nl_family = AF_NETLINK;
    if (!socket_ ||
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      const sdk::Error error = sdk::errno_error(errno, "open a generic netlink socket");
      socket_ = Descriptor();
      return error;
    }
  }
  const std::uint32_t sequence = ++sequence_;
  const auto answer = exchange(build_devlink_family_request(sequence), sequence);
  if (!answer) {
    return answer.error();
  }
  const auto family = parse_devlink_family(*answer);
  if (!family) {
    return family.error();
  }
  family_ = *family;
  return {};
}

sdk::Result<NetlinkMessage> DevlinkSource::exchange(const NetlinkMessage& request,
                                                    std::uint32_t sequence) {
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(socket_.get(), request.data(), request.size(), 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel)) < 0) {
    return sdk::errno_error(errno, "send a devlink request");
  }
  const auto deadline = std::chrono::steady_clock::now() + kAnswerTimeout;
  NetlinkMessage answer;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) {
      return sdk::Error(sdk::Code::kDeadlineExceeded, "no answer to a devlink request");
    }
    answer.resize(8192);
    const ssize_t size = ::recv(socket_.get(), answer.data(), answer.size(), MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
      return sdk::errno_error(errno, "receive the answer to a devlink request");
    }
    answer.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    if (netlink_sequence(answer) == sequence) {
      return answer;
    }
  }
}

}  // namespace drasriov::discovery_sysfs
