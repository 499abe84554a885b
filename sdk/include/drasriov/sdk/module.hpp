// SPDX-License-Identifier: Apache-2.0
//
// From a class to a module: the table, the capability list and DRASRIOV_EXPORT_MODULE.
//
//   class MyModule {
//    public:
//     // All three optional. Schemas are JSON Schema texts.
//     static constexpr std::string_view config_schema = R"({"type":"object","properties":{}})";
//     static constexpr std::string_view claim_schema = R"({"type":"object","properties":{}})";
//     static constexpr std::array<std::string_view, 1> claim_fields = {"driver"};
//
//     // [control] One of the two; Config (config.hpp) may be std::string_view, the JSON text.
//     MyModule(Host host, std::string_view instance, const Config& config);
//     static Result<std::unique_ptr<MyModule>> create(Host, std::string_view, const Config&);
//
//     // [control] optional: threads, sockets and watches begin here ...
//     Status start();
//     // ... and have ended when this returns
//     void stop();
//
//     // Members of one or more capabilities: discovery.hpp, binding.hpp, netconf.hpp,
//     // runtime_hooks.hpp, cdi_writer.hpp.
//   };
//
//   DRASRIOV_EXPORT_MODULE(MyModule);  // in exactly one source file
//
// Several instances of a module may exist in a process: no global state.
#pragma once

#include <drasriov/abi/module.h>
#include <drasriov/sdk/binding.hpp>
#include <drasriov/sdk/cdi_writer.hpp>
#include <drasriov/sdk/discovery.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/netconf.hpp>
#include <drasriov/sdk/note.hpp>
#include <drasriov/sdk/result.hpp>
#include <drasriov/sdk/runtime_hooks.hpp>
#include <drasriov/sdk/trampoline.hpp>

#include <array>
#include <concepts>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace drasriov::sdk {
inline namespace abi_v1 {

class Config;  // config.hpp

namespace detail {

// ---- capabilities ----

struct CapabilityEntry {
  std::string_view id;
  const void* table = nullptr;
};

template <class Module>
constexpr auto make_capabilities() {
  constexpr std::size_t count = (Discovery<Module> ? 1 : 0) + (Binding<Module> ? 1 : 0) +
                                (Netconf<Module> ? 1 : 0) + (RuntimeHooks<Module> ? 1 : 0) +
                                (CdiWriter<Module> ? 1 : 0);
  std::array<CapabilityEntry, count> entries{};
  [[maybe_unused]] std::size_t next = 0;
  if constexpr (Discovery<Module>) {
    entries[next++] = {DRASRIOV_CAPABILITY_DISCOVERY_1, &DiscoveryTrampolines<Module>::kTable};
  }
  if constexpr (Binding<Module>) {
    entries[next++] = {DRASRIOV_CAPABILITY_BINDING_1, &BindingTrampolines<Module>::kTable};
  }
  if constexpr (Netconf<Module>) {
    entries[next++] = {DRASRIOV_CAPABILITY_NETCONF_1, &NetconfTrampolines<Module>::kTable};
  }
  if constexpr (RuntimeHooks<Module>) {
    entries[next++] = {DRASRIOV_CAPABILITY_RUNTIME_HOOKS_1,
                       &RuntimeHooksTrampolines<Module>::kTable};
  }
  if constexpr (CdiWriter<Module>) {
    entries[next++] = {DRASRIOV_CAPABILITY_CDI_1, &CdiTrampolines<Module>::kTable};
  }
  return entries;
}

template <class Module>
inline constexpr auto kCapabilities = make_capabilities<Module>();

// ---- construction ----

template <class Module, class Settings>
concept HasFactory = requires(Host host, std::string_view instance, const Settings& settings) {
  { Module::create(host, instance, settings) } -> std::same_as<Result<std::unique_ptr<Module>>>;
};
template <class Module, class Settings>
concept HasConstructor = std::is_constructible_v<Module, Host, std::string_view, const Settings&>;

template <class Module, class Settings>
Result<std::unique_ptr<Module>> construct(const Host& host, std::string_view instance,
                                          const Settings& settings) {
  if constexpr (HasFactory<Module, Settings>) {
    return Module::create(host, instance, settings);
  } else {
    return std::make_unique<Module>(host, instance, settings);
  }
}

template <class Module, class Settings = Config>
Result<std::unique_ptr<Module>> construct_from_text(const Host& host, std::string_view instance,
                                                    std::string_view config_json) {
  if constexpr (HasFactory<Module, std::string_view> || HasConstructor<Module, std::string_view>) {
    return construct<Module>(host, instance, config_json);
  } else {
    const Result<Settings> config = Settings::parse(config_json);
    if (!config) {
      return config.error();
    }
    return construct<Module>(host, instance, *config);
  }
}

DRASRIOV_SDK_DETECT_MEMBER(create);
DRASRIOV_SDK_DETECT_MEMBER(start);
DRASRIOV_SDK_DETECT_MEMBER(stop);

template <class Module>
concept HasStart = requires(Module& module) {
  { module.start() } -> std::same_as<Status>;
};
template <class Module>
concept HasStop = requires(Module& module) {
  { module.stop() } -> std::same_as<void>;
};

/// Every complaint about a module class, each with the signature that was expected.
template <class Module>
consteval bool check_module() {
  static_assert(std::is_class_v<Module> && !std::is_final_v<Module>,
                "a module is a class that is not final");
  check_discovery<Module>();
  check_binding<Module>();
  check_netconf<Module>();
  check_runtime_hooks<Module>();
  check_cdi_writer<Module>();
  static_assert(Discovery<Module> || Binding<Module> || Netconf<Module> || RuntimeHooks<Module> ||
                    CdiWriter<Module>,
                "the class satisfies none of the concepts Discovery (scan), Binding (snapshot, "
                "prepare, unprepare), Netconf (validate, add, del), RuntimeHooks (set_events), "
                "CdiWriter (write_spec, remove_spec, list_specs): a module offers at least one");
  static_assert(!has_member_create<Module> || HasFactory<Module, Config> ||
                    HasFactory<Module, std::string_view>,
                "expected the public member `static Result<std::unique_ptr<Module>> "
                "create(Host host, std::string_view instance, const Config& config)`");
  static_assert(has_member_create<Module> || HasConstructor<Module, Config> ||
                    HasConstructor<Module, std::string_view>,
                "expected the public constructor `Module(Host host, std::string_view instance, "
                "const Config& config)`, or a static member create of that form");
  static_assert(!has_member_start<Module> || HasStart<Module>,
                "expected the public member `Status start()`");
  static_assert(!has_member_stop<Module> || HasStop<Module>,
                "expected the public member `void stop()`");
  static_assert(!HasStart<Module> || HasStop<Module>,
                "a module with start() needs `void stop()`: its threads must have ended then");
  return true;
}

// ---- the table ----

template <class Module>
struct ModuleTrampolines {
  static drasriov_status create(const drasriov_host_table* table, drasriov_host* host,
                                drasriov_string instance_name, drasriov_string config_json,
                                drasriov_module** out, drasriov_error* error) noexcept {
    return guarded(table, error, "create", [&]() -> Status {
      const Host services(table, host);
      auto module =
          construct_from_text<Module>(services, from_abi(instance_name), from_abi(config_json));
      if (!module) {
        return module.error();
      }
      auto created =
          std::make_unique<Instance<Module>>(Instance<Module>{services, *std::move(module)});
      *out = reinterpret_cast<drasriov_module*>(created.release());
      return {};
    });
  }

  static void destroy(drasriov_module* module) noexcept { delete &instance<Module>(module); }

  static const void* get_capability(drasriov_module*, drasriov_string id) noexcept {
    for (const CapabilityEntry& entry : kCapabilities<Module>) {
      if (entry.id == from_abi(id)) {
        return entry.table;
      }
    }
    return nullptr;
  }

  static drasriov_status start(drasriov_module* module, drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "start", [&] { return self.module->start(); });
  }

  static void stop(drasriov_module* module) noexcept {
    auto& self = instance<Module>(module);
    guarded_or(self.host, 0, "stop", [&] {
      self.module->stop();
      return 0;
    });
  }
};

template <class Module>
constexpr auto make_claim_fields() {
  if constexpr (requires { Module::claim_fields; }) {
    std::array<drasriov_string, std::size(Module::claim_fields)> fields{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
      fields[i] = to_abi(std::string_view(Module::claim_fields[i]));
    }
    return fields;
  } else {
    return std::array<drasriov_string, 0>{};
  }
}

template <class Module>
inline constexpr auto kClaimFields = make_claim_fields<Module>();

}  // namespace detail

namespace detail {

template <const ModuleInfo& Info>
consteval bool check_info() {
  static_assert(is_module_name(Info.name), "NAME: use [a-z0-9-]+");
  static_assert(!Info.version.empty() && is_plain(Info.version), "VERSION: not semantic");
  static_assert(is_plain(Info.vendor) && is_plain(Info.license),
                "VENDOR and LICENSE: no quotes, no backslashes, no control characters");
  static_assert(parse_min_host_minor(Info.min_host_abi) >= 0, "MIN_HOST_ABI: write 1.<minor>");
  static_assert(parse_min_host_minor(Info.min_host_abi) <= DRASRIOV_TARGET_ABI_MINOR,
                "MIN_HOST_ABI is newer than the headers: update DraSriovSDK");
  return true;
}

}  // namespace detail

/// The table of a module class: for the export macro, for static registration and for tests.
template <class Module, const ModuleInfo& Info>
[[nodiscard]] consteval drasriov_module_table make_module_table() {
  static_assert(detail::check_module<Module>());
  static_assert(detail::check_info<Info>());
  using Trampolines = detail::ModuleTrampolines<Module>;
  drasriov_module_table table{};
  table.struct_size = sizeof(table);
  table.abi_major = DRASRIOV_ABI_MAJOR;
  table.abi_minor = DRASRIOV_TARGET_ABI_MINOR;
  table.min_host_minor =
      static_cast<std::uint32_t>(detail::parse_min_host_minor(Info.min_host_abi));
  table.name = to_abi(Info.name);
  table.version = to_abi(Info.version);
  if constexpr (requires { Module::config_schema; }) {
    table.config_schema = to_abi(Module::config_schema);
  }
  if constexpr (requires { Module::claim_schema; }) {
    table.claim_schema = to_abi(Module::claim_schema);
  }
  if constexpr (!detail::kClaimFields<Module>.empty()) {
    static_assert(Binding<Module>, "claim_fields are owned by a module with binding/1");
    table.claim_fields = detail::kClaimFields<Module>.data();
    table.claim_field_count = detail::kClaimFields<Module>.size();
  }
  table.create = &Trampolines::create;
  table.destroy = &Trampolines::destroy;
  table.get_capability = &Trampolines::get_capability;
  if constexpr (detail::HasStart<Module>) {
    table.start = &Trampolines::start;
  }
  if constexpr (detail::HasStop<Module>) {
    table.stop = &Trampolines::stop;
  }
  return table;
}

/// The ELF note of a module class.
template <class Module, const ModuleInfo& Info>
[[nodiscard]] consteval auto make_note() {
  static_assert(detail::check_info<Info>());
  constexpr auto ids = [] {
    std::array<std::string_view, detail::kCapabilities<Module>.size()> list{};
    for (std::size_t i = 0; i < list.size(); ++i) {
      list[i] = detail::kCapabilities<Module>[i].id;
    }
    return list;
  }();
  constexpr std::size_t size = detail::write_manifest(nullptr, Info, ids.data(), ids.size());
  detail::ElfNote<size> note;
  constexpr std::string_view owner = DRASRIOV_NOTE_OWNER;
  for (std::size_t i = 0; i < owner.size(); ++i) {
    note.name[i] = owner[i];
  }
  detail::write_manifest(note.payload.data(), Info, ids.data(), ids.size());
  return note;
}

}  // namespace abi_v1
}  // namespace drasriov::sdk

/// Makes the class the module of this shared object: one table, one ELF note, one exported
/// function. The DRASRIOV_MODULE_… values come from drasriov_add_module(), so that CMake, note and
/// table cannot disagree. The note is no template, because gcc drops section attributes of
/// templates; `used` keeps it through LTO, `retain` through --gc-sections.
#define DRASRIOV_EXPORT_MODULE(...)                                                              \
  namespace {                                                                                    \
  constexpr ::drasriov::sdk::ModuleInfo drasriov_module_info{                                    \
      .name = DRASRIOV_MODULE_NAME,                                                              \
      .version = DRASRIOV_MODULE_VERSION,                                                        \
      .vendor = DRASRIOV_MODULE_VENDOR,                                                          \
      .license = DRASRIOV_MODULE_LICENSE,                                                        \
      .min_host_abi = DRASRIOV_MODULE_MIN_HOST_ABI,                                              \
  };                                                                                             \
  constexpr ::drasriov_module_table drasriov_module_table_v1 =                                   \
      ::drasriov::sdk::make_module_table<__VA_ARGS__, drasriov_module_info>();                   \
  __attribute__((used, retain, section(DRASRIOV_NOTE_SECTION),                                   \
                 aligned(4))) constexpr auto drasriov_module_note =                              \
      ::drasriov::sdk::make_note<__VA_ARGS__, drasriov_module_info>();                           \
  }                                                                                              \
  extern "C" DRASRIOV_EXPORT const ::drasriov_module_table* drasriov_module_query_v1(            \
      std::uint32_t host_major, std::uint32_t host_minor);                                       \
  extern "C" const ::drasriov_module_table* drasriov_module_query_v1(std::uint32_t host_major,   \
                                                                     std::uint32_t host_minor) { \
    return host_major == DRASRIOV_ABI_MAJOR &&                                                   \
                   host_minor >= drasriov_module_table_v1.min_host_minor                         \
               ? &drasriov_module_table_v1                                                       \
               : nullptr;                                                                        \
  }                                                                                              \
  static_assert(true, "")
