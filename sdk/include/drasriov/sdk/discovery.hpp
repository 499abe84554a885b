// SPDX-License-Identifier: Apache-2.0
//
// Capability discovery/1 in C++: the concept, the sink and the trampolines. Semantics:
// abi/discovery.h.
//
//   class MyDiscovery {
//    public:
//     // [control]
//     Status scan(const Call& call, DeviceSink& sink);
//     // [control] optional
//     Status enrich(const Call& call, const DeviceView& device, DeviceSink& sink);
//     // [control] optional
//     Status watch(ChangeNotifier changed);
//   };
#pragma once

#include <drasriov/abi/discovery.h>
#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/device.hpp>
#include <drasriov/sdk/trampoline.hpp>

#include <concepts>
#include <string_view>

namespace drasriov::sdk {
inline namespace abi_v1 {

/// Where scan and enrich leave what they find. Copies at once; only during the call, on its thread.
class DeviceSink {
 public:
  explicit DeviceSink(const drasriov_discovery_sink* sink) noexcept : sink_(sink) {}
  DeviceSink(const DeviceSink&) = delete;
  DeviceSink& operator=(const DeviceSink&) = delete;

  void device(const Device& device) {
    if (DRASRIOV_HAS(sink_, device)) {
      sink_->device(sink_->context, abi_.convert(device));
    }
  }
  /// Something had to be skipped: a PCI address or a path, and a sentence. The scan goes on.
  void problem(std::string_view object, std::string_view message) {
    if (DRASRIOV_HAS(sink_, problem)) {
      sink_->problem(sink_->context, to_abi(object), to_abi(message));
    }
  }

 private:
  const drasriov_discovery_sink* sink_;
  AbiDevice abi_;
};

/// Tells the host that a scan may give something new. Any thread, until stop() returns; a value.
class ChangeNotifier {
 public:
  ChangeNotifier() = default;
  ChangeNotifier(void (*changed)(void* context), void* context) noexcept
      : changed_(changed),
        context_(context) {}

  void operator()() const noexcept {
    if (changed_ != nullptr) {
      changed_(context_);
    }
  }

 private:
  void (*changed_)(void* context) = nullptr;
  void* context_ = nullptr;
};

template <class Module>
concept HasScan = requires(Module& module, const Call& call, DeviceSink& sink) {
  { module.scan(call, sink) } -> std::same_as<Status>;
};
template <class Module>
concept HasEnrich = requires(Module& module, const Call& call, const DeviceView& device,
                             DeviceSink& sink) {
  { module.enrich(call, device, sink) } -> std::same_as<Status>;
};
template <class Module>
concept HasWatch = requires(Module& module, ChangeNotifier changed) {
  { module.watch(changed) } -> std::same_as<Status>;
};

template <class Module>
concept Discovery = HasScan<Module>;

namespace detail {

DRASRIOV_SDK_DETECT_MEMBER(scan);
DRASRIOV_SDK_DETECT_MEMBER(enrich);
DRASRIOV_SDK_DETECT_MEMBER(watch);

template <class Module>
consteval void check_discovery() {
  static_assert(!has_member_scan<Module> || HasScan<Module>,
                "discovery/1: expected the public member "
                "`Status scan(const Call& call, DeviceSink& sink)`");
  if constexpr (has_member_scan<Module>) {
    static_assert(!has_member_enrich<Module> || HasEnrich<Module>,
                  "discovery/1: expected the public member "
                  "`Status enrich(const Call& call, const DeviceView& device, DeviceSink& sink)`");
    static_assert(!has_member_watch<Module> || HasWatch<Module>,
                  "discovery/1: expected the public member "
                  "`Status watch(ChangeNotifier changed)`");
  }
}

template <class Module>
struct DiscoveryTrampolines {
  static drasriov_status scan(drasriov_module* module, const drasriov_call* call,
                              const drasriov_discovery_sink* sink, drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "scan", [&] {
      DeviceSink devices(sink);
      return self.module->scan(Call(self.host.table(), call), devices);
    });
  }

  static drasriov_status enrich(drasriov_module* module, const drasriov_call* call,
                                const drasriov_device* device, const drasriov_discovery_sink* sink,
                                drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "enrich", [&] {
      DeviceSink devices(sink);
      return self.module->enrich(Call(self.host.table(), call), DeviceView(device), devices);
    });
  }

  static drasriov_status watch(drasriov_module* module, void (*changed)(void* context),
                               void* context, drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "watch",
                   [&] { return self.module->watch(ChangeNotifier(changed, context)); });
  }

  static constexpr drasriov_discovery_v1 make() noexcept {
    drasriov_discovery_v1 table{};
    table.struct_size = sizeof(table);
    table.scan = &scan;
    if constexpr (HasEnrich<Module>) {
      table.enrich = &enrich;
    }
    if constexpr (HasWatch<Module>) {
      table.watch = &watch;
    }
    return table;
  }

  static constexpr drasriov_discovery_v1 kTable = make();
};

}  // namespace detail

}  // namespace abi_v1
}  // namespace drasriov::sdk
