// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of the Go driver for tests: those that it wrote (tests/fixtures/go-driver), and
// changed ones with the right checksum.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "host/base/durable_file.hpp"
#include "host/claim/checkpoint.hpp"

namespace drasriov::claim::testing {

inline constexpr const char* kFirstName = "sriovnetwork.openshift.io";
inline constexpr const char* kLaterName = "sriovnetwork.k8snetworkplumbingwg.io";
inline constexpr const char* kNetPod = "6f1c0a52-3b0e-4a53-9d6a-0c1f7a4b9e01";
inline constexpr const char* kDpdkPod = "6f1c0a52-3b0e-4a53-9d6a-0c1f7a4b9e02";
inline constexpr const char* kNet = "2a64d0a1-9c07-4a0b-8a3e-55a3c1d2e001";
inline constexpr const char* kDpdk = "2a64d0a1-9c07-4a0b-8a3e-55a3c1d2e002";

inline std::string go_file(const std::string& name) {
  return read_file(std::filesystem::path(DRASRIOV_FIXTURES_DIR) / "go-driver" / name).value();
}
inline std::string go_checkpoint(const std::string& driver) {
  return go_file(driver + "/checkpoint.json");
}

using Ordered = nlohmann::ordered_json;

/// The text with the checksum that belongs to it.
inline std::string sealed(Ordered json) {
  json["checksum"] = 0;
  json["checksum"] = checkpoint_checksum(json.dump());
  return json.dump();
}

/// The first generation's file, changed: `change` gets {pod UID: {claim UID: [device]}}.
inline std::string changed(const std::function<void(Ordered& pods)>& change) {
  auto json = Ordered::parse(go_checkpoint(kFirstName));
  change(json["v1"]["preparedClaimsByPodUID"]);
  return sealed(std::move(json));
}

}  // namespace drasriov::claim::testing
