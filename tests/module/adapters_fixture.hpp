// SPDX-License-Identifier: Apache-2.0
//
// AdaptersTest: one scripted instance "acme" with every capability, loaded on first use, so that a test
// can write its script first. Used by one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "host/module/module_registry.hpp"
#include "tests/module/scripted_module.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::module::testing {

using telemetry::KeptLog;

class AdaptersTest : public ::testing::Test {
 protected:
  AdaptersTest() {
    script_.discovery = scripted_discovery();
    script_.binding = scripted_binding();
    script_.netconf = scripted_netconf();
    script_.cdi = scripted_cdi();
    script_.runtime_hooks = scripted_runtime_hooks();
  }

  const Modules& modules() {
    if (!registry_) {
      const std::vector<config::ModuleEntry> list = {
          {.name = "acme", .module = "builtin:scripted"}};
      auto loaded = ModuleRegistry::load(list, services_,
                                         {.files = {}, .static_modules = {{"scripted", &table_}}});
      EXPECT_TRUE(loaded) << loaded.error().to_string();
      registry_ = *std::move(loaded);
    }
    return registry_->modules();
  }
  Discovery& discovery() { return *modules().discovery.at(0); }
  Binding& binding() { return *modules().binding.at(0); }

  /// The error of a scan whose module does `scan`.
  [[nodiscard]] Error scan_error(decltype(Script::on_scan) scan, const Call& call = {}) {
    script_.on_scan = std::move(scan);
    const auto result = discovery().scan(call);
    EXPECT_FALSE(result);
    return result ? Error(Code::kUnknown, "succeeded") : result.error();
  }

  KeptLog log_;
  telemetry::Metrics metrics_{log_};
  HostServices services_{MachinePaths{}, log_, metrics_};
  Scripts scripts_;
  Script& script_ = scripts_["acme"];
  drasriov_module_table table_ = scripted_table();
  std::unique_ptr<ModuleRegistry> registry_;
};

/// With every kind of attribute.
inline device::Device sample_device() {
  device::Device device;
  device.name = "0000-08-00-2";
  device.kind = "vf";
  device.parent = "0000-08-00-0";
  device.attributes = {{"vendor", std::string("8086")},
                       {"numaNode", std::int64_t{-1}},
                       {"acme.example.com/fast", true},
                       {"firmware", device::Version{"22.36.1010"}},
                       {"cpus", std::vector<std::int64_t>{1, 2}},
                       {"flags", std::vector<bool>{true, false, true}},
                       {"names", std::vector<std::string>{"a", "b"}},
                       {"versions", std::vector<device::Version>{{"1.0.0"}, {"2.0.0-rc.1+b5"}}}};
  device.capacities = {{"bandwidth", "25G"}};
  device.facts = {{"pciAddress", "0000:08:00.2"}, {"netdev", "ens1v0"}};
  return device;
}

}  // namespace drasriov::module::testing
