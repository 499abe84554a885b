// SPDX-License-Identifier: Apache-2.0
#include "host/app/control.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "host/app/discover.hpp"
#include "host/publish/at_rest.hpp"

namespace drasriov::app {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLongestScanRetry{60'000};

}  // namespace

Control::Control(ControlSettings settings, std::span<module::Discovery* const> modules,
                 telemetry::Log& log, telemetry::Metrics& metrics, Output output)
    : settings_(std::move(settings)),
      modules_(modules.begin(), modules.end()),
      log_(log),
      metrics_(metrics),
      output_(std::move(output)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      inventory_(std::make_shared<const device::Inventory>(0, std::vector<device::Device>{},
                                                           std::vector<device::Problem>{})),
      scan_retry_(settings_.scan_retry, kLongestScanRetry) {}

Control::~Control() {
  stop();
}

Status Control::start() {
  if (!wake_) return errno_error(errno, "eventfd", "raise the limit of open files");
  thread_ = std::thread([this] { run(); });
  return {};
}

void Control::wait_for_first_scan() {
  const MutexLock lock(mutex_);
  while (!has_scanned_) scanned_.wait(mutex_);
}

void Control::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

device::InventorySnapshot Control::inventory() const {
  const MutexLock lock(mutex_);
  return inventory_;
}

std::shared_ptr<const NodeView> Control::view() const {
  const MutexLock lock(mutex_);
  return view_;
}

void Control::rescan() noexcept {
  scan_wanted_ = true;
  wake();
}

void Control::set_filters(std::vector<policy::ResourceFilter> filters,
                          std::vector<policy::NodeFilters::LeftOut> invalid) {
  {
    const MutexLock lock(mutex_);
    inputs_.filters = std::move(filters);
    inputs_.invalid_filters = std::move(invalid);
    inputs_changed_ = true;
  }
  wake();
}

void Control::set_node_labels(policy::Labels labels) {
  {
    const MutexLock lock(mutex_);
    if (inputs_.labels == labels)
      return;  // kubelet writes its heartbeat into the object every few seconds
    inputs_.labels = std::move(labels);
    inputs_changed_ = true;
  }
  wake();
}

void Control::set_held(claim::HeldSnapshot held) {
  {
    const MutexLock lock(mutex_);
    inputs_.held = std::move(held);
    inputs_changed_ = true;
  }
  wake();
}

void Control::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      ::write(wake_.get(), &one, sizeof(one));  // EAGAIN: it is awake already
}

void Control::run() {
  scan();
  {
    const MutexLock lock(mutex_);
    has_scanned_ = true;
  }
  scanned_.notify_all();
  output_due_ = Clock::now();
  while (!stopping_) {
    const auto now = Clock::now();
    if (scan_wanted_.exchange(false) || (scan_due_ && *scan_due_ <= now)) scan();
    bool changed = false;
    bool first = false;
    {
      const MutexLock lock(mutex_);
      changed = std::exchange(inputs_changed_, false);
      first = view_ == nullptr;  // output() waits for the last input by itself
    }
    if (changed) output_within(first ? milliseconds(0) : settings_.debounce);
    if (output_due_ && *output_due_ <= Clock::now()) output();
    wait_until_due();
  }
}

void Control::wait_until_due() {
  auto timeout = milliseconds(-1);
  for (const auto& due : {output_due_, scan_due_}) {
    if (!due) continue;
    const auto left =
        std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*due - Clock::now()));
    timeout = timeout < milliseconds(0) ? left : std::min(timeout, left);
  }
  pollfd entry{wake_.get(), POLLIN, 0};
  (void)::poll(&entry, 1, static_cast<int>(timeout.count()));
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof(count));
}

void Control::output_within(milliseconds delay) {
  const auto due = Clock::now() + delay;
  output_due_ = output_due_ ? std::min(*output_due_, due) : due;
}

void Control::scan() {
  module::Call call;
  call.deadline = Deadline::after(settings_.scan_budget);
  call.id = "scan";
  const auto begin = Clock::now();
  auto found = discover(modules_, call);
  metrics_.histogram_observe("drasriov_scan_seconds", {},
                             std::chrono::duration<double>(Clock::now() - begin).count());
  if (!found) {
    metrics_.counter_add("drasriov_scan_failures_total", {}, 1);
    log_.error(found.error().with_context("the devices stay as they were last seen"));
    if (settings_.scan_failed) settings_.scan_failed(found.error());
    scan_due_ = Clock::now() + scan_retry_.next();
    return;
  }
  scan_due_.reset();
  scan_retry_.reset();

  const auto before = inventory();
  auto now = std::make_shared<const device::Inventory>(
      before->version() + 1, std::move(found->devices), std::move(found->problems));
  if (before->version() > 0 && now->same_content(*before)) return;
  for (const device::Problem& problem : now->problems()) {
    if (std::ranges::find(before->problems(), problem) != before->problems().end()) continue;
    log_.warning(problem.object + ": " + problem.message);
  }
  metrics_.gauge_set("drasriov_devices_found", {}, static_cast<double>(now->devices().size()));
  {
    const MutexLock lock(mutex_);
    inventory_ = std::move(now);
  }
  output_within(milliseconds(0));  // discovery has waited for the end of the burst already
}

void Control::output() {
  output_due_.reset();
  const auto view = std::make_shared<NodeView>();
  std::shared_ptr<const NodeView> before;
  {
    const MutexLock lock(mutex_);
    if (!inputs_.filters || !inputs_.labels || !inputs_.held || inventory_->version() == 0) return;
    view->inventory = inventory_;
    view->held = inputs_.held;
    view->filters = policy::filters_of_node(*inputs_.filters, *inputs_.labels);
    view->filters.invalid = inputs_.invalid_filters;
    before = std::exchange(view_, view);
  }
  metrics_.gauge_set("drasriov_devices_held", {}, static_cast<double>(view->held->size()));
  // Most claims take a device that stays as it is: then there is nothing to publish, and a claim
  // costs no pass over all devices.
  if (before && before->inventory == view->inventory && before->filters == view->filters &&
      publish::same_at_rest(*view->inventory, *before->held, *view->held)) {
    return;
  }
  output_(*view);
}

}  // namespace drasriov::app
