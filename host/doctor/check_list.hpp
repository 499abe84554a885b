// SPDX-License-Identifier: Apache-2.0
//
// The checks by area, for diagnose() only. Pure functions; any thread.
#pragma once

#include "host/doctor/checks.hpp"

namespace drasriov::doctor {

using Findings = std::vector<Finding>;

// checks_machine.cpp
void check_roots(const Facts& facts, Findings& out);
void check_permissions(const Facts& facts, Findings& out);
void check_iommu(const Facts& facts, Findings& out);
void check_kernel_modules(const Facts& facts, Findings& out);
void check_devices(const Facts& facts, Findings& out);

// checks_node.cpp
void check_runtime_config(const Facts& facts, Findings& out);
void check_nri(const Facts& facts, Findings& out);
void check_cdi(const Facts& facts, Findings& out);
void check_hook(const Facts& facts, Findings& out);
void check_kubelet(const Facts& facts, Findings& out);
void check_state(const Facts& facts, Findings& out);

// checks_driver.cpp
void check_modules(const Facts& facts, Findings& out);
void check_claims(const Facts& facts, Findings& out);
void check_instances(const Facts& facts, Findings& out);
void check_api(const Facts& facts, Findings& out);

/// "a, b and 3 more"
[[nodiscard]] std::string join_some(const std::vector<std::string>& names);

}  // namespace drasriov::doctor
