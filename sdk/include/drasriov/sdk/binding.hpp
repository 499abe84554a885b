// SPDX-License-Identifier: Apache-2.0
//
// Capability binding/1 in C++: the concept, request, sink and trampolines. Semantics:
// abi/binding.h.
//
//   class MyBinding {
//    public:
//     static constexpr std::array<std::string_view, 1> claim_fields = {"driver"};  // optional
//
//     // [worker] the bytes that undo needs, "" = nothing to undo
//     Result<std::string> snapshot(const Call&, const BindingRequest&);
//     // [worker]
//     Status prepare(const Call&, const BindingRequest&, std::string_view snapshot, PrepareSink&);
//     // [worker] state: the last put_state of prepare, or ""
//     Status unprepare(const Call&, const BindingRequest&, std::string_view snapshot,
//                      std::string_view state);
//     // [worker] optional
//     Status settle(const Call&, const BindingRequest&, std::string_view snapshot);
//     // [any] optional
//     bool handles(const BindingRequest&);
//     // [worker] optional: the snapshot of a device that another driver prepared
//     Result<std::string> adopt(const Call&, const BindingRequest&);
//   };
#pragma once

#include <drasriov/abi/binding.h>
#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/device.hpp>
#include <drasriov/sdk/trampoline.hpp>

#include <concepts>
#include <string>
#include <string_view>

namespace drasriov::sdk {
inline namespace abi_v1 {

/// A pod (or another object) that a claim is reserved for. Borrowed.
struct Consumer {
  std::string_view resource;  ///< "pods"
  std::string_view name;
  std::string_view uid;
};

[[nodiscard]] constexpr Consumer consumer_from_abi(const drasriov_consumer& consumer) noexcept {
  return {from_abi(consumer.resource), from_abi(consumer.name), from_abi(consumer.uid)};
}

using ConsumerList = ListView<drasriov_consumer, &consumer_from_abi>;

/// One device of one claim. Borrowed for the call.
class BindingRequest {
 public:
  explicit BindingRequest(const drasriov_binding_request* request) noexcept : request_(request) {}

  [[nodiscard]] std::string_view claim_namespace() const noexcept {
    return text(request_, &drasriov_binding_request::claim_namespace);
  }
  [[nodiscard]] std::string_view claim_name() const noexcept {
    return text(request_, &drasriov_binding_request::claim_name);
  }
  [[nodiscard]] std::string_view claim_uid() const noexcept {
    return text(request_, &drasriov_binding_request::claim_uid);
  }
  /// Name of the claim's request, "main" or "main/sub".
  [[nodiscard]] std::string_view request() const noexcept {
    return text(request_, &drasriov_binding_request::request);
  }
  [[nodiscard]] DeviceView device() const noexcept {
    return DeviceView(get(request_, &drasriov_binding_request::device));
  }
  /// Effective VfConfig, all fields present.
  [[nodiscard]] std::string_view config_json() const noexcept {
    return text(request_, &drasriov_binding_request::config_json);
  }
  /// VfConfig.modules.<this instance>, checked against claim_schema; "{}" when absent.
  [[nodiscard]] std::string_view parameters_json() const noexcept {
    return text(request_, &drasriov_binding_request::parameters_json);
  }
  /// Empty = no network step.
  [[nodiscard]] std::string_view netconf_json() const noexcept {
    return text(request_, &drasriov_binding_request::netconf_json);
  }
  [[nodiscard]] ConsumerList consumers() const noexcept {
    return array(request_, &drasriov_binding_request::consumers,
                 &drasriov_binding_request::consumer_count);
  }

 private:
  const drasriov_binding_request* request_;
};

/// Where prepare leaves its results. Only during prepare, on its thread.
class PrepareSink {
 public:
  explicit PrepareSink(const drasriov_prepare_sink* sink) noexcept : sink_(sink) {}
  PrepareSink(const PrepareSink&) = delete;
  PrepareSink& operator=(const PrepareSink&) = delete;

  /// Replaces this module's state of the device: what undo must know beyond the snapshot. Durable
  /// on success; on failure return the error at once, before anything that the state describes is
  /// made.
  [[nodiscard]] Status put_state(std::string_view state) {
    return outcome(DRASRIOV_HAS(sink_, put_state)
                       ? sink_->put_state(sink_->context, to_abi_bytes(state))
                       : static_cast<drasriov_status>(DRASRIOV_UNIMPLEMENTED),
                   "the host did not store the module's state");
  }
  /// CDI containerEdits as JSON: cdi::Edits::json().
  [[nodiscard]] Status add_edits(std::string_view edits_json) {
    return outcome(DRASRIOV_HAS(sink_, add_edits)
                       ? sink_->add_edits(sink_->context, to_abi(edits_json))
                       : static_cast<drasriov_status>(DRASRIOV_UNIMPLEMENTED),
                   "the host refused the module's containerEdits");
  }
  /// A fact for later modules and for the network step; an empty value removes it.
  void set_fact(std::string_view key, std::string_view value) {
    if (DRASRIOV_HAS(sink_, set_fact)) {
      sink_->set_fact(sink_->context, to_abi(key), to_abi(value));
    }
  }

 private:
  static Status outcome(drasriov_status code, const char* message) {
    if (code == DRASRIOV_OK) {
      return {};
    }
    return Error(static_cast<Code>(code), message);
  }

  const drasriov_prepare_sink* sink_;
};

template <class Module>
concept HasSnapshot = requires(Module& module, const Call& call, const BindingRequest& request) {
  { module.snapshot(call, request) } -> std::same_as<Result<std::string>>;
};
template <class Module>
concept HasPrepare = requires(Module& module, const Call& call, const BindingRequest& request,
                              std::string_view snapshot, PrepareSink& sink) {
  { module.prepare(call, request, snapshot, sink) } -> std::same_as<Status>;
};
template <class Module>
concept HasUnprepare = requires(Module& module, const Call& call, const BindingRequest& request,
                                std::string_view snapshot, std::string_view state) {
  { module.unprepare(call, request, snapshot, state) } -> std::same_as<Status>;
};
template <class Module>
concept HasSettle = requires(Module& module, const Call& call, const BindingRequest& request,
                             std::string_view snapshot) {
  { module.settle(call, request, snapshot) } -> std::same_as<Status>;
};
template <class Module>
concept HasHandles = requires(Module& module, const BindingRequest& request) {
  { module.handles(request) } -> std::same_as<bool>;
};
template <class Module>
concept HasAdopt = requires(Module& module, const Call& call, const BindingRequest& request) {
  { module.adopt(call, request) } -> std::same_as<Result<std::string>>;
};

template <class Module>
concept Binding = HasSnapshot<Module> && HasPrepare<Module> && HasUnprepare<Module>;

namespace detail {

DRASRIOV_SDK_DETECT_MEMBER(snapshot);
DRASRIOV_SDK_DETECT_MEMBER(prepare);
DRASRIOV_SDK_DETECT_MEMBER(unprepare);
DRASRIOV_SDK_DETECT_MEMBER(settle);
DRASRIOV_SDK_DETECT_MEMBER(handles);
DRASRIOV_SDK_DETECT_MEMBER(adopt);

template <class Module>
consteval void check_binding() {
  if constexpr (has_member_snapshot<Module> || has_member_prepare<Module> ||
                has_member_unprepare<Module>) {
    static_assert(
        HasSnapshot<Module>,
        "binding/1: expected the public member "
        "`Result<std::string> snapshot(const Call& call, const BindingRequest& request)`");
    static_assert(HasPrepare<Module>,
                  "binding/1: expected the public member "
                  "`Status prepare(const Call& call, const BindingRequest& request, "
                  "std::string_view snapshot, PrepareSink& sink)`");
    static_assert(HasUnprepare<Module>,
                  "binding/1: expected the public member "
                  "`Status unprepare(const Call& call, const BindingRequest& request, "
                  "std::string_view snapshot, std::string_view state)`");
    static_assert(!has_member_settle<Module> || HasSettle<Module>,
                  "binding/1: expected the public member "
                  "`Status settle(const Call& call, const BindingRequest& request, "
                  "std::string_view snapshot)`");
    static_assert(!has_member_handles<Module> || HasHandles<Module>,
                  "binding/1: expected the public member "
                  "`bool handles(const BindingRequest& request)`");
    static_assert(!has_member_adopt<Module> || HasAdopt<Module>,
                  "binding/1: expected the public member "
                  "`Result<std::string> adopt(const Call& call, const BindingRequest& request)`");
  }
}

template <class Module>
struct BindingTrampolines {
  static drasriov_status snapshot(drasriov_module* module, const drasriov_call* call,
                                  const drasriov_binding_request* request,
                                  const drasriov_snapshot_sink* sink,
                                  drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "snapshot", [&]() -> Status {
      return put(self.module->snapshot(Call(self.host.table(), call), BindingRequest(request)),
                 sink);
    });
  }

  static drasriov_status adopt(drasriov_module* module, const drasriov_call* call,
                               const drasriov_binding_request* request,
                               const drasriov_snapshot_sink* sink, drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "adopt", [&]() -> Status {
      return put(self.module->adopt(Call(self.host.table(), call), BindingRequest(request)), sink);
    });
  }

  static drasriov_status prepare(drasriov_module* module, const drasriov_call* call,
                                 const drasriov_binding_request* request, drasriov_bytes snapshot,
                                 const drasriov_prepare_sink* sink,
                                 drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "prepare", [&] {
      PrepareSink results(sink);
      return self.module->prepare(Call(self.host.table(), call), BindingRequest(request),
                                  from_abi(snapshot), results);
    });
  }

  static drasriov_status unprepare(drasriov_module* module, const drasriov_call* call,
                                   const drasriov_binding_request* request, drasriov_bytes snapshot,
                                   drasriov_bytes state, drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "unprepare", [&] {
      return self.module->unprepare(Call(self.host.table(), call), BindingRequest(request),
                                    from_abi(snapshot), from_abi(state));
    });
  }

  static drasriov_status settle(drasriov_module* module, const drasriov_call* call,
                                const drasriov_binding_request* request, drasriov_bytes snapshot,
                                drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "settle", [&] {
      return self.module->settle(Call(self.host.table(), call), BindingRequest(request),
                                 from_abi(snapshot));
    });
  }

  /// A module that throws here takes part: prepare then fails with an error, where "no" would be
  /// silence.
  static std::int32_t handles(drasriov_module* module,
                              const drasriov_binding_request* request) noexcept {
    auto& self = instance<Module>(module);
    return guarded_or(self.host, std::int32_t{1}, "handles", [&] {
      return static_cast<std::int32_t>(self.module->handles(BindingRequest(request)) ? 1 : 0);
    });
  }

  static constexpr drasriov_binding_v1 make() noexcept {
    drasriov_binding_v1 table{};
    table.struct_size = sizeof(table);
    table.snapshot = &snapshot;
    table.prepare = &prepare;
    table.unprepare = &unprepare;
    if constexpr (HasSettle<Module>) {
      table.settle = &settle;
    }
    if constexpr (HasHandles<Module>) {
      table.handles = &handles;
    }
    if constexpr (HasAdopt<Module>) {
      table.adopt = &adopt;
    }
    return table;
  }

  static constexpr drasriov_binding_v1 kTable = make();

 private:
  static Status put(const Result<std::string>& snapshot, const drasriov_snapshot_sink* sink) {
    if (!snapshot) {
      return snapshot.error();
    }
    if (!snapshot->empty() && DRASRIOV_HAS(sink, put_snapshot)) {
      sink->put_snapshot(sink->context, to_abi_bytes(*snapshot));
    }
    return {};
  }
};

}  // namespace detail

}  // namespace abi_v1
}  // namespace drasriov::sdk
