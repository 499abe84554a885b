// SPDX-License-Identifier: Apache-2.0
#include "vf_state.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

namespace drasriov::vf_state {
namespace {

using Clock = sdk::Call::Clock;

bool is_pci_address(std::string_view text) {
  return !text.empty() && std::ranges::count(text, '.') == 1 &&
         std::ranges::all_of(
             text, [](unsigned char c) { return std::isxdigit(c) != 0 || c == ':' || c == '.'; });
}

/// Asks every millisecond at first, then less and less often up to every 20 ms. The kernel gives an
/// interface back 40–170 ms after the last user of its network namespace has gone.
template <typename Condition>
bool poll_until(const sdk::Call& call, Clock::time_point deadline, Condition condition) {
  constexpr Clock::duration kLongest = std::chrono::milliseconds(20);
  Clock::duration pause = std::chrono::milliseconds(1);
  while (!condition()) {
    const auto now = Clock::now();
    if (now >= deadline || !call.check()) {
      return false;
    }
    std::this_thread::sleep_for(std::min(pause, deadline - now));
    pause = std::min(2 * pause, kLongest);
  }
  return true;
}

}  // namespace

sdk::Result<std::unique_ptr<VfState>> VfState::create(sdk::Host host, std::string_view /*instance*/,
                                                      const sdk::Config& config) {
  const auto settings = Settings::read(config);
  if (!settings) {
    return settings.error();
  }
  std::unique_ptr<Links> links;
  if (host.sys_is_live()) {
    links = std::make_unique<Rtnetlink>();
  } else {
    links = std::make_unique<NoLinks>();
  }
  return std::make_unique<VfState>(host, *settings, std::move(links));
}

bool VfState::handles(const sdk::BindingRequest& request) {
  if (!request.device().fact(DRASRIOV_FACT_VF_INDEX)) {
    return false;
  }
  if (settings_.every_claim || !request.netconf_json().empty()) {
    return true;
  }
  const auto config = sdk::Config::parse(request.config_json());
  const auto driver = config ? config->string("driver") : config.error();
  return driver && *driver && !(*driver)->empty();
}

sdk::Result<VfState::Vf> VfState::vf_of(const sdk::BindingRequest& request) const {
  const auto address = request.device().fact(DRASRIOV_FACT_PCI_ADDRESS);
  const auto number = request.device().fact(DRASRIOV_FACT_VF_INDEX);
  std::uint32_t index = 0;
  if (!address || !is_pci_address(*address) || !number ||
      std::from_chars(number->data(), number->data() + number->size(), index).ec != std::errc()) {
    return sdk::Error(sdk::Code::kInvalidArgument,
                      std::string(request.device().name()) + " is no virtual function");
  }
  return Vf{std::string(*address), index,
            std::string(request.device().fact(DRASRIOV_FACT_PF_NETDEV).value_or("")),
            VfSysfs(sys_, *address)};
}

sdk::Result<std::string> VfState::snapshot(const sdk::Call& /*call*/,
                                           const sdk::BindingRequest& request) {
  const auto vf = vf_of(request);
  if (!vf) {
    return vf.error();
  }
  Snapshot snapshot{vf->sysfs.incarnation(), vf->sysfs.driver(), std::nullopt, {}};
  if (const auto found = vf->sysfs.netdev()) {
    snapshot.netdev = found->netdev;
  }
  if (const auto pf = vf->sysfs.pf_index(vf->pf_netdev)) {
    const auto settings = links_->vf(*pf, vf->index);
    if (!settings) {
      return settings.error().with_context(vf->address);
    }
    if (*settings) {
      snapshot.settings = as_set_by_hand(**settings, snapshot.netdev);
    }
  }
  return snapshot.to_text();
}

sdk::Status VfState::prepare(const sdk::Call& /*call*/, const sdk::BindingRequest& /*request*/,
                             std::string_view /*snapshot*/, sdk::PrepareSink& /*sink*/) {
  return {};
}

sdk::Status VfState::settle(const sdk::Call& call, const sdk::BindingRequest& request,
                            std::string_view snapshot) {
  return restore(call, request, snapshot);
}

sdk::Status VfState::unprepare(const sdk::Call& call, const sdk::BindingRequest& request,
                               std::string_view snapshot, std::string_view /*state*/) {
  return restore(call, request, snapshot);
}

sdk::Status VfState::restore(const sdk::Call& call, const sdk::BindingRequest& request,
                             std::string_view snapshot_text) {
  const auto vf = vf_of(request);
  if (!vf) {
    return vf.error();
  }
  const auto snapshot = Snapshot::parse(snapshot_text);
  if (!snapshot) {
    return snapshot.error();
  }
  const auto left = [&] { return vf->sysfs.incarnation() != snapshot->incarnation; };
  if (left()) {
    host_.log(call).warning("the VF is gone or another one: its settings are left as they are",
                            {{"device", request.device().name()}});
    return {};
  }
  // The interface of another driver is none of ours: a claim that is still prepared with vfio-pci,
  // detached from a pod.
  const bool ours = snapshot->netdev && vf->sysfs.driver() == snapshot->driver;
  sdk::Status netdev;
  if (ours) {
    netdev = await_netdev(call, *vf, snapshot->netdev->name);
  }
  // After the interface's return, because only it tells whether the PF's word for its address is
  // one that the VF drew; before it is put back, because a PF refuses a VF any other address than
  // the one that is set there.
  const auto settings = restore_settings(call, *vf, *snapshot);
  if (ours && netdev) {
    netdev = restore_netdev(call, *vf, *snapshot);
  }
  if (left()) {
    return {};
  }
  return netdev ? settings : netdev;
}

sdk::Status VfState::restore_settings(const sdk::Call& call, const Vf& vf,
                                      const Snapshot& snapshot) {
  const VfSettings& wanted = snapshot.settings;
  const auto pf = vf.sysfs.pf_index(vf.pf_netdev);
  if (wanted.empty() || !pf) {
    return {};
  }
  const auto now = links_->vf(*pf, vf.index);
  if (!now) {
    return now.error().with_context(vf.address);
  }
  if (!*now) {
    return {};
  }
  const auto found = vf.sysfs.netdev();
  const auto netdev = found ? std::optional(found->netdev) : std::nullopt;
  // What the PF already said at the snapshot stays, even if only now it can be seen that it was set:
  // a VF may take over such an address and go on saying that its own is random.
  // One that was set at the interface since is taken back at the PF too: if it was set there, the PF
  // refuses the one of before.
  const bool is_chosen = netdev && netdev->chosen_mac;
  const VfSettings set_since =
      as_set_by_hand(is_chosen ? **now : as_set_by_hand(**now, netdev), snapshot.netdev);
  const VfSettings changes = difference(set_since, wanted);
  if (changes.empty()) {
    return {};
  }
  if (auto set = links_->set_vf(*pf, vf.index, changes); !set) {
    return set.error().with_context(vf.address + ": put back its settings at PF " + vf.pf_netdev);
  }
  host_.log(call).info("settings of the VF put back", {{"device", vf.address}});
  return {};
}

sdk::Status VfState::await_netdev(const sdk::Call& call, const Vf& vf, const std::string& name) {
  const auto deadline = std::min(call.deadline(), Clock::now() + settings_.timeout);
  const auto is_back = [&] { return vf.sysfs.netdev().has_value() || !vf.sysfs.exists(); };
  if (poll_until(call, deadline, is_back)) {
    return {};
  }
  if (auto wanted_still = call.check(); !wanted_still) {
    return wanted_still;
  }
  return sdk::Error(sdk::Code::kUnavailable,
                    vf.address + ": its interface " + name +
                        " has not come back to the host: it is in another network namespace",
                    "it comes back when the last process of that namespace has ended and nothing "
                    "keeps it (ip netns, a mount)");
}

sdk::Status VfState::restore_netdev(const sdk::Call& call, const Vf& vf, const Snapshot& snapshot) {
  const Netdev& wanted = *snapshot.netdev;
  const auto found = vf.sysfs.netdev();
  if (!found) {
    return {};
  }
  const auto deadline = std::min(call.deadline(), Clock::now() + settings_.timeout);
  LinkChange change = difference(found->netdev, wanted);
  if (wanted.random_mac && snapshot.settings.mac.value_or(Mac{}) != Mac{}) {
    change.mac.reset();  // the PF would refuse it: it has an address for the VF
  }
  if (change.empty()) {
    return {};
  }
  // Another VF may hold the name for a moment: the kernel gave it away while this one had no
  // interface, and it is put back as well. It may wait for the name that this one holds: so that is
  // given up.
  std::string name = found->netdev.name;
  bool is_up = found->netdev.up;
  sdk::Status set;
  const auto is_taken = [&] { return !set && set.error().code() == sdk::Code::kAlreadyExists; };
  (void)poll_until(call, deadline, [&] {
    set = links_->set_link(found->index, change, is_up);
    is_up = change.up.value_or(is_up);
    const std::string aside = "dev" + std::to_string(found->index);
    if (is_taken() && name != aside && links_->set_link(found->index, {.name = aside}, is_up)) {
      name = aside;
    }
    return !is_taken();
  });
  if (is_taken()) {
    // A VF that works under another name is better than a pod that cannot end.
    host_.log(call).warning("the interface keeps another name: its own is taken",
                            {{"device", vf.address}, {"interface", name}, {"taken", wanted.name}});
    change.name.reset();
    set = links_->set_link(found->index, change, is_up);
  }
  if (!set) {
    return set.error().with_context(vf.address + ": put back interface " + wanted.name);
  }
  host_.log(call).info(
      "interface put back",
      {{"device", vf.address}, {"interface", wanted.name}, {"before", found->netdev.name}});
  return {};
}

}  // namespace drasriov::vf_state
