// SPDX-License-Identifier: Apache-2.0
//
// RuntimeNri: the module, capability runtime-hooks/1. Thin: it reads the configuration and keeps a
// RuntimeLink between start() and stop().
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime_link.hpp"
#include "settings.hpp"

namespace drasriov::runtime_nri {

class RuntimeNri {
 public:
  static constexpr std::string_view config_schema = kConfigSchema;

  [[nodiscard]] static sdk::Result<std::unique_ptr<RuntimeNri>> create(sdk::Host host,
                                                                       std::string_view instance,
                                                                       const sdk::Config& config);

  void set_events(sdk::RuntimeEvents events) { events_.emplace(events); }
  /// As the runtime told it last, 0 before it did.
  [[nodiscard]] std::chrono::nanoseconds request_timeout() {
    return std::chrono::nanoseconds(request_timeout_ns_.load());
  }

  /// A runtime that is not there is no error: it is waited for.
  [[nodiscard]] sdk::Status start();
  void stop();

 private:
  RuntimeNri(sdk::Host host, Settings settings) : host_(host), settings_(std::move(settings)) {}

  sdk::Host host_;
  Settings settings_;
  std::optional<sdk::RuntimeEvents> events_;
  std::atomic<std::int64_t> request_timeout_ns_ = 0;
  std::unique_ptr<RuntimeLink> link_;  // between start and stop
};

}  // namespace drasriov::runtime_nri
