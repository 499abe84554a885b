// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/cdi.h>

#include "host/module/adapters.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

class CdiAdapter final : public CdiWriter {
 public:
  CdiAdapter(InstanceCore& core, const drasriov_cdi_v1& table) : core_(core), table_(table) {}

  [[nodiscard]] const std::string& instance() const noexcept override { return core_.name; }

  [[nodiscard]] Status write_spec(const Call& call, std::string_view kind, std::string_view id,
                                  std::string_view spec_json) override {
    const ThreadTags::Worker tag(core_.tags, "write_spec", {.claim = id});
    return invoke(core_, "write_spec", call,
                  [&](const drasriov_call* abi_call, drasriov_error* error) {
                    return table_.write_spec(core_.module, abi_call, to_abi(kind), to_abi(id),
                                             to_abi(spec_json), error);
                  });
  }

  [[nodiscard]] Status remove_spec(const Call& call, std::string_view kind,
                                   std::string_view id) override {
    const ThreadTags::Worker tag(core_.tags, "remove_spec", {.claim = id});
    return invoke(
        core_, "remove_spec", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return table_.remove_spec(core_.module, abi_call, to_abi(kind), to_abi(id), error);
        });
  }

  [[nodiscard]] Result<std::vector<std::string>> list_specs(const Call& call,
                                                            std::string_view kind) override {
    const ThreadTags::Control tag(core_.tags, "list_specs");
    std::vector<std::string> ids;
    const drasriov_cdi_list_sink sink = {
        .struct_size = sizeof(drasriov_cdi_list_sink),
        .context = &ids,
        .spec =
            [](void* context, drasriov_string id) noexcept {
              static_cast<std::vector<std::string>*>(context)->emplace_back(to_view(id));
            },
    };
    auto status = invoke(
        core_, "list_specs", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return table_.list_specs(core_.module, abi_call, to_abi(kind), &sink, error);
        });
    if (!status) return std::move(status).error();
    return ids;
  }

 private:
  InstanceCore& core_;
  const drasriov_cdi_v1& table_;
};

}  // namespace

Result<std::unique_ptr<CdiWriter>> make_cdi_writer(InstanceCore& core, const void* capability) {
  const auto* table = static_cast<const drasriov_cdi_v1*>(capability);
  DRASRIOV_REQUIRE_MEMBER(core, "cdi/1", table, write_spec);
  DRASRIOV_REQUIRE_MEMBER(core, "cdi/1", table, remove_spec);
  DRASRIOV_REQUIRE_MEMBER(core, "cdi/1", table, list_specs);
  return std::unique_ptr<CdiWriter>(std::make_unique<CdiAdapter>(core, *table));
}

}  // namespace drasriov::module
