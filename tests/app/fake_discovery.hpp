// SPDX-License-Identifier: Apache-2.0
//
// FakeDiscovery: a discovery module whose answers the test sets. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "host/base/thread_annotations.hpp"
#include "host/module/interfaces.hpp"

namespace drasriov::app {

class FakeDiscovery final : public module::Discovery {
 public:
  explicit FakeDiscovery(std::string instance) : instance_(std::move(instance)) {}

  [[nodiscard]] const std::string& instance() const noexcept override { return instance_; }
  [[nodiscard]] Result<Scan> scan(const module::Call& /*call*/) override {
    const MutexLock lock(mutex_);
    ++scans_;
    scanned_.notify_all();
    if (error_) return *error_;
    return scan_;
  }
  [[nodiscard]] Status enrich(const module::Call& /*call*/, device::Device& device) override {
    return enricher ? enricher(device) : Status();
  }
  [[nodiscard]] Status watch(std::function<void()> /*changed*/) override {
    return Error(Code::kUnimplemented, "nothing to watch");
  }

  void answer(Scan scan) {
    const MutexLock lock(mutex_);
    scan_ = std::move(scan);
    error_.reset();
  }
  void fail(Error error) {
    const MutexLock lock(mutex_);
    error_ = std::move(error);
  }

  /// Until so many scans have begun.
  void wait_for_scans(int count) {
    const MutexLock lock(mutex_);
    while (scans_ < count) scanned_.wait(mutex_);
  }

  std::function<Status(device::Device&)> enricher;  ///< set before use

 private:
  std::string instance_;
  Mutex mutex_;
  CondVar scanned_;
  int scans_ DRASRIOV_GUARDED_BY(mutex_) = 0;
  Scan scan_ DRASRIOV_GUARDED_BY(mutex_);
  std::optional<Error> error_ DRASRIOV_GUARDED_BY(mutex_);
};

inline device::Device vf(std::string name) {
  device::Device device;
  device.name = std::move(name);
  device.kind = "vf";
  return device;
}

}  // namespace drasriov::app
