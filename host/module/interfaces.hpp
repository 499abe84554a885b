// SPDX-License-Identifier: Apache-2.0
//
// The five abstract interfaces through which the host uses modules. Implemented by the ABI adapters
// (host/module) and by fakes in tests; the users (claim/, pod/, app/) see nothing else of a module.
// Thread tags as in sdk/include/drasriov/abi/base.h: [any], [control], [worker], [note]. Every
// blocking function takes a Call.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/device/device.hpp"
#include "host/device/inventory.hpp"

namespace drasriov::module {

/// What accompanies a call into a module: by when it must be back, whether anybody still waits,
/// which log lines are its.
struct Call {
  Deadline deadline = Deadline::infinite();
  std::string_view id;                               ///< correlation id, e.g. "prepare/<claim uid>"
  const std::function<bool()>* cancelled = nullptr;  ///< nullptr = never
};

/// Capability discovery/1 (abi/discovery.h). Errors and problems as there.
class Discovery {
 public:
  virtual ~Discovery() = default;

  struct Scan {
    std::vector<device::Device> devices;
    std::vector<device::Problem> problems;
  };

  [[nodiscard]] virtual const std::string& instance() const noexcept = 0;
  /// [control] All devices as they are now.
  [[nodiscard]] virtual Result<Scan> scan(const Call& call) = 0;
  /// [control] Adds attributes, capacities and facts of this module to a device that another one
  /// found; a no-op for a module without enrich.
  [[nodiscard]] virtual Status enrich(const Call& call, device::Device& device) = 0;
  /// [control] After start: `changed` [note] is called, from any thread, after each settled burst
  /// until the module stops. UNIMPLEMENTED when this machine cannot be watched.
  [[nodiscard]] virtual Status watch(std::function<void()> changed) = 0;
};

/// A pod (or another object) that a claim is reserved for.
struct Consumer {
  std::string resource;  ///< "pods"
  std::string name;
  std::string uid;
  friend bool operator==(const Consumer&, const Consumer&) = default;
};

/// What a binding module is told (abi/binding.h). Borrowed for the call.
struct BindingRequest {
  std::string_view claim_namespace;
  std::string_view claim_name;
  std::string_view claim_uid;
  std::string_view request;
  const device::Device* device = nullptr;  ///< never null in a call
  std::string_view config_json;            ///< effective VfConfig, all fields present
  std::string_view parameters_json;        ///< VfConfig.modules.<instance> or "{}"
  std::string_view netconf_json;           ///< empty = no network step
  const std::vector<Consumer>* consumers = nullptr;
};

/// Where prepare leaves its results. Called on the thread of prepare, only during it.
class PrepareSink {
 public:
  virtual ~PrepareSink() = default;
  /// Durable when it returns success.
  [[nodiscard]] virtual Status put_state(std::string_view state) = 0;
  /// CDI containerEdits as JSON.
  [[nodiscard]] virtual Status add_edits(std::string_view edits_json) = 0;
  virtual void set_fact(std::string_view key, std::string_view value) = 0;
};

/// Capability binding/1 (abi/binding.h).
class Binding {
 public:
  virtual ~Binding() = default;

  [[nodiscard]] virtual const std::string& instance() const noexcept = 0;
  /// VfConfig fields that this module owns.
  [[nodiscard]] virtual const std::vector<std::string>& claim_fields() const noexcept = 0;
  /// [any] Checks VfConfig.modules.<instance> against the module's claim schema; the error names
  /// the offending path.
  [[nodiscard]] virtual Status check_parameters(std::string_view parameters_json) const = 0;
  /// [any] Whether the module takes part in this request. `field_set`: the claim sets a field that
  /// it owns or gives it parameters, which decides when the module has no `handles` of its own.
  [[nodiscard]] virtual bool handles(const BindingRequest& request, bool field_set) = 0;
  /// [worker] Opaque bytes for undo; empty = nothing to undo. Changes nothing.
  [[nodiscard]] virtual Result<std::string> snapshot(const Call& call,
                                                     const BindingRequest& request) = 0;
  /// [worker]
  [[nodiscard]] virtual Status prepare(const Call& call, const BindingRequest& request,
                                       std::string_view snapshot, PrepareSink& sink) = 0;
  /// [worker] After a detach; success for a module without settle.
  [[nodiscard]] virtual Status settle(const Call& call, const BindingRequest& request,
                                      std::string_view snapshot) = 0;
  /// [worker]
  [[nodiscard]] virtual Status unprepare(const Call& call, const BindingRequest& request,
                                         std::string_view snapshot, std::string_view state) = 0;
  /// [worker] The snapshot of a device that another driver prepared before this one took over; the
  /// facts of the request's device say how it was before that. UNIMPLEMENTED for a module without
  /// adopt.
  [[nodiscard]] virtual Result<std::string> adopt(const Call& call,
                                                  const BindingRequest& request) = 0;
};

/// The pod behind a sandbox, as the container runtime names it.
struct Pod {
  std::string uid;
  std::string namespace_;
  std::string name;
  std::string sandbox_id;
  std::map<std::string, std::string, std::less<>> labels;
  std::map<std::string, std::string, std::less<>> annotations;
};

/// What a netconf module is told (abi/netconf.h). Borrowed for the call.
struct NetconfRequest {
  std::string_view config_json;
  std::string_view container_id;
  std::string_view netns_path;  ///< empty when it is gone
  int netns_fd = -1;
  std::string_view interface_name;
  std::vector<std::pair<std::string, std::string>> args;
  const device::Device* device = nullptr;  ///< null in validate and status
  const Pod* pod = nullptr;                ///< null in validate and status
  std::string_view result_json;
};

/// Capability netconf/1 (abi/netconf.h).
class Netconf {
 public:
  virtual ~Netconf() = default;

  struct Attachment {
    std::string container_id;
    std::string interface_name;
  };

  [[nodiscard]] virtual const std::string& instance() const noexcept = 0;
  [[nodiscard]] virtual bool parallel_safe() const noexcept = 0;
  /// [any]
  [[nodiscard]] virtual Status validate(const Call& call, const NetconfRequest& request) = 0;
  /// [worker] The CNI result as JSON.
  [[nodiscard]] virtual Result<std::string> add(const Call& call,
                                                const NetconfRequest& request) = 0;
  /// [worker]
  [[nodiscard]] virtual Status del(const Call& call, const NetconfRequest& request) = 0;
  /// [worker] UNIMPLEMENTED for a module without it.
  [[nodiscard]] virtual Status check(const Call& call, const NetconfRequest& request) = 0;
  /// [worker] Success for a module without it.
  [[nodiscard]] virtual Status status(const Call& call, const NetconfRequest& request) = 0;
  /// [worker] Success for a module without it.
  [[nodiscard]] virtual Status gc(const Call& call, std::string_view config_json,
                                  const std::vector<Attachment>& alive) = 0;
};

struct Sandbox {
  Pod pod;
  std::string netns_path;  ///< empty = host network
  std::string runtime_handler;
  int pid = 0;
};

struct Container {
  std::string id;
  std::string name;
  std::string sandbox_id;
  bool running = false;
};

/// One event of the container runtime (abi/runtime_hooks.h).
struct RuntimeEvent {
  enum class Kind : std::uint32_t {
    kSynchronised = 1,
    kRunPodSandbox = 2,
    kStopPodSandbox = 3,
    kRemovePodSandbox = 4,
    kCreateContainer = 5,
    kDisconnected = 6,
  };
  Kind kind = Kind::kDisconnected;
  std::chrono::nanoseconds budget{0};  ///< 0 = unknown
  std::string source;                  ///< instance name of the module
  Sandbox sandbox;                     ///< of the event
  Container container;                 ///< kCreateContainer
  std::vector<Sandbox> sandboxes;      ///< kSynchronised
  std::vector<Container> containers;   ///< kSynchronised
};

/// Where runtime-hooks modules deliver events: implemented by pod/.
class RuntimeEvents {
 public:
  virtual ~RuntimeEvents() = default;
  using Reply = std::function<void(const Status&)>;
  /// [any] Returns at once; `reply` is called exactly once, from any thread, maybe before submit
  /// returns.
  [[nodiscard]] virtual std::uint64_t submit(RuntimeEvent event, Reply reply) = 0;
  /// [any] Nobody waits any more; the reply still comes.
  virtual void cancel(std::uint64_t event_id) = 0;
};

/// Capability runtime-hooks/1 (abi/runtime_hooks.h).
class RuntimeHooks {
 public:
  virtual ~RuntimeHooks() = default;
  [[nodiscard]] virtual const std::string& instance() const noexcept = 0;
  /// [control] Before start. `events` outlives the module's stop.
  virtual void set_events(RuntimeEvents& events) = 0;
  /// [any] 0 = unknown.
  [[nodiscard]] virtual std::chrono::nanoseconds request_timeout() = 0;
};

/// Capability cdi/1 (abi/cdi.h).
class CdiWriter {
 public:
  virtual ~CdiWriter() = default;
  [[nodiscard]] virtual const std::string& instance() const noexcept = 0;
  /// [worker]
  [[nodiscard]] virtual Status write_spec(const Call& call, std::string_view kind,
                                          std::string_view id, std::string_view spec_json) = 0;
  /// [worker]
  [[nodiscard]] virtual Status remove_spec(const Call& call, std::string_view kind,
                                           std::string_view id) = 0;
  /// [control] Ids of the specs of `kind` that this module wrote.
  [[nodiscard]] virtual Result<std::vector<std::string>> list_specs(const Call& call,
                                                                    std::string_view kind) = 0;
};

/// What is loaded, by role, each in list order. Borrowed pointers: the module registry owns the
/// instances and outlives every user. Built once at start; any thread.
struct Modules {
  std::vector<Discovery*> discovery;
  std::vector<Binding*> binding;
  Netconf* netconf = nullptr;  ///< at most one enabled
  std::vector<RuntimeHooks*> runtime_hooks;
  CdiWriter* cdi = nullptr;  ///< at most one enabled
};

}  // namespace drasriov::module
