// SPDX-License-Identifier: Apache-2.0
#include "runtime_nri.hpp"

#include <random>
#include <system_error>

namespace drasriov::runtime_nri {

sdk::Result<std::unique_ptr<RuntimeNri>> RuntimeNri::create(sdk::Host host,
                                                            std::string_view /*instance*/,
                                                            const sdk::Config& config) {
  auto settings = Settings::read(config);
  if (!settings) return settings.error();
  return std::unique_ptr<RuntimeNri>(new RuntimeNri(host, *std::move(settings)));
}

sdk::Status RuntimeNri::start() {
  if (!events_) {
    return sdk::Error(sdk::Code::kFailedPrecondition, "start before set_events",
                      "this module needs a host that takes runtime events");
  }
  try {
    link_ = std::make_unique<RuntimeLink>(host_, *events_, settings_.socket,
                                          Session::Identity{.name = settings_.plugin_name,
                                                            .index = settings_.plugin_index,
                                                            .refuse_at = settings_.refuse_at},
                                          Backoff(std::random_device{}()), request_timeout_ns_);
  } catch (const std::system_error& error) {
    return sdk::errno_error(error.code().value(), "cannot follow the container runtime");
  }
  return {};
}

void RuntimeNri::stop() {
  link_.reset();
}

}  // namespace drasriov::runtime_nri
