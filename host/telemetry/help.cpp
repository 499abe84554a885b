// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/help.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace drasriov::telemetry {
namespace {

constexpr std::string_view kModules = "drasriov_module_";

// tests/docs/metrics_test.py compares the names with the page's.
constexpr auto kTexts = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"drasriov_claim_seconds", "Seconds from kubelet's call to the answer, for each claim."},
    {"drasriov_devices_found", "PFs and VFs that discovery sees."},
    {"drasriov_devices_held", "Devices that claims hold."},
    {"drasriov_devices_published", "Devices that the node's ResourceSlices should have."},
    {"drasriov_filters_followed", "1 while SriovResourceFilters are known and followed."},
    {"drasriov_module_cni_seconds", "Seconds that a CNI plugin took."},
    {"drasriov_module_hook_seconds", "Seconds from the container runtime's call to the answer."},
    {"drasriov_module_runtime_connected", "1 while the container runtime is followed."},
    {"drasriov_module_uevent_overflows_total", "Times that events of the kernel were lost."},
    {"drasriov_module_up", "1 for a module that was started, 0 for one that failed."},
    {"drasriov_scan_failures_total", "Scans of the devices that failed."},
    {"drasriov_scan_seconds", "Seconds that discovery took to look at all devices."},
});

}  // namespace

std::string_view help_of(std::string_view name) {
  const auto* const found =
      std::ranges::find(kTexts, name, &std::pair<std::string_view, std::string_view>::first);
  if (found != kTexts.end()) return found->second;
  return name.starts_with(kModules) ? "A module's own, see its documentation." : "";
}

}  // namespace drasriov::telemetry
