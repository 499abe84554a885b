// SPDX-License-Identifier: Apache-2.0
#include "host/app/discover.hpp"

#include <map>
#include <string_view>

namespace drasriov::app {

Result<module::Discovery::Scan> discover(std::span<module::Discovery* const> modules,
                                         const module::Call& call) {
  module::Discovery::Scan all;
  std::map<std::string, std::string, std::less<>> finder;  // device name → instance
  for (module::Discovery* discovery : modules) {
    for (device::Device& device : all.devices) {
      if (auto enriched = discovery->enrich(call, device); !enriched) {
        all.problems.push_back({device.name, enriched.error().to_string()});
      }
    }
    auto scan = discovery->scan(call);
    if (!scan) return scan.error().with_context("discovery by " + discovery->instance());
    for (device::Device& device : scan->devices) {
      const auto [earlier, is_new] = finder.emplace(device.name, discovery->instance());
      if (!is_new) {
        all.problems.push_back({device.name, "found by " + discovery->instance() +
                                                 " too, that of " + earlier->second +
                                                 " counts — hint: disable one of the two modules"});
        continue;
      }
      all.devices.push_back(std::move(device));
    }
    all.problems.insert(all.problems.end(), std::make_move_iterator(scan->problems.begin()),
                        std::make_move_iterator(scan->problems.end()));
  }
  return all;
}

}  // namespace drasriov::app
