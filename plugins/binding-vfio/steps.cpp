// SPDX-License-Identifier: Apache-2.0
#include "steps.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace drasriov::binding_vfio {
namespace {

using Kind = Step::Kind;

void set_override(std::vector<Step>& steps, std::string_view now, std::string_view wanted) {
  if (now != wanted) {
    steps.push_back({Kind::kSetOverride, std::string(wanted)});
  }
}

void check_free(std::vector<Step>& steps, const DeviceState& now) {
  if (is_vfio(now.driver) || is_uio(now.driver)) {
    steps.push_back({Kind::kCheckFree, {}});
  }
}

void unbind(std::vector<Step>& steps, const DeviceState& now) {
  if (!now.driver.empty()) {
    steps.push_back({Kind::kUnbind, {}});
  }
}

/// `driver` bound, whatever is bound now; driver_override holds it then.
std::vector<Step> rebind(const DeviceState& now, std::string_view driver) {
  const std::string name(driver);
  std::vector<Step> steps = {{Kind::kLoadDriver, name}};
  check_free(steps, now);
  set_override(steps, now.override, driver);
  unbind(steps, now);
  steps.push_back({Kind::kProbe, name});
  return steps;
}

}  // namespace

std::string Snapshot::to_text() const {
  nlohmann::json text = {{"driver", before.driver}, {"override", before.override}};
  if (!incarnation.empty()) {
    text["incarnation"] = incarnation;
  }
  return text.dump();
}

sdk::Result<Snapshot> Snapshot::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto member = [&](const char* key, std::string& to) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string()) {
      return false;
    }
    to = found->get<std::string>();
    return true;
  };
  Snapshot snapshot;
  if (!json.is_object() || !member("driver", snapshot.before.driver) ||
      !member("override", snapshot.before.override)) {
    return sdk::Error(sdk::Code::kDataLoss, "the snapshot of the device's driver cannot be read",
                      "bind the device to its former driver by hand");
  }
  (void)member("incarnation", snapshot.incarnation);
  return snapshot;
}

bool is_vfio(std::string_view driver) {
  std::string name(driver);
  std::ranges::replace(name, '-', '_');
  return name.ends_with("vfio_pci");
}

bool is_uio(std::string_view driver) {
  return driver.starts_with("uio_") || driver.ends_with("_uio");
}

sdk::Status check_allowed(std::string_view driver, const std::vector<std::string>& allowed,
                          std::string_view at_rest) {
  if (driver == at_rest || std::ranges::find(allowed, driver) != allowed.end()) {
    return {};
  }
  std::string list;
  for (const std::string& name : allowed) {
    list.append(list.empty() ? "" : ", ").append(name);
  }
  return sdk::Error(sdk::Code::kPermissionDenied,
                    "VfConfig.driver \"" + std::string(driver) +
                        "\" is not allowed on this node; allowed: " + list,
                    "an administrator can add it to allowedDrivers of the module binding-vfio");
}

std::vector<Step> steps_to_driver(const DeviceState& now, std::string_view driver) {
  return now.driver == driver ? std::vector<Step>() : rebind(now, driver);
}

std::vector<Step> steps_to_default(const DeviceState& now, std::string_view named) {
  const bool kernel_driver = !now.driver.empty() && !is_vfio(now.driver) && !is_uio(now.driver);
  std::vector<Step> steps;
  if (!kernel_driver && !named.empty()) {
    steps = rebind(now, named);
    steps.push_back({Kind::kSetOverride, {}});
    return steps;
  }
  if (!kernel_driver) {
    steps.push_back({Kind::kLoadClaiming, {}});
    check_free(steps, now);
  }
  set_override(steps, now.override, {});
  if (!kernel_driver) {
    unbind(steps, now);
    steps.push_back({Kind::kProbe, {}});
  }
  return steps;
}

std::vector<Step> steps_back(const DeviceState& now, const DeviceState& before) {
  std::vector<Step> steps;
  if (now.driver == before.driver) {
    set_override(steps, now.override, before.override);
    return steps;
  }
  if (before.driver.empty()) {
    check_free(steps, now);
    unbind(steps, now);
    set_override(steps, now.override, before.override);
    return steps;
  }
  steps = rebind(now, before.driver);
  set_override(steps, before.driver, before.override);
  return steps;
}

}  // namespace drasriov::binding_vfio
