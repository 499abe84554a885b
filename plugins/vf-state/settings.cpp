// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

namespace drasriov::vf_state {

sdk::Result<Settings> Settings::read(const sdk::Config& config) {
  Settings settings;
  const auto every_claim = config.boolean("everyClaim");
  if (!every_claim) {
    return every_claim.error();
  }
  const auto timeout = config.integer("timeoutMs");
  if (!timeout) {
    return timeout.error();
  }
  settings.every_claim = every_claim->value_or(settings.every_claim);
  settings.timeout = std::chrono::milliseconds(timeout->value_or(settings.timeout.count()));
  return settings;
}

}  // namespace drasriov::vf_state
