// SPDX-License-Identifier: Apache-2.0
//
// A node with four VFs and three binding modules, and the way from a claim's JSON to its Plan. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/claim/plan.hpp"
#include "tests/claim/fakes.hpp"

namespace drasriov::claim::testing {

inline const ClaimRef kClaim{"tenant", "vfs", "claim-uid-1"};

inline constexpr auto kCaseName = [](const auto& tested) { return std::string(tested.param.name); };

class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    settings_.driver_name = kDriverName;
    settings_.pool_name = "node-1";
    modules_.binding = {&vf_state_, &vfio_, &vhost_};
    modules_.netconf = &netconf_;
    modules_.runtime_hooks = {&hooks_};
    modules_.cdi = &cdi_;
    vf_state_.takes_part = [](const module::BindingRequest& request, bool) {
      return !request.netconf_json.empty();
    };
    vfio_.check = [](std::string_view json) {
      return json == R"({"iommu":true})" || json == "{}"
                 ? Status()
                 : Status(Error(Code::kInvalidArgument, "iommu: want true or false"));
    };
    std::vector<device::Device> devices;
    for (int i = 0; i < 4; ++i) devices.push_back(virtual_function(i));
    device::Device pf;
    pf.name = "0000-07-00-0";
    pf.kind = "pf";
    devices.push_back(pf);
    inventory_ = std::make_shared<device::Inventory>(
        1, devices, std::vector<device::Problem>{{"0000:09:00.0", "no class file"}});
    networks_[{"tenant", "net-a"}] = R"({"type":"sriov","name":"net-a"})";
    networks_[{"shared", "net-s"}] = R"({"type":"sriov","name":"net-s"})";
  }

  Result<Plan> plan(const Json& object, const ClaimRef& ref = kClaim) {
    auto claim = decode_claim(object, ref, kDriverName);
    if (!claim) return std::move(claim).error();
    auto configs = decode_configs(object, kDriverName, module_fields(modules_));
    if (!configs) return std::move(configs).error();
    auto devices = resolve(*claim, *configs, *inventory_, settings_, modules_);
    if (!devices) return std::move(devices).error();
    for (const auto& key : networks_of(*devices))
      EXPECT_TRUE(networks_.contains(key)) << key.to_string();
    return make_plan(*claim, std::move(*devices), networks_, surroundings_, settings_, modules_);
  }
  /// One device for request "main" with these configuration entries.
  Result<Plan> plan_one(std::vector<Json> configs, const std::string& request = "main") {
    return plan(claim_object(kClaim, {result_of(request, "0000-08-00-0")}, configs));
  }
  static Json config_json(const Result<Plan>& plan, std::size_t i = 0) {
    return plan ? Json::parse(plan->devices.at(i).config_json) : Json(plan.error().to_string());
  }

  Recording recording_;
  FakeBinding vf_state_{"vf-state", {}, recording_};
  FakeBinding vfio_{"vfio", {"driver", "turbo"}, recording_};
  FakeBinding vhost_{"vhost", {"addVhostMount"}, recording_};
  FakeNetconf netconf_{recording_};
  FakeHooks hooks_;
  FakeCdi cdi_{recording_};
  module::Modules modules_;
  PlanSettings settings_;
  Surroundings surroundings_;
  Networks networks_;
  device::InventorySnapshot inventory_;
};

/// A claim of one device with these VfConfig fields.
inline Json one(Json fields) {
  return claim_object(kClaim, {result_of("main", "0000-08-00-0")},
                      {config_of("FromClaim", {}, std::move(fields))});
}
inline Json with(Json object, const char* pointer, Json value) {
  object[Json::json_pointer(pointer)] = std::move(value);
  return object;
}
inline Json admin(Json fields) {
  Json result = result_of("main", "0000-08-00-0");
  result["adminAccess"] = true;
  return claim_object(kClaim, {result}, {config_of("FromClaim", {}, std::move(fields))});
}

}  // namespace drasriov::claim::testing
