// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/checks.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "host/doctor/check_list.hpp"

namespace drasriov::doctor {
namespace {

constexpr std::array<std::string_view, 39> kIds = {"api-access-denied",
                                                   "api-unreachable",
                                                   "autoprobe-off",
                                                   "capability-missing",
                                                   "cdi-directory-not-read",
                                                   "cdi-disabled",
                                                   "claim-of-earlier-boot",
                                                   "claim-quarantined",
                                                   "claim-record-damaged",
                                                   "claim-undo-stuck",
                                                   "disk-space-low",
                                                   "dra-disabled",
                                                   "driver-not-running",
                                                   "filter-in-other-namespace",
                                                   "hook-not-runnable",
                                                   "host-files-hidden",
                                                   "inodes-low",
                                                   "iommu-off",
                                                   "kubelet-directory-differs",
                                                   "kubelet-directory-missing",
                                                   "kubelet-not-running",
                                                   "kubelet-too-old",
                                                   "limits-low",
                                                   "module-refused",
                                                   "no-sriov-device",
                                                   "node-missing",
                                                   "noiommu-mode",
                                                   "nri-disabled",
                                                   "nri-socket-missing",
                                                   "nri-timeout-short",
                                                   "pf-without-vfs",
                                                   "root-unreadable",
                                                   "runtime-config-unreadable",
                                                   "runtime-not-found",
                                                   "second-instance",
                                                   "socket-path-too-long",
                                                   "state-not-writable",
                                                   "vf-driver-unexpected",
                                                   "vfio-module-missing"};
static_assert(std::ranges::is_sorted(kIds));

/// What must be known for a check to mean anything.
enum class Needs : std::uint8_t { kNothing, kHostFiles, kHostMounts, kRuntime };

struct Check {
  std::string_view name;
  void (*run)(const Facts&, Findings&);
  Needs needs = Needs::kNothing;
};

constexpr std::array kChecks = {
    Check{"roots of the machine", check_roots},
    Check{"permissions and limits", check_permissions},
    Check{"IOMMU", check_iommu},
    Check{"kernel modules", check_kernel_modules, Needs::kHostFiles},
    Check{"devices", check_devices},
    Check{"container runtime", check_runtime_config, Needs::kHostFiles},
    Check{"NRI", check_nri, Needs::kRuntime},
    Check{"CDI", check_cdi, Needs::kRuntime},
    Check{"OCI hook", check_hook, Needs::kHostMounts},
    Check{"kubelet", check_kubelet},
    Check{"state directories", check_state},
    Check{"driver modules", check_modules},
    Check{"claims", check_claims},
    Check{"instances", check_instances},
    Check{"API server", check_api},
};

bool is_known(const Facts& facts, Needs needs) {
  switch (needs) {
    case Needs::kNothing: return true;
    case Needs::kHostFiles: return facts.host_visible;
    case Needs::kHostMounts: return facts.hook.tried;
    case Needs::kRuntime: return facts.host_visible && !facts.runtime.name.empty();
  }
  return true;
}

}  // namespace

std::string_view severity_name(Severity severity) noexcept {
  switch (severity) {
    case Severity::kOk: return "ok";
    case Severity::kInfo: return "info";
    case Severity::kWarning: return "warning";
    case Severity::kError: return "error";
  }
  return "error";
}

Severity CheckResult::severity() const noexcept {
  Severity most = Severity::kOk;
  for (const Finding& finding : findings) most = std::max(most, finding.severity);
  return most;
}

std::vector<CheckResult> diagnose(const Facts& facts) {
  std::vector<CheckResult> results;
  for (const Check& check : kChecks) {
    CheckResult result;
    result.name = check.name;
    result.skipped = !is_known(facts, check.needs);
    if (!result.skipped) check.run(facts, result.findings);
    for ([[maybe_unused]] const Finding& finding : result.findings)
      assert(std::ranges::binary_search(kIds, finding.id));
    std::ranges::stable_sort(result.findings, std::greater<>(), &Finding::severity);
    results.push_back(std::move(result));
  }
  return results;
}

Severity worst(std::span<const CheckResult> results) noexcept {
  Severity most = Severity::kOk;
  for (const CheckResult& result : results) most = std::max(most, result.severity());
  return most;
}

std::span<const std::string_view> finding_ids() noexcept {
  return kIds;
}

std::string join_some(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

}  // namespace drasriov::doctor
