// SPDX-License-Identifier: Apache-2.0
#include "link_messages.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace drasriov::vf_state {
namespace {

/// RTM_GETLINK or RTM_SETLINK with its header.
Message begin(int type, int index, unsigned flags = 0, unsigned change = 0) {
  Message message(nlmsg_alloc_simple(type, type == RTM_GETLINK ? 0 : NLM_F_ACK));
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  if (!message || nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) < 0) {
    throw std::bad_alloc();
  }
  return message;
}

void put(nl_msg* message, int type, const void* data, std::size_t size) {
  if (nla_put(message, type, static_cast<int>(size), data) < 0) {
    throw std::bad_alloc();
  }
}

class Nest {
 public:
  Nest(nl_msg* message, int type) : message_(message), start_(nla_nest_start(message, type)) {
    if (start_ == nullptr) {
      throw std::bad_alloc();
    }
  }
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;
  ~Nest() { nla_nest_end(message_, start_); }

 private:
  nl_msg* message_;
  nlattr* start_;
};

template <typename Setting>
Message vf_change(int pf_index, int type, const Setting& setting) {
  Message message = begin(RTM_SETLINK, pf_index);
  const Nest list(message.get(), IFLA_VFINFO_LIST);
  const Nest info(message.get(), IFLA_VF_INFO);
  put(message.get(), type, &setting, sizeof setting);
  return message;
}

/// The VLAN attribute has two forms; only the newer one knows 802.1ad, and not every kernel that is
/// in use knows the newer one.
Message vlan_change(int pf_index, std::uint32_t vf, const Vlan& vlan) {
  if (vlan.protocol == ETH_P_8021Q) {
    return vf_change(pf_index, IFLA_VF_VLAN, ifla_vf_vlan{vf, vlan.id, vlan.qos});
  }
  const ifla_vf_vlan_info setting{vf, vlan.id, vlan.qos, htons(vlan.protocol)};
  Message message = begin(RTM_SETLINK, pf_index);
  const Nest list(message.get(), IFLA_VFINFO_LIST);
  const Nest info(message.get(), IFLA_VF_INFO);
  const Nest vlans(message.get(), IFLA_VF_VLAN_LIST);
  put(message.get(), IFLA_VF_VLAN_INFO, &setting, sizeof setting);
  return message;
}

template <typename Setting>
std::optional<Setting> read(const nlattr* attribute) {
  Setting setting;
  if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof setting)) {
    return std::nullopt;
  }
  std::memcpy(&setting, nla_data(attribute), sizeof setting);
  return setting;
}

std::optional<Vlan> read_vlan(nlattr* const* attributes) {
  if (const nlattr* list = attributes[IFLA_VF_VLAN_LIST]; list != nullptr) {
    const auto first = read<ifla_vf_vlan_info>(
        nla_find(static_cast<const nlattr*>(nla_data(list)), nla_len(list), IFLA_VF_VLAN_INFO));
    if (first) {
      return Vlan{first->vlan, first->qos, ntohs(first->vlan_proto)};
    }
  }
  const auto vlan = read<ifla_vf_vlan>(attributes[IFLA_VF_VLAN]);
  return vlan ? std::optional(Vlan{vlan->vlan, vlan->qos}) : std::nullopt;
}

/// A driver that does not know a setting reports -1 (rtnetlink.c, rtnl_fill_vfinfo).
template <typename Setting>
std::optional<bool> read_switch(const nlattr* attribute) {
  const auto value = read<Setting>(attribute);
  return value && value->setting != UINT32_MAX ? std::optional(value->setting != 0) : std::nullopt;
}

VfSettings read_settings(nlattr* const* attributes) {
  VfSettings settings;
  if (const auto mac = read<ifla_vf_mac>(attributes[IFLA_VF_MAC])) {
    settings.mac.emplace();
    std::copy_n(mac->mac, settings.mac->size(), settings.mac->begin());
  }
  settings.vlan = read_vlan(attributes);
  if (const auto rate = read<ifla_vf_rate>(attributes[IFLA_VF_RATE])) {
    settings.rate = {rate->min_tx_rate, rate->max_tx_rate};
  }
  settings.spoof_check = read_switch<ifla_vf_spoofchk>(attributes[IFLA_VF_SPOOFCHK]);
  settings.trust = read_switch<ifla_vf_trust>(attributes[IFLA_VF_TRUST]);
  if (const auto link = read<ifla_vf_link_state>(attributes[IFLA_VF_LINK_STATE])) {
    settings.link_state = link->link_state;
  }
  return settings;
}

}  // namespace

Message vf_query(int pf_index) {
  Message message = begin(RTM_GETLINK, pf_index);
  const std::uint32_t wanted = RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS;
  put(message.get(), IFLA_EXT_MASK, &wanted, sizeof wanted);
  return message;
}

std::vector<Message> vf_changes(int pf_index, std::uint32_t vf, const VfSettings& changes) {
  std::vector<Message> messages;
  // Trust first: without it some drivers refuse to change the address.
  if (changes.trust) {
    messages.push_back(
        vf_change(pf_index, IFLA_VF_TRUST, ifla_vf_trust{vf, *changes.trust ? 1U : 0U}));
  }
  if (changes.mac) {
    ifla_vf_mac setting{};
    setting.vf = vf;
    std::ranges::copy(*changes.mac, setting.mac);
    messages.push_back(vf_change(pf_index, IFLA_VF_MAC, setting));
  }
  if (changes.vlan) {
    messages.push_back(vlan_change(pf_index, vf, *changes.vlan));
  }
  if (changes.rate) {
    messages.push_back(
        vf_change(pf_index, IFLA_VF_RATE, ifla_vf_rate{vf, changes.rate->min, changes.rate->max}));
  }
  if (changes.spoof_check) {
    messages.push_back(vf_change(pf_index, IFLA_VF_SPOOFCHK,
                                 ifla_vf_spoofchk{vf, *changes.spoof_check ? 1U : 0U}));
  }
  if (changes.link_state) {
    messages.push_back(
        vf_change(pf_index, IFLA_VF_LINK_STATE, ifla_vf_link_state{vf, *changes.link_state}));
  }
  return messages;
}

std::vector<Message> link_changes(int index, const LinkChange& change, bool is_up) {
  std::vector<Message> messages;
  const bool down_for_rename = change.name && is_up;
  if (down_for_rename) {
    messages.push_back(begin(RTM_SETLINK, index, 0, IFF_UP));
  }
  if (change.name) {
    messages.push_back(begin(RTM_SETLINK, index));
    put(messages.back().get(), IFLA_IFNAME, change.name->c_str(), change.name->size() + 1);
  }
  if (change.mtu) {
    messages.push_back(begin(RTM_SETLINK, index));
    put(messages.back().get(), IFLA_MTU, &*change.mtu, sizeof *change.mtu);
  }
  if (change.mac) {
    messages.push_back(begin(RTM_SETLINK, index));
    put(messages.back().get(), IFLA_ADDRESS, change.mac->data(), change.mac->size());
  }
  if (change.alias) {
    messages.push_back(begin(RTM_SETLINK, index));
    put(messages.back().get(), IFLA_IFALIAS, change.alias->data(), change.alias->size());
  }
  if (change.up || down_for_rename) {
    const bool up = change.up.value_or(true);
    messages.push_back(begin(RTM_SETLINK, index, up ? IFF_UP : 0, IFF_UP));
  }
  return messages;
}

std::optional<VfSettings> parse_vf(const nlmsghdr& answer, std::uint32_t vf) {
  auto* header = const_cast<nlmsghdr*>(&answer);  // libnl's readers take no const
  const nlattr* list = nlmsg_find_attr(header, sizeof(ifinfomsg), IFLA_VFINFO_LIST);
  if (answer.nlmsg_type != RTM_NEWLINK || list == nullptr) {
    return std::nullopt;
  }
  int left = 0;
  nlattr* info = nullptr;
  nla_for_each_nested(info, const_cast<nlattr*>(list), left) {
    std::array<nlattr*, IFLA_VF_MAX + 1> attributes{};
    if (nla_parse_nested(attributes.data(), IFLA_VF_MAX, info, nullptr) < 0) {
      continue;
    }
    const auto mac = read<ifla_vf_mac>(attributes[IFLA_VF_MAC]);
    if (mac && mac->vf == vf) {
      return read_settings(attributes.data());
    }
  }
  return std::nullopt;
}

}  // namespace drasriov::vf_state
