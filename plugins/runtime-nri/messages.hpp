// SPDX-License-Identifier: Apache-2.0
//
// The messages of nri.pkg.api.v1alpha1 that this module reads and writes. Numbers are those of NRI
// 0.2 to 0.12; what a newer runtime adds is skipped. Pure, no I/O; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::runtime_nri {

inline constexpr std::string_view kPluginService = "nri.pkg.api.v1alpha1.Plugin";
inline constexpr std::string_view kRuntimeService = "nri.pkg.api.v1alpha1.Runtime";

/// Numbers of StateChangeEvent.event; the bit of n in an event mask is 1 << (n - 1).
enum class StateChange : std::int32_t {
  kRunPodSandbox = 1,
  kStopPodSandbox = 2,
  kRemovePodSandbox = 3,
  kCreateContainer = 4,
};

/// Run, Stop and Remove of sandboxes and CreateContainer: known to every version of NRI.
inline constexpr std::int32_t kSubscribedEvents = 0xf;

struct ConfigureRequest {
  std::string runtime_name;
  std::string runtime_version;
  /// NRI up to 0.6 does not tell them: these are its defaults.
  std::chrono::milliseconds registration_timeout{5000};
  std::chrono::milliseconds request_timeout{2000};
};

struct SynchronizeRequest {
  std::vector<sdk::Sandbox> sandboxes;
  std::vector<sdk::Container> containers;
  bool more = false;  ///< another part follows
};

/// RunPodSandbox, StopPodSandbox, RemovePodSandbox: pod; CreateContainer: both; StateChange: also
/// its event.
struct HookRequest {
  std::int32_t event = 0;
  sdk::Sandbox sandbox;
  sdk::Container container;
};

/// INVALID_ARGUMENT when it is not protobuf, RESOURCE_EXHAUSTED when it holds more sandboxes,
/// containers, labels or annotations than any node has. All text is made valid UTF-8.
[[nodiscard]] sdk::Result<ConfigureRequest> parse_configure(std::string_view payload);
[[nodiscard]] sdk::Result<SynchronizeRequest> parse_synchronize(std::string_view payload);
[[nodiscard]] sdk::Result<HookRequest> parse_hook(std::string_view payload);
[[nodiscard]] sdk::Result<HookRequest> parse_state_change(std::string_view payload);

/// Bounds of one Synchronize, all parts together.
inline constexpr std::size_t kMaxSandboxes = 16384;
inline constexpr std::size_t kMaxContainers = 65536;

[[nodiscard]] std::string encode_register_plugin(std::string_view name, std::string_view index);
[[nodiscard]] std::string encode_configure_response(std::int32_t events);
[[nodiscard]] std::string encode_synchronize_response(bool more);

}  // namespace drasriov::runtime_nri
