// SPDX-License-Identifier: Apache-2.0
#include "host/app/node_health.hpp"

#include <gtest/gtest.h>

#include "tests/app/fake_discovery.hpp"

namespace drasriov::app {
namespace {

TEST(NodeHealth, OnlyAPreparedDeviceThatIsGoneIsUnhealthy) {
  device::Device pf = vf("pf");
  pf.kind = "pf";
  claim::HeldDevices held;
  const auto hold = [&held](const char* name, const char* state) {
    claim::HeldDevice device;
    device.state = state;
    held[name] = std::make_shared<const claim::HeldDevice>(device);
  };
  hold("held-and-there", "Prepared");
  hold("gone", "Prepared");
  hold("between-two-drivers", "Preparing");

  NodeView view;
  view.inventory = std::make_shared<const device::Inventory>(
      1, std::vector<device::Device>{vf("free"), vf("held-and-there"), pf},
      std::vector<device::Problem>{});
  view.held = std::make_shared<const claim::HeldDevices>(held);
  const std::vector<dra::DeviceHealth> expected = {
      {"node", "free", true, ""},
      {"node", "held-and-there", true, ""},
      {"node", "between-two-drivers", true, ""},
      {"node", "gone", false, "the device is not on the node any more"},
  };
  EXPECT_EQ(device_health(view, "node"), expected);
}

}  // namespace
}  // namespace drasriov::app
