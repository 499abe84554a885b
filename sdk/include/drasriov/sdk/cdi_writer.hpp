// SPDX-License-Identifier: Apache-2.0
//
// Capability cdi/1 in C++: the concept and the trampolines. Semantics: abi/cdi.h.
//
//   class MyCdi {
//    public:
//     // [worker]
//     Status write_spec(const Call&, std::string_view kind, std::string_view id,
//                       std::string_view spec_json);
//     // [worker]
//     Status remove_spec(const Call&, std::string_view kind, std::string_view id);
//     // [control]
//     Result<std::vector<std::string>> list_specs(const Call&, std::string_view kind);
//   };
#pragma once

#include <drasriov/abi/cdi.h>
#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/trampoline.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {

template <class Module>
concept HasWriteSpec = requires(Module& module, const Call& call, std::string_view view) {
  { module.write_spec(call, view, view, view) } -> std::same_as<Status>;
};
template <class Module>
concept HasRemoveSpec = requires(Module& module, const Call& call, std::string_view view) {
  { module.remove_spec(call, view, view) } -> std::same_as<Status>;
};
template <class Module>
concept HasListSpecs = requires(Module& module, const Call& call, std::string_view view) {
  { module.list_specs(call, view) } -> std::same_as<Result<std::vector<std::string>>>;
};

template <class Module>
concept CdiWriter = HasWriteSpec<Module> && HasRemoveSpec<Module> && HasListSpecs<Module>;

namespace detail {

DRASRIOV_SDK_DETECT_MEMBER(write_spec);
DRASRIOV_SDK_DETECT_MEMBER(remove_spec);
DRASRIOV_SDK_DETECT_MEMBER(list_specs);

template <class Module>
consteval void check_cdi_writer() {
  if constexpr (has_member_write_spec<Module> || has_member_remove_spec<Module> ||
                has_member_list_specs<Module>) {
    static_assert(HasWriteSpec<Module>,
                  "cdi/1: expected the public member "
                  "`Status write_spec(const Call& call, std::string_view kind, "
                  "std::string_view id, std::string_view spec_json)`");
    static_assert(HasRemoveSpec<Module>,
                  "cdi/1: expected the public member "
                  "`Status remove_spec(const Call& call, std::string_view kind, "
                  "std::string_view id)`");
    static_assert(HasListSpecs<Module>,
                  "cdi/1: expected the public member "
                  "`Result<std::vector<std::string>> list_specs(const Call& call, "
                  "std::string_view kind)`");
  }
}

template <class Module>
struct CdiTrampolines {
  static drasriov_status write_spec(drasriov_module* module, const drasriov_call* call,
                                    drasriov_string kind, drasriov_string id,
                                    drasriov_string spec_json, drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "write_spec", [&] {
      return self.module->write_spec(Call(self.host.table(), call), from_abi(kind), from_abi(id),
                                     from_abi(spec_json));
    });
  }

  static drasriov_status remove_spec(drasriov_module* module, const drasriov_call* call,
                                     drasriov_string kind, drasriov_string id,
                                     drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "remove_spec", [&] {
      return self.module->remove_spec(Call(self.host.table(), call), from_abi(kind), from_abi(id));
    });
  }

  static drasriov_status list_specs(drasriov_module* module, const drasriov_call* call,
                                    drasriov_string kind, const drasriov_cdi_list_sink* sink,
                                    drasriov_error* error) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, "list_specs", [&]() -> Status {
      const Result<std::vector<std::string>> ids =
          self.module->list_specs(Call(self.host.table(), call), from_abi(kind));
      if (!ids) {
        return ids.error();
      }
      if (DRASRIOV_HAS(sink, spec)) {
        for (const std::string& id : *ids) {
          sink->spec(sink->context, to_abi(id));
        }
      }
      return {};
    });
  }

  static constexpr drasriov_cdi_v1 kTable{
      .struct_size = sizeof(drasriov_cdi_v1),
      .write_spec = &write_spec,
      .remove_spec = &remove_spec,
      .list_specs = &list_specs,
  };
};

}  // namespace detail

}  // namespace abi_v1
}  // namespace drasriov::sdk
