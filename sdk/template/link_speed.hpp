// SPDX-License-Identifier: Apache-2.0
//
// LinkSpeed: adds the attribute acme.example.com/linkSpeed, the PCIe link's speed as sysfs tells it
// ("16.0 GT/s PCIe"), to every device that the modules before it found. One instance, [control] thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/module.hpp>

#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace acme {

namespace sdk = drasriov::sdk;

class LinkSpeed {
 public:
  static constexpr std::string_view config_schema = R"({
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "skipUnknown": {
        "type": "boolean",
        "default": true,
        "description": "Leave the attribute out where sysfs says \"Unknown\", as many VFs do."
      }
    }
  })";

  static sdk::Result<std::unique_ptr<LinkSpeed>> create(sdk::Host host, std::string_view /*name*/,
                                                        const sdk::Config& config) {
    const auto skip_unknown = config.boolean("skipUnknown");
    if (!skip_unknown) {
      return skip_unknown.error();
    }
    return std::make_unique<LinkSpeed>(host, skip_unknown->value_or(true));
  }

  LinkSpeed(sdk::Host host, bool skip_unknown) : host_(host), skip_unknown_(skip_unknown) {}

  /// Finds no devices of its own.
  sdk::Status scan(const sdk::Call& /*call*/, sdk::DeviceSink& /*sink*/) { return {}; }

  sdk::Status enrich(const sdk::Call& call, const sdk::DeviceView& device, sdk::DeviceSink& sink) {
    const auto path = device.fact(DRASRIOV_FACT_SYSFS_PATH);
    if (!path) {
      return {};
    }
    const std::string file = std::string(*path) + "/current_link_speed";
    std::string speed;
    if (!std::getline(std::ifstream(file), speed)) {
      sink.problem(device.name(), "cannot read " + file);
      return {};
    }
    if (skip_unknown_ && speed == "Unknown") {
      host_.log(call).debug("link speed unknown", {{"device", device.name()}});
      return {};
    }
    sink.device(sdk::Device(std::string(device.name()), std::string(device.kind()))
                    .string("acme.example.com/linkSpeed", speed));
    return {};
  }

 private:
  sdk::Host host_;
  bool skip_unknown_;
};

}  // namespace acme
