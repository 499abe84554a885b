// SPDX-License-Identifier: Apache-2.0
//
// The bytes, read and made with the kernel's macros and nothing of libnl.
#include "plugins/vf-state/link_messages.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstring>
#include <string>
#include <vector>

namespace drasriov::vf_state {
namespace {

/// The attribute of this type below the headers, or in another attribute.
const rtattr* find(const void* data, std::size_t size, unsigned short type) {
  const auto* at = static_cast<const rtattr*>(data);
  for (auto left = static_cast<unsigned>(size); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
    if ((at->rta_type & NLA_TYPE_MASK) == type) return at;
  }
  return nullptr;
}
const rtattr* find(const Message& message, unsigned short type) {
  const nlmsghdr* header = nlmsg_hdr(message.get());
  const std::size_t skip = NLMSG_LENGTH(sizeof(ifinfomsg));
  return find(reinterpret_cast<const char*>(header) + skip, header->nlmsg_len - skip, type);
}
const rtattr* find(const rtattr* nest, unsigned short type) {
  return nest == nullptr ? nullptr : find(RTA_DATA(nest), RTA_PAYLOAD(nest), type);
}
template <typename T>
T value(const rtattr* attribute) {
  T out{};
  EXPECT_NE(attribute, nullptr);
  if (attribute != nullptr) {
    EXPECT_EQ(RTA_PAYLOAD(attribute), sizeof(T));
    std::memcpy(&out, RTA_DATA(attribute), sizeof out);
  }
  return out;
}
const ifinfomsg& link(const Message& message) {
  return *static_cast<const ifinfomsg*>(NLMSG_DATA(nlmsg_hdr(message.get())));
}
/// The one setting of a message about a VF.
const rtattr* setting(const Message& message, unsigned short type) {
  EXPECT_EQ(nlmsg_hdr(message.get())->nlmsg_type, RTM_SETLINK);
  EXPECT_EQ(link(message).ifi_index, 7);
  return find(find(find(message, IFLA_VFINFO_LIST), IFLA_VF_INFO), type);
}

TEST(LinkMessagesTest, TheQuestionIsAboutOneLink) {
  const Message query = vf_query(7);
  const nlmsghdr* header = nlmsg_hdr(query.get());
  EXPECT_EQ(header->nlmsg_type, RTM_GETLINK);
  EXPECT_EQ(header->nlmsg_flags & NLM_F_DUMP, 0);
  EXPECT_EQ(link(query).ifi_index, 7);
  EXPECT_EQ(value<std::uint32_t>(find(query, IFLA_EXT_MASK)),
            std::uint32_t{RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS});
}

TEST(LinkMessagesTest, OneMessageForEachSettingOfAVf) {
  const auto messages = vf_changes(7, 3,
                                   {.mac = Mac{1, 2, 3, 4, 5, 6},
                                    .vlan = Vlan{100, 5},
                                    .rate = Rate{10, 1000},
                                    .spoof_check = true,
                                    .trust = false,
                                    .link_state = IFLA_VF_LINK_STATE_DISABLE});
  ASSERT_EQ(messages.size(), 6U);
  const auto trust = value<ifla_vf_trust>(setting(messages[0], IFLA_VF_TRUST));
  EXPECT_EQ(trust.vf, 3U);
  EXPECT_EQ(trust.setting, 0U);
  const auto mac = value<ifla_vf_mac>(setting(messages[1], IFLA_VF_MAC));
  EXPECT_EQ(mac.vf, 3U);
  EXPECT_EQ(std::memcmp(mac.mac, "\1\2\3\4\5\6", 6), 0);
  const auto vlan = value<ifla_vf_vlan>(setting(messages[2], IFLA_VF_VLAN));
  EXPECT_EQ(vlan.vf, 3U);
  EXPECT_EQ(vlan.vlan, 100U);
  EXPECT_EQ(vlan.qos, 5U);
  const auto rate = value<ifla_vf_rate>(setting(messages[3], IFLA_VF_RATE));
  EXPECT_EQ(rate.vf, 3U);
  EXPECT_EQ(rate.min_tx_rate, 10U);
  EXPECT_EQ(rate.max_tx_rate, 1000U);
  const auto spoof = value<ifla_vf_spoofchk>(setting(messages[4], IFLA_VF_SPOOFCHK));
  EXPECT_EQ(spoof.vf, 3U);
  EXPECT_EQ(spoof.setting, 1U);
  const auto state = value<ifla_vf_link_state>(setting(messages[5], IFLA_VF_LINK_STATE));
  EXPECT_EQ(state.vf, 3U);
  EXPECT_EQ(state.link_state, std::uint32_t{IFLA_VF_LINK_STATE_DISABLE});
  EXPECT_TRUE(vf_changes(7, 3, {}).empty());
}

TEST(LinkMessagesTest, ServiceTagsNeedTheListOfVlans) {
  const auto messages = vf_changes(7, 3, {.vlan = Vlan{100, 5, 0x88a8}});
  ASSERT_EQ(messages.size(), 1U);
  const auto vlan =
      value<ifla_vf_vlan_info>(find(setting(messages[0], IFLA_VF_VLAN_LIST), IFLA_VF_VLAN_INFO));
  EXPECT_EQ(vlan.vf, 3U);
  EXPECT_EQ(vlan.vlan, 100U);
  EXPECT_EQ(vlan.qos, 5U);
  EXPECT_EQ(vlan.vlan_proto, htons(0x88a8));
}

TEST(LinkMessagesTest, ALinkThatIsUpIsRenamedWhileItIsDown) {
  const auto steps = [](const LinkChange& change, bool is_up) {
    std::string out;
    for (const Message& message : link_changes(9, change, is_up)) {
      EXPECT_EQ(link(message).ifi_index, 9);
      if (const rtattr* name = find(message, IFLA_IFNAME)) {
        out += std::string("name ") + static_cast<const char*>(RTA_DATA(name)) + ", ";
      } else if (const rtattr* mtu = find(message, IFLA_MTU)) {
        out += "mtu " + std::to_string(value<std::uint32_t>(mtu)) + ", ";
      } else if (const rtattr* mac = find(message, IFLA_ADDRESS)) {
        out += "mac " + to_text(value<Mac>(mac)) + ", ";
      } else if (const rtattr* alias = find(message, IFLA_IFALIAS)) {
        out += "alias '" +
               std::string(static_cast<const char*>(RTA_DATA(alias)), RTA_PAYLOAD(alias)) + "', ";
      } else {
        EXPECT_EQ(link(message).ifi_change, unsigned{IFF_UP});
        out += (link(message).ifi_flags & IFF_UP) != 0 ? "up, " : "down, ";
      }
    }
    return out;
  };
  EXPECT_EQ(steps({.name = "eth3"}, true), "down, name eth3, up, ");
  EXPECT_EQ(steps({.name = "eth3"}, false), "name eth3, ");
  EXPECT_EQ(steps({.name = "eth3", .up = false}, true), "down, name eth3, down, ");
  EXPECT_EQ(steps({.name = "eth3", .mtu = 1500, .mac = Mac{2, 0, 0, 0, 0, 1}, .up = true}, false),
            "name eth3, mtu 1500, mac 02:00:00:00:00:01, up, ");
  EXPECT_EQ(steps({.alias = "uplink"}, true), "alias 'uplink', ");
  EXPECT_EQ(steps({.alias = ""}, true), "alias '', ");
  EXPECT_EQ(steps({}, true), "");
}

/// The kernel's answer, as rtnl_fill_vfinfo lays it out.
class Answer {
 public:
  Answer() {
    nlmsghdr header{};
    header.nlmsg_type = RTM_NEWLINK;
    append(&header, sizeof header);
    const ifinfomsg info{};
    append(&info, sizeof info);
  }
  std::size_t open(unsigned short type) {
    const std::size_t at = bytes_.size();
    const rtattr header{0, type};
    append(&header, sizeof header);
    return at;
  }
  void close(std::size_t at) {
    reinterpret_cast<rtattr*>(bytes_.data() + at)->rta_len =
        static_cast<unsigned short>(bytes_.size() - at);
  }
  template <typename T>
  void put(unsigned short type, const T& value) {
    const std::size_t at = open(type);
    append(&value, sizeof value);
    close(at);
    bytes_.resize(RTA_ALIGN(bytes_.size()));
  }
  const nlmsghdr& message() {
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_len = static_cast<unsigned>(bytes_.size());
    return *header;
  }

 private:
  void append(const void* data, std::size_t size) {
    const auto* from = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  std::vector<char> bytes_;
};

TEST(ParseVfTest, TheAskedOneOfMany) {
  Answer answer;
  answer.put(IFLA_MTU, std::uint32_t{1500});
  const auto list = answer.open(IFLA_VFINFO_LIST);
  for (std::uint32_t vf = 0; vf < 3; ++vf) {
    const auto info = answer.open(IFLA_VF_INFO);
    answer.put(IFLA_VF_MAC, ifla_vf_mac{vf, {2, 0, 0, 0, 0, static_cast<unsigned char>(vf)}});
    answer.put(IFLA_VF_VLAN, ifla_vf_vlan{vf, 100 + vf, 0});
    answer.put(IFLA_VF_TX_RATE, ifla_vf_tx_rate{vf, 7});
    answer.put(IFLA_VF_RATE, ifla_vf_rate{vf, vf, 10 * vf});
    answer.put(IFLA_VF_SPOOFCHK, ifla_vf_spoofchk{vf, 1});
    answer.put(IFLA_VF_LINK_STATE, ifla_vf_link_state{vf, IFLA_VF_LINK_STATE_ENABLE});
    answer.put(IFLA_VF_TRUST, ifla_vf_trust{vf, UINT32_MAX});  // not known
    const auto vlans = answer.open(IFLA_VF_VLAN_LIST);
    answer.put(IFLA_VF_VLAN_INFO, ifla_vf_vlan_info{vf, 100 + vf, 3, htons(0x88a8)});
    answer.close(vlans);
    answer.close(info);
  }
  answer.close(list);
  EXPECT_EQ(parse_vf(answer.message(), 2), (VfSettings{.mac = Mac{2, 0, 0, 0, 0, 2},
                                                       .vlan = Vlan{102, 3, 0x88a8},
                                                       .rate = Rate{2, 20},
                                                       .spoof_check = true,
                                                       .trust = std::nullopt,
                                                       .link_state = IFLA_VF_LINK_STATE_ENABLE}));
  EXPECT_FALSE(parse_vf(answer.message(), 3));
}

TEST(ParseVfTest, OldKernelsAndShortAttributes) {
  Answer answer;
  const auto list = answer.open(IFLA_VFINFO_LIST);
  const auto info = answer.open(IFLA_VF_INFO);
  answer.put(IFLA_VF_MAC, ifla_vf_mac{0, {2}});
  answer.put(IFLA_VF_VLAN, ifla_vf_vlan{0, 5, 1});
  answer.put(IFLA_VF_SPOOFCHK, std::uint32_t{0});  // half of it
  answer.close(info);
  answer.close(list);
  EXPECT_EQ(parse_vf(answer.message(), 0), (VfSettings{.mac = Mac{2}, .vlan = Vlan{5, 1, 0x8100}}));
  Answer none;
  EXPECT_FALSE(parse_vf(none.message(), 0));
}

}  // namespace
}  // namespace drasriov::vf_state
