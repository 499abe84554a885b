// SPDX-License-Identifier: Apache-2.0
//
// Capability runtime-hooks/1 in C++: the concept, events, and the way to the host. Semantics:
// abi/runtime_hooks.h.
//
//   class MyHooks {
//    public:
//     // [control] before start(): keep it
//     void set_events(RuntimeEvents events);
//     // [any] optional, 0 = unknown
//     std::chrono::nanoseconds request_timeout();
//     // [control] the transport's thread lives between the two
//     Status start();
//     void stop();
//   };
#pragma once

#include <drasriov/abi/runtime_hooks.h>
#include <drasriov/sdk/device.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/trampoline.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {

/// The pod of a sandbox as the runtime names it. Owned.
struct Pod {
  std::string uid;
  std::string namespace_;
  std::string name;
  std::string sandbox_id;
  std::vector<Entry> labels;
  std::vector<Entry> annotations;
};

struct Sandbox {
  Pod pod;
  std::string netns_path;  ///< empty = host network
  std::string runtime_handler;
  int pid = 0;  ///< of the sandbox's process, 0 when unknown
};

struct Container {
  std::string id;
  std::string name;
  std::string sandbox_id;
  bool running = false;  ///< its process was started once
};

enum class EventKind : std::uint32_t {
  kSynchronised = DRASRIOV_EVENT_SYNCHRONISED,  ///< connected; sandboxes and containers: what lives
  kRunPodSandbox = DRASRIOV_EVENT_RUN_POD_SANDBOX,
  kStopPodSandbox = DRASRIOV_EVENT_STOP_POD_SANDBOX,
  kRemovePodSandbox = DRASRIOV_EVENT_REMOVE_POD_SANDBOX,
  kCreateContainer = DRASRIOV_EVENT_CREATE_CONTAINER,
  kDisconnected = DRASRIOV_EVENT_DISCONNECTED,
};

struct RuntimeEvent {
  EventKind kind = EventKind::kDisconnected;
  std::chrono::nanoseconds budget{0};  ///< how long the runtime waits for this answer, 0 = unknown
  Sandbox sandbox;                     ///< not of kSynchronised and kDisconnected
  Container container;                 ///< of kCreateContainer
  std::vector<Sandbox> sandboxes;      ///< of kSynchronised
  std::vector<Container> containers;   ///< of kSynchronised
};

/// kOk = go on; anything else refuses, message is what the runtime reports. Called exactly once, on
/// any thread of the host, maybe before submit returns; at the latest during stop().
using Reply = std::function<void(Code code, std::string_view message)>;

namespace detail {

/// RuntimeEvent as the ABI wants it; points into the event.
class AbiEvent {
 public:
  explicit AbiEvent(const RuntimeEvent& event) {
    const std::size_t count = event.sandboxes.size() + 1;
    pairs_.reserve(2 * count);
    pods_.reserve(count);
    sandboxes_.reserve(count);
    for (const Sandbox& sandbox : event.sandboxes) {
      add(sandbox);
    }
    add(event.sandbox);
    containers_.reserve(event.containers.size() + 1);
    for (const Container& container : event.containers) {
      add(container);
    }
    add(event.container);
    const bool of_sandbox =
        event.kind != EventKind::kSynchronised && event.kind != EventKind::kDisconnected;
    abi_ = {
        .struct_size = sizeof(drasriov_runtime_event),
        .kind = static_cast<std::uint32_t>(event.kind),
        .budget_ns = event.budget.count(),
        .sandbox = of_sandbox ? &sandboxes_.back() : nullptr,
        .container = event.kind == EventKind::kCreateContainer ? &containers_.back() : nullptr,
        .sandboxes = sandboxes_.data(),
        .sandbox_count = event.sandboxes.size(),
        .sandbox_stride = sizeof(drasriov_sandbox),
        .containers = containers_.data(),
        .container_count = event.containers.size(),
        .container_stride = sizeof(drasriov_container),
    };
  }
  AbiEvent(const AbiEvent&) = delete;
  AbiEvent& operator=(const AbiEvent&) = delete;

  [[nodiscard]] const drasriov_runtime_event* get() const noexcept { return &abi_; }

 private:
  const std::vector<drasriov_pair>& convert(const std::vector<Entry>& entries) {
    std::vector<drasriov_pair>& pairs = pairs_.emplace_back();
    pairs.reserve(entries.size());
    for (const Entry& entry : entries) {
      pairs.push_back({to_abi(entry.key), to_abi(entry.value)});
    }
    return pairs;
  }
  void add(const Sandbox& sandbox) {
    const auto& labels = convert(sandbox.pod.labels);
    const auto& annotations = convert(sandbox.pod.annotations);
    pods_.push_back({
        .struct_size = sizeof(drasriov_pod),
        .uid = to_abi(sandbox.pod.uid),
        .namespace_ = to_abi(sandbox.pod.namespace_),
        .name = to_abi(sandbox.pod.name),
        .sandbox_id = to_abi(sandbox.pod.sandbox_id),
        .labels = labels.data(),
        .label_count = labels.size(),
        .annotations = annotations.data(),
        .annotation_count = annotations.size(),
    });
    sandboxes_.push_back({
        .struct_size = sizeof(drasriov_sandbox),
        .pid = sandbox.pid,
        .pod = &pods_.back(),
        .netns_path = to_abi(sandbox.netns_path),
        .runtime_handler = to_abi(sandbox.runtime_handler),
    });
  }
  void add(const Container& container) {
    containers_.push_back({
        .struct_size = sizeof(drasriov_container),
        .running = container.running ? 1 : 0,
        .id = to_abi(container.id),
        .name = to_abi(container.name),
        .sandbox_id = to_abi(container.sandbox_id),
    });
  }

  std::vector<std::vector<drasriov_pair>> pairs_;
  std::vector<drasriov_pod> pods_;
  std::vector<drasriov_sandbox> sandboxes_;
  std::vector<drasriov_container> containers_;
  drasriov_runtime_event abi_{};
};

/// A reply on its way; freed by the one call that it gets.
struct PendingReply {
  Host host;
  Reply reply;
};

inline void deliver_reply(void* context, drasriov_status code, drasriov_string message) noexcept {
  const std::unique_ptr<PendingReply> pending(static_cast<PendingReply*>(context));
  guarded_or(pending->host, 0, "reply", [&] {
    pending->reply(static_cast<Code>(code), from_abi(message));
    return 0;
  });
}

}  // namespace detail

/// The way of runtime events to the host. A value that is copied freely; any thread, until stop()
/// has returned.
class RuntimeEvents {
 public:
  RuntimeEvents(Host host, const drasriov_runtime_events_v1* events) noexcept
      : host_(host),
        events_(events) {}

  /// Copies the event and returns at once with an id > 0.
  std::uint64_t submit(const RuntimeEvent& event, Reply reply) const {
    if (!DRASRIOV_HAS(events_, submit)) {
      reply(Code::kUnimplemented, "this host takes no runtime events");
      return 0;
    }
    const detail::AbiEvent abi(event);
    auto pending =
        std::make_unique<detail::PendingReply>(detail::PendingReply{host_, std::move(reply)});
    return events_->submit(host_.handle(), abi.get(), &detail::deliver_reply, pending.release());
  }

  /// Nobody waits for the answer any more. The reply still comes.
  void cancel(std::uint64_t event_id) const noexcept {
    if (DRASRIOV_HAS(events_, cancel)) {
      events_->cancel(host_.handle(), event_id);
    }
  }

 private:
  Host host_;
  const drasriov_runtime_events_v1* events_;
};

template <class Module>
concept HasSetEvents = requires(Module& module, RuntimeEvents events) {
  { module.set_events(events) } -> std::same_as<void>;
};
template <class Module>
concept HasRequestTimeout = requires(Module& module) {
  { module.request_timeout() } -> std::same_as<std::chrono::nanoseconds>;
};

template <class Module>
concept RuntimeHooks = HasSetEvents<Module>;

namespace detail {

DRASRIOV_SDK_DETECT_MEMBER(set_events);
DRASRIOV_SDK_DETECT_MEMBER(request_timeout);

template <class Module>
consteval void check_runtime_hooks() {
  if constexpr (has_member_set_events<Module>) {
    static_assert(HasSetEvents<Module>,
                  "runtime-hooks/1: expected the public member "
                  "`void set_events(RuntimeEvents events)`");
    static_assert(!has_member_request_timeout<Module> || HasRequestTimeout<Module>,
                  "runtime-hooks/1: expected the public member "
                  "`std::chrono::nanoseconds request_timeout()`");
  }
}

template <class Module>
struct RuntimeHooksTrampolines {
  static void set_events(drasriov_module* module,
                         const drasriov_runtime_events_v1* events) noexcept {
    auto& self = instance<Module>(module);
    guarded_or(self.host, 0, "set_events", [&] {
      self.module->set_events(RuntimeEvents(self.host, events));
      return 0;
    });
  }

  static std::int64_t request_timeout_ns(drasriov_module* module) noexcept {
    auto& self = instance<Module>(module);
    return guarded_or(self.host, std::int64_t{0}, "request_timeout",
                      [&] { return std::int64_t{self.module->request_timeout().count()}; });
  }

  static constexpr drasriov_runtime_hooks_v1 make() noexcept {
    drasriov_runtime_hooks_v1 table{};
    table.struct_size = sizeof(table);
    table.set_events = &set_events;
    if constexpr (HasRequestTimeout<Module>) {
      table.request_timeout_ns = &request_timeout_ns;
    }
    return table;
  }

  static constexpr drasriov_runtime_hooks_v1 kTable = make();
};

}  // namespace detail

}  // namespace abi_v1
}  // namespace drasriov::sdk
