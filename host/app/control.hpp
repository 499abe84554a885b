// SPDX-License-Identifier: Apache-2.0
//
// Control: the one thread that knows what this node has to offer. It scans the machine, combines
// the inventory with the filters, the node's labels and what claims hold, and hands the result on:
// devices for the slices, health for kubelet. Owned by app/. Inputs may come from any thread; the
// outputs are called from the control thread only.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "host/base/backoff.hpp"
#include "host/base/result.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/base/unique_fd.hpp"
#include "host/claim/claim_service.hpp"
#include "host/config/configuration.hpp"
#include "host/device/inventory.hpp"
#include "host/module/interfaces.hpp"
#include "host/policy/resource_filter.hpp"
#include "host/telemetry/log.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::app {

struct ControlSettings {
  std::string driver_name;
  config::Advertise advertise = config::Advertise::kAll;
  /// How long changes of filters, labels and claims are collected before they are acted on.
  std::chrono::milliseconds debounce{100};
  std::chrono::milliseconds scan_budget{30'000};
  /// After a scan that failed; see Backoff, up to a minute.
  std::chrono::milliseconds scan_retry{1000};
  /// Hears of each scan that failed, on the control thread; may be empty.
  std::function<void(const Error&)> scan_failed;
};

/// What the thread has worked out; each value is complete.
struct NodeView {
  device::InventorySnapshot inventory;
  claim::HeldSnapshot held;
  policy::NodeFilters filters;
};

class Control {
 public:
  using Output = std::function<void(const NodeView&)>;

  /// `modules`, `log` and `metrics` outlive this. `output` is called as soon as machine, filters,
  /// labels and held devices are all known (devices that lost their resource names at each restart
  /// of the driver would mislead the scheduler), and then after each change.
  Control(ControlSettings settings, std::span<module::Discovery* const> modules,
          telemetry::Log& log, telemetry::Metrics& metrics, Output output);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// The thread begins with a scan; the caller has other things to start meanwhile.
  [[nodiscard]] Status start();
  /// Until the first scan has ended, with devices or without. REQUIRES: start().
  void wait_for_first_scan() DRASRIOV_EXCLUDES(mutex_);
  void stop();

  /// The newest; never null. [any]
  [[nodiscard]] device::InventorySnapshot inventory() const DRASRIOV_EXCLUDES(mutex_);

  /// The machine may have changed: scan. [note]
  void rescan() noexcept;
  /// `invalid`: objects that could not be read; they only go into the view.
  void set_filters(std::vector<policy::ResourceFilter> filters,
                   std::vector<policy::NodeFilters::LeftOut> invalid = {})
      DRASRIOV_EXCLUDES(mutex_);
  void set_node_labels(policy::Labels labels) DRASRIOV_EXCLUDES(mutex_);
  void set_held(claim::HeldSnapshot held) DRASRIOV_EXCLUDES(mutex_);

  /// What was handed on last; nullptr before the first time.
  [[nodiscard]] std::shared_ptr<const NodeView> view() const DRASRIOV_EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Inputs {
    std::optional<std::vector<policy::ResourceFilter>> filters;
    std::vector<policy::NodeFilters::LeftOut> invalid_filters;
    std::optional<policy::Labels> labels;
    claim::HeldSnapshot held;  ///< null = not known yet
  };

  void run();
  void wait_until_due();
  void scan();
  void output();
  void output_within(std::chrono::milliseconds delay);
  void wake() noexcept;

  const ControlSettings settings_;
  const std::vector<module::Discovery*> modules_;
  telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  const Output output_;

  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> scan_wanted_{false};
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar scanned_;
  bool has_scanned_ DRASRIOV_GUARDED_BY(mutex_) = false;
  device::InventorySnapshot inventory_ DRASRIOV_GUARDED_BY(mutex_);
  Inputs inputs_ DRASRIOV_GUARDED_BY(mutex_);
  bool inputs_changed_ DRASRIOV_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const NodeView> view_ DRASRIOV_GUARDED_BY(mutex_);

  // Of the control thread.
  std::optional<Clock::time_point> output_due_;
  std::optional<Clock::time_point> scan_due_;
  Backoff scan_retry_;
};

}  // namespace drasriov::app
