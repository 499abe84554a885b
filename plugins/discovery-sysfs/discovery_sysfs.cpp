// SPDX-License-Identifier: Apache-2.0
#include "discovery_sysfs.hpp"

#include <algorithm>
#include <cstddef>
#include <system_error>
#include <utility>

#include "devlink.hpp"
#include "report.hpp"
#include "tree_events.hpp"
#include "uevents.hpp"

namespace drasriov::discovery_sysfs {
namespace {

constexpr std::string_view kOverflowMetric = "uevent_overflows_total";

std::string with_hint(std::string message, std::string_view hint) {
  if (!hint.empty()) {
    message.append(" — hint: ").append(hint);
  }
  return message;
}

}  // namespace

sdk::Result<std::unique_ptr<DiscoverySysfs>> DiscoverySysfs::create(sdk::Host host,
                                                                    std::string_view /*instance*/,
                                                                    const sdk::Config& config) {
  const auto settings = Settings::read(config);
  if (!settings) {
    return settings.error();
  }
  std::string sys_root(host.root(sdk::Root::kSys));
  if (sys_root.empty()) {
    return sdk::Error(sdk::Code::kFailedPrecondition, "the host names no sysfs root",
                      "this module needs a host with service paths/1");
  }
  return std::unique_ptr<DiscoverySysfs>(new DiscoverySysfs(host, *settings, std::move(sys_root)));
}

sdk::Result<std::unique_ptr<EventSource>> DiscoverySysfs::open_source() const {
  const auto widen = [](auto source) -> sdk::Result<std::unique_ptr<EventSource>> {
    if (!source) {
      return source.error();
    }
    return std::unique_ptr<EventSource>(*std::move(source));
  };
  return host_.sys_is_live() ? widen(UeventSource::open(settings_.receive_buffer))
                             : widen(TreeEvents::open(sys_root_));
}

sdk::Status DiscoverySysfs::start() {
  if (auto source = open_source()) {
    watcher_ = std::make_unique<Watcher>(*std::move(source),
                                         Debouncer(settings_.debounce, settings_.debounce_cap));
    watch_error_.reset();
  } else {
    watch_error_ = source.error();
  }
  if (host_.sys_is_live()) {
    // A captured tree is another machine's: this one's devlink has nothing to say about it.
    eswitch_ = std::make_unique<EswitchModes>(std::make_unique<DevlinkSource>(), [this] {
      if (watcher_) {
        watcher_->poke();
      }
    });
    eswitch_->start();
  }
  return {};
}

void DiscoverySysfs::stop() {
  eswitch_.reset();
  watcher_.reset();
}

sdk::Status DiscoverySysfs::watch(sdk::ChangeNotifier changed) {
  if (!watcher_) {
    return watch_error_.value_or(
        sdk::Error(sdk::Code::kFailedPrecondition, "watch before start of the module"));
  }
  return watcher_->start({
      .changed = changed,
      .overflow =
          [host = host_] {
            host.counter_add(kOverflowMetric);
            host.log().warning(
                "device events were lost: the receive buffer overflowed; all devices are scanned "
                "again. Raise receiveBufferBytes of this module when this is frequent");
          },
      .source_failed =
          [host = host_](int error_number) {
            host.log().error(
                "device events have ended: " + std::generic_category().message(error_number) +
                "; changes of devices are not seen until the driver is restarted");
          },
  });
}

sdk::Status DiscoverySysfs::scan(const sdk::Call& call, sdk::DeviceSink& sink) {
  const auto snapshot = PciScan(sys_root_).run([&call](std::string_view) { return call.check(); });
  if (!snapshot) {
    return snapshot.error();
  }
  for (const Problem& problem : snapshot->problems) {
    sink.problem(problem.object, problem.message);
  }
  const auto modes = eswitch_modes(call, *snapshot, sink);
  for (std::size_t i = 0; i < snapshot->pfs.size(); ++i) {
    sink.device(describe(snapshot->pfs[i], modes[i], sys_root_));
  }
  for (const VirtualFunction& vf : snapshot->vfs) {
    sink.device(describe(vf, snapshot->pfs[vf.pf], modes[vf.pf], sys_root_));
  }
  host_.log(call).debug("scanned " + sys_root_,
                        {{"pfs", std::to_string(snapshot->pfs.size())},
                         {"vfs", std::to_string(snapshot->vfs.size())},
                         {"problems", std::to_string(snapshot->problems.size())}});
  return {};
}

std::vector<std::optional<EswitchMode>> DiscoverySysfs::eswitch_modes(const sdk::Call& call,
                                                                      const Snapshot& snapshot,
                                                                      sdk::DeviceSink& sink) {
  std::vector<EswitchModes::Answer> answers(snapshot.pfs.size());
  if (eswitch_) {
    std::vector<std::string> addresses;
    for (const PhysicalFunction& pf : snapshot.pfs) {
      addresses.push_back(pf.address);
    }
    answers = eswitch_->ask(
        addresses,
        std::min(EswitchModes::Clock::now() + settings_.devlink_timeout, call.deadline()));
  }
  std::vector<std::optional<EswitchMode>> modes;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const EswitchModes::Answer& answer = answers[i];
    const std::string& address = snapshot.pfs[i].address;
    if (answer.late) {
      sink.problem(address,
                   with_hint(answer.mode ? "devlink has not answered in time; EswitchMode is the "
                                           "last one known"
                                         : "devlink has not answered in time; EswitchMode is what "
                                           "sysfs shows",
                             "nothing to do while its driver creates VFs or changes the mode: the "
                             "late answer starts another scan"));
    } else if (answer.error && answer.error->code() != sdk::Code::kUnimplemented) {
      sink.problem(address, with_hint("EswitchMode is what sysfs shows: " + answer.error->message(),
                                      answer.error->hint()));
    }
    modes.push_back(eswitch_mode(answer.mode, snapshot.pfs[i].eswitch));
    if (!modes.back()) {
      sink.problem(address,
                   with_hint("published without EswitchMode: phys_switch_id alone does not tell "
                             "legacy from switchdev",
                             "only devlink of the live machine knows"));
    }
  }
  return modes;
}

}  // namespace drasriov::discovery_sysfs
