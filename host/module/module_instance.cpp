// SPDX-License-Identifier: Apache-2.0
#include "host/module/module_instance.hpp"

#include <drasriov/abi/module.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <thread>

#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

// A joined thread stays visible in /proc for a moment: the kernel wakes the joiner before it has
// unlinked the thread.
constexpr std::chrono::milliseconds kThreadGrace{500};

bool is_field_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

/// Those of `threads` that still run, after waiting a moment for them to end.
std::set<pid_t> survivors(const std::set<pid_t>& threads) {
  const Deadline grace = Deadline::after(kThreadGrace);
  for (;;) {
    std::set<pid_t> left;
    if (!threads.empty()) {
      std::ranges::set_intersection(threads, thread_ids(), std::inserter(left, left.begin()));
    }
    if (left.empty() || grace.expired()) return left;
    std::this_thread::yield();
  }
}

}  // namespace

std::set<pid_t> thread_ids() {
  std::set<pid_t> ids;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", failure)) {
    const std::string name = entry.path().filename();
    pid_t id = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), id).ec == std::errc())
      ids.insert(id);
  }
  return ids;
}

Result<ModuleSchemas> compile_schemas(const drasriov_module_table& table) {
  auto config = JsonSchema::compile(to_view(table.config_schema));
  if (!config) return config.error().with_context("its config_schema");
  auto claim = JsonSchema::compile(to_view(table.claim_schema));
  if (!claim) return claim.error().with_context("its claim_schema");
  return ModuleSchemas{*std::move(config), *std::move(claim)};
}

ModuleInstance::ModuleInstance(std::unique_ptr<InstanceCore> core,
                               std::shared_ptr<const ModuleLibrary> library,
                               JsonSchema claim_schema)
    : core_(std::move(core)),
      library_(std::move(library)),
      claim_schema_(std::move(claim_schema)) {}

Result<std::unique_ptr<ModuleInstance>> ModuleInstance::create(
    const config::ModuleEntry& entry, std::shared_ptr<const ModuleLibrary> library,
    const HostServices& services) {
  const std::string context = "module " + entry.name;
  const drasriov_module_table& table = library->table();
  auto schemas = compile_schemas(table);
  if (!schemas) return schemas.error().with_context(context);
  if (auto status = schemas->config.check_text(entry.config_json, "config"); !status) {
    return status.error().with_context(context);
  }

  auto core = std::make_unique<InstanceCore>(entry.name, table, services);
  std::unique_ptr<ModuleInstance> instance(
      new ModuleInstance(std::move(core), std::move(library), std::move(schemas->claim)));
  if (auto status = instance->create_handle(entry); !status) return std::move(status).error();
  if (auto status = instance->adopt_claim_fields(); !status)
    return status.error().with_context(context);
  if (auto status = instance->adopt_capabilities(); !status) return std::move(status).error();
  if (auto status = check_offered(instance->capabilities_, entry.capabilities); !status) {
    return status.error().with_context(context);
  }
  return instance;
}

Status ModuleInstance::create_handle(const config::ModuleEntry& entry) {
  const ThreadTags::Control tag(core_->tags, "create");
  drasriov_module* handle = nullptr;
  auto status = invoke(*core_, "create", Call{}, [&](const drasriov_call*, drasriov_error* error) {
    return core_->table.create(&HostServices::table(), core_->host.get(), to_abi(core_->name),
                               to_abi(entry.config_json), &handle, error);
  });
  if (!status) return status;
  if (handle == nullptr) {
    return Error(Code::kInternal,
                 "module " + core_->name + ": create succeeded, but gave no instance",
                 "report it to the module's vendor");
  }
  core_->module = handle;
  return {};
}

Status ModuleInstance::adopt_claim_fields() {
  const drasriov_module_table& table = core_->table;
  for (size_t i = 0; table.claim_fields != nullptr && i < table.claim_field_count; ++i) {
    const std::string_view field = to_view(table.claim_fields[i]);
    if (!is_field_name(field)) {
      return Error(Code::kInvalidArgument,
                   "its claim field \"" + printable(field) + "\" is no field name",
                   "use the names of VfConfig's fields");
    }
    claim_fields_.emplace_back(field);
  }
  return {};
}

template <typename Interface, typename Make>
Status ModuleInstance::adopt(const char* id, std::unique_ptr<Interface>& target, Make make) {
  const void* capability = nullptr;
  auto status = invoke_plain(*core_, "get_capability", [&] {
    capability = core_->table.get_capability(core_->module, to_abi(id));
  });
  if (!status) return status;

  const bool in_note = std::ranges::find(library_->manifest().capabilities, id) !=
                       library_->manifest().capabilities.end();
  if (library_->has_note() && in_note != (capability != nullptr)) {
    return Error(Code::kFailedPrecondition,
                 "module " + core_->name + ": its note " + (in_note ? "lists" : "does not list") +
                     " capability " + id + ", but get_capability " +
                     (capability != nullptr ? "has it" : "does not have it"),
                 "list in drasriov_add_module() exactly what the module offers");
  }
  if (capability == nullptr) return {};
  auto adapter = make(capability);
  if (!adapter) return std::move(adapter).error();
  target = *std::move(adapter);
  if (!in_note) capabilities_.emplace_back(id);
  return {};
}

Status ModuleInstance::adopt_capabilities() {
  capabilities_ = library_->manifest().capabilities;
  InstanceCore& core = *core_;
  auto status = adopt(DRASRIOV_CAPABILITY_DISCOVERY_1, discovery_,
                      [&](auto* t) { return make_discovery(core, t); });
  if (status) {
    status = adopt(DRASRIOV_CAPABILITY_BINDING_1, binding_,
                   [&](auto* t) { return make_binding(core, t, claim_fields_, claim_schema_); });
  }
  if (status)
    status = adopt(DRASRIOV_CAPABILITY_NETCONF_1, netconf_,
                   [&](auto* t) { return make_netconf(core, t); });
  if (status) {
    status = adopt(DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1, runtime_hooks_,
                   [&](auto* t) { return make_runtime_hooks(core, t); });
  }
  if (status)
    status =
        adopt(DRASRIOV_CAPABILITY_CDI_1, cdi_, [&](auto* t) { return make_cdi_writer(core, t); });
  if (!status) return status;

  if (!discovery_ && !binding_ && !netconf_ && !runtime_hooks_ && !cdi_) {
    return Error(Code::kFailedPrecondition,
                 "module " + core.name + ": it offers no capability that this host knows" +
                     (capabilities_.empty() ? "" : " (it has " + join_names(capabilities_) + ")"),
                 "use a newer dra-driver-sriov, or disable the module");
  }
  if (!claim_fields_.empty() && !binding_) {
    return Error(Code::kFailedPrecondition,
                 "module " + core.name + ": it owns claim field " + join_names(claim_fields_) +
                     ", but has no binding/1 to act on it",
                 "report it to the module's vendor");
  }
  return {};
}

Status ModuleInstance::start() {
  if (DRASRIOV_HAS(&core_->table, start)) {
    const ThreadTags::Control tag(core_->tags, "start");
    const std::set<pid_t> before = thread_ids();
    auto status = invoke(*core_, "start", Call{}, [&](const drasriov_call*, drasriov_error* error) {
      return core_->table.start(core_->module, error);
    });
    const std::set<pid_t> after = thread_ids();
    std::ranges::set_difference(after, before,
                                std::inserter(threads_of_start_, threads_of_start_.end()));
    if (!status) return status;
  }
  started_ = true;
  return {};
}

void ModuleInstance::stop() {
  if (!started_) return;
  started_ = false;
  if (!DRASRIOV_HAS(&core_->table, stop)) return;
  const ThreadTags::Control tag(core_->tags, "stop");
  auto status = invoke_plain(*core_, "stop", [&] { core_->table.stop(core_->module); });
  if (!status) core_->log().error(status.error(), {{telemetry::key::kModule, core_->name}});
}

ModuleInstance::~ModuleInstance() {
  stop();
  if (core_->module == nullptr) return;
  const std::set<pid_t> left = survivors(threads_of_start_);
  if (!left.empty()) {
    core_->log().error(Error(Code::kInternal,
                             "module " + core_->name + ": " + std::to_string(left.size()) +
                                 " of its threads still run after stop (thread " +
                                 std::to_string(*left.begin()) + "): it is not destroyed",
                             "report it to the module's vendor: stop must join every thread"),
                       {{telemetry::key::kModule, core_->name}});
    // The threads hold the host handle: it must stay valid as long as they run, which is as long as
    // the process.
    (void)core_.release();
    return;
  }
  const ThreadTags::Control tag(core_->tags, "destroy");
  auto status = invoke_plain(*core_, "destroy", [&] { core_->table.destroy(core_->module); });
  if (!status) core_->log().error(status.error(), {{telemetry::key::kModule, core_->name}});
}

Error missing_member(const InstanceCore& core, const char* capability, const char* member) {
  const std::string_view id(capability);
  return {Code::kFailedPrecondition,
          "module " + core.name + ": mandatory member " + member + " of capability " + capability +
              " is null or outside struct_size",
          "set it; " + std::string(id.substr(0, id.find('/'))) + ".h lists the mandatory members"};
}

}  // namespace drasriov::module
