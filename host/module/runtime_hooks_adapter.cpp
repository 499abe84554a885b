// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/runtime_hooks.h>

#include <limits>

#include "host/module/adapters.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

/// The id of an event that was answered without asking anybody; RuntimeEvents never hears of it.
constexpr std::uint64_t kAnswered = std::numeric_limits<std::uint64_t>::max();

template <typename Map>
Map map_of(const drasriov_pair* pairs, size_t count) {
  Map map;
  for (size_t i = 0; pairs != nullptr && i < count; ++i)
    map.emplace(to_view(pairs[i].key), to_view(pairs[i].value));
  return map;
}

Error malformed(const std::string& what) {
  return {Code::kInvalidArgument, "runtime event is malformed: " + what,
          "report it to the module's vendor"};
}

Result<Sandbox> sandbox_of(const drasriov_sandbox* sandbox) {
  if (sandbox == nullptr || !DRASRIOV_COVERS(sandbox, runtime_handler))
    return malformed("no or short sandbox");
  const drasriov_pod* pod = sandbox->pod;
  if (pod == nullptr || !DRASRIOV_COVERS(pod, annotation_count))
    return malformed("no or short pod");
  using Pairs = decltype(Pod::labels);
  return Sandbox{.pod = {.uid = std::string(to_view(pod->uid)),
                         .namespace_ = std::string(to_view(pod->namespace_)),
                         .name = std::string(to_view(pod->name)),
                         .sandbox_id = std::string(to_view(pod->sandbox_id)),
                         .labels = map_of<Pairs>(pod->labels, pod->label_count),
                         .annotations = map_of<Pairs>(pod->annotations, pod->annotation_count)},
                 .netns_path = std::string(to_view(sandbox->netns_path)),
                 .runtime_handler = std::string(to_view(sandbox->runtime_handler)),
                 .pid = sandbox->pid};
}

Result<Container> container_of(const drasriov_container* container) {
  if (container == nullptr || !DRASRIOV_COVERS(container, sandbox_id))
    return malformed("no or short container");
  return Container{.id = std::string(to_view(container->id)),
                   .name = std::string(to_view(container->name)),
                   .sandbox_id = std::string(to_view(container->sandbox_id)),
                   .running = container->running != 0};
}

/// Copies an array of growable structs, whose element size is the stride.
template <typename T, typename Abi, typename Convert>
Status append_all(const Abi* base, size_t stride, size_t count, Convert convert,
                  std::vector<T>& target) {
  for (size_t i = 0; base != nullptr && i < count; ++i) {
    auto element = convert(static_cast<const Abi*>(DRASRIOV_AT(base, stride, i)));
    if (!element) return std::move(element).error();
    target.push_back(*std::move(element));
  }
  return {};
}

Result<RuntimeEvent> event_of(const drasriov_runtime_event* event, const std::string& source) {
  if (event == nullptr || !DRASRIOV_COVERS(event, container_stride))
    return malformed("no or short event");
  RuntimeEvent out;
  out.kind = static_cast<RuntimeEvent::Kind>(event->kind);
  out.budget = std::chrono::nanoseconds(event->budget_ns < 0 ? 0 : event->budget_ns);
  out.source = source;
  switch (event->kind) {
    case DRASRIOV_EVENT_SYNCHRONISED: {
      auto status = append_all(event->sandboxes, event->sandbox_stride, event->sandbox_count,
                               sandbox_of, out.sandboxes);
      if (status) {
        status = append_all(event->containers, event->container_stride, event->container_count,
                            container_of, out.containers);
      }
      if (!status) return std::move(status).error();
      return out;
    }
    case DRASRIOV_EVENT_CREATE_CONTAINER: {
      auto container = container_of(event->container);
      if (!container) return std::move(container).error();
      out.container = *std::move(container);
      [[fallthrough]];
    }
    case DRASRIOV_EVENT_RUN_POD_SANDBOX:
    case DRASRIOV_EVENT_STOP_POD_SANDBOX:
    case DRASRIOV_EVENT_REMOVE_POD_SANDBOX: {
      auto sandbox = sandbox_of(event->sandbox);
      if (!sandbox) return std::move(sandbox).error();
      out.sandbox = *std::move(sandbox);
      return out;
    }
    case DRASRIOV_EVENT_DISCONNECTED: return out;
    default: return malformed("kind " + std::to_string(event->kind));
  }
}

uint64_t submit(drasriov_host* host, const drasriov_runtime_event* event, drasriov_reply_fn reply,
                void* context) noexcept {
  const auto answer = [reply, context](const Status& status) {
    if (reply == nullptr) return;
    if (status) {
      reply(context, DRASRIOV_OK, {});
    } else {
      const std::string text = status.error().to_string();
      reply(context, static_cast<drasriov_status>(status.error().code()), to_abi(text));
    }
  };
  auto converted = event_of(event, host->instance);
  if (!converted) {
    host->services.log().error(converted.error(), {{telemetry::key::kModule, host->instance}});
    answer(std::move(converted).error());
    return kAnswered;
  }
  return host->events.load()->submit(*std::move(converted), answer);
}

void cancel(drasriov_host* host, uint64_t event_id) noexcept {
  if (event_id != kAnswered) host->events.load()->cancel(event_id);
}

constexpr drasriov_runtime_events_v1 kEvents = {
    .struct_size = sizeof(drasriov_runtime_events_v1),
    .submit = submit,
    .cancel = cancel,
};

class RuntimeHooksAdapter final : public RuntimeHooks {
 public:
  RuntimeHooksAdapter(InstanceCore& core, const drasriov_runtime_hooks_v1& table)
      : core_(core),
        table_(table) {}

  [[nodiscard]] const std::string& instance() const noexcept override { return core_.name; }

  void set_events(RuntimeEvents& events) override {
    const ThreadTags::Control tag(core_.tags, "set_events");
    core_.host->events.store(&events);
    auto status =
        invoke_plain(core_, "set_events", [&] { table_.set_events(core_.module, &kEvents); });
    if (!status) core_.log().error(status.error(), {{telemetry::key::kModule, core_.name}});
  }

  [[nodiscard]] std::chrono::nanoseconds request_timeout() override {
    if (!DRASRIOV_HAS(&table_, request_timeout_ns)) return {};
    int64_t timeout = 0;
    auto status = invoke_plain(core_, "request_timeout_ns",
                               [&] { timeout = table_.request_timeout_ns(core_.module); });
    return std::chrono::nanoseconds(status && timeout > 0 ? timeout : 0);
  }

 private:
  InstanceCore& core_;
  const drasriov_runtime_hooks_v1& table_;
};

}  // namespace

Result<std::unique_ptr<RuntimeHooks>> make_runtime_hooks(InstanceCore& core,
                                                         const void* capability) {
  const auto* table = static_cast<const drasriov_runtime_hooks_v1*>(capability);
  DRASRIOV_REQUIRE_MEMBER(core, "runtime-hooks/1", table, set_events);
  return std::unique_ptr<RuntimeHooks>(std::make_unique<RuntimeHooksAdapter>(core, *table));
}

}  // namespace drasriov::module
