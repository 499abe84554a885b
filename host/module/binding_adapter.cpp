// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/binding.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "host/module/adapters.hpp"
#include "host/module/device_convert.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

/// The request as the C struct; borrows from it.
class BindingRequestView {
 public:
  explicit BindingRequestView(const BindingRequest& request) : device_(*request.device) {
    if (request.consumers != nullptr) {
      for (const Consumer& consumer : *request.consumers) {
        consumers_.push_back(
            {to_abi(consumer.resource), to_abi(consumer.name), to_abi(consumer.uid)});
      }
    }
    request_ = {.struct_size = sizeof(drasriov_binding_request),
                .claim_namespace = to_abi(request.claim_namespace),
                .claim_name = to_abi(request.claim_name),
                .claim_uid = to_abi(request.claim_uid),
                .request = to_abi(request.request),
                .device = device_.get(),
                .config_json = to_abi(request.config_json),
                .parameters_json = to_abi(request.parameters_json),
                .netconf_json = to_abi(request.netconf_json),
                .consumers = consumers_.data(),
                .consumer_count = consumers_.size()};
  }
  BindingRequestView(const BindingRequestView&) = delete;
  BindingRequestView& operator=(const BindingRequestView&) = delete;

  [[nodiscard]] const drasriov_binding_request* get() const noexcept { return &request_; }

 private:
  DeviceView device_;
  std::vector<drasriov_consumer> consumers_;
  drasriov_binding_request request_;
};

/// What prepare() leaves. State goes through at once, because it must be durable when put_state()
/// returns; edits and facts are handed on only when the module succeeded.
struct Preparation {
  PrepareSink& sink;
  std::vector<std::string> edits = {};
  std::vector<std::pair<std::string, std::string>> facts = {};
  std::optional<Error> failure =
      std::nullopt;  ///< the first of the sink; a module that goes on regardless still fails

  [[nodiscard]] drasriov_status outcome(Status status) {
    if (status) return DRASRIOV_OK;
    const auto code = static_cast<drasriov_status>(status.error().code());
    if (!failure) failure = std::move(status).error();
    return code;
  }

  [[nodiscard]] drasriov_status add_edits(drasriov_string json) {
    const auto parsed = nlohmann::json::parse(to_view(json), nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object()) {
      return outcome(Error(Code::kInvalidArgument, "its containerEdits are no JSON object",
                           "report it to the module's vendor"));
    }
    edits.emplace_back(to_view(json));
    return DRASRIOV_OK;
  }

  [[nodiscard]] drasriov_prepare_sink abi() noexcept {
    return {
        .struct_size = sizeof(drasriov_prepare_sink),
        .context = this,
        .put_state = [](void* context, drasriov_bytes state) noexcept -> drasriov_status {
          auto& self = *static_cast<Preparation*>(context);
          return self.outcome(self.sink.put_state(to_view(state)));
        },
        .add_edits = [](void* context, drasriov_string json) noexcept -> drasriov_status {
          return static_cast<Preparation*>(context)->add_edits(json);
        },
        .set_fact =
            [](void* context, drasriov_string key, drasriov_string value) noexcept {
              auto& self = *static_cast<Preparation*>(context);
              if (to_view(key).empty() || !is_utf8(to_view(key)) || !is_utf8(to_view(value))) {
                (void)self.outcome(
                    Error(Code::kInvalidArgument,
                          "fact \"" + printable(to_view(key)) + "\" is empty or not UTF-8",
                          "report it to the module's vendor"));
                return;
              }
              self.facts.emplace_back(to_view(key), to_view(value));
            },
    };
  }
};

class BindingAdapter final : public Binding {
 public:
  BindingAdapter(InstanceCore& core, const drasriov_binding_v1& table,
                 std::vector<std::string> claim_fields, const JsonSchema& claim_schema)
      : core_(core),
        table_(table),
        claim_fields_(std::move(claim_fields)),
        claim_schema_(claim_schema) {}

  [[nodiscard]] const std::string& instance() const noexcept override { return core_.name; }
  [[nodiscard]] const std::vector<std::string>& claim_fields() const noexcept override {
    return claim_fields_;
  }

  [[nodiscard]] Status check_parameters(std::string_view parameters_json) const override {
    return claim_schema_.check_text(parameters_json, "modules." + core_.name);
  }

  [[nodiscard]] bool handles(const BindingRequest& request, bool field_set) override {
    if (!DRASRIOV_HAS(&table_, handles)) return field_set;
    const BindingRequestView view(request);
    bool answer = false;
    auto status = invoke_plain(core_, "handles",
                               [&] { answer = table_.handles(core_.module, view.get()) != 0; });
    if (!status) {
      // Taking part is the safe side: prepare then fails with the module's own reason instead of
      // leaving it out.
      core_.log().error(status.error(), {{telemetry::key::kModule, core_.name}});
      return true;
    }
    return answer;
  }

  [[nodiscard]] Result<std::string> snapshot(const Call& call,
                                             const BindingRequest& request) override {
    return taken_by("snapshot", table_.snapshot, call, request);
  }

  [[nodiscard]] Result<std::string> adopt(const Call& call,
                                          const BindingRequest& request) override {
    if (!DRASRIOV_HAS(&table_, adopt)) {
      return Error(Code::kUnimplemented,
                   "module " + core_.name + " cannot take over what another driver prepared");
    }
    return taken_by("adopt", table_.adopt, call, request);
  }

  [[nodiscard]] Status prepare(const Call& call, const BindingRequest& request,
                               std::string_view snapshot, PrepareSink& sink) override {
    const ThreadTags::Worker tag(core_.tags, "prepare", subject(request));
    const BindingRequestView view(request);
    Preparation preparation{sink};
    const drasriov_prepare_sink abi_sink = preparation.abi();
    auto status =
        invoke(core_, "prepare", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return table_.prepare(core_.module, abi_call, view.get(), to_abi_bytes(snapshot),
                                &abi_sink, error);
        });
    if (!status) return status;
    if (preparation.failure) return preparation.failure->with_context("module " + core_.name);
    for (const std::string& edits : preparation.edits) {
      if (auto added = sink.add_edits(edits); !added)
        return added.error().with_context("module " + core_.name);
    }
    for (const auto& [key, value] : preparation.facts) sink.set_fact(key, value);
    return {};
  }

  [[nodiscard]] Status settle(const Call& call, const BindingRequest& request,
                              std::string_view snapshot) override {
    if (!DRASRIOV_HAS(&table_, settle)) return {};
    const ThreadTags::Worker tag(core_.tags, "settle", subject(request));
    const BindingRequestView view(request);
    return invoke(core_, "settle", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
      return table_.settle(core_.module, abi_call, view.get(), to_abi_bytes(snapshot), error);
    });
  }

  [[nodiscard]] Status unprepare(const Call& call, const BindingRequest& request,
                                 std::string_view snapshot, std::string_view state) override {
    const ThreadTags::Worker tag(core_.tags, "unprepare", subject(request));
    const BindingRequestView view(request);
    return invoke(core_, "unprepare", call,
                  [&](const drasriov_call* abi_call, drasriov_error* error) {
                    return table_.unprepare(core_.module, abi_call, view.get(),
                                            to_abi_bytes(snapshot), to_abi_bytes(state), error);
                  });
  }

 private:
  [[nodiscard]] static ThreadTags::Worker::Subject subject(const BindingRequest& request) noexcept {
    return {.claim = request.claim_uid, .device = request.device->name};
  }

  /// The snapshot that `function` puts.
  [[nodiscard]] Result<std::string> taken_by(const char* name,
                                             decltype(drasriov_binding_v1::snapshot) function,
                                             const Call& call, const BindingRequest& request) {
    const ThreadTags::Worker tag(core_.tags, name, subject(request));
    const BindingRequestView view(request);
    std::string taken;
    const drasriov_snapshot_sink sink = {
        .struct_size = sizeof(drasriov_snapshot_sink),
        .context = &taken,
        .put_snapshot =
            [](void* context, drasriov_bytes bytes) noexcept {
              *static_cast<std::string*>(context) = to_view(bytes);
            },
    };
    auto status =
        invoke(core_, name, call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return function(core_.module, abi_call, view.get(), &sink, error);
        });
    if (!status) return std::move(status).error();
    return taken;
  }

  InstanceCore& core_;
  const drasriov_binding_v1& table_;
  const std::vector<std::string> claim_fields_;
  const JsonSchema& claim_schema_;
};

}  // namespace

Result<std::unique_ptr<Binding>> make_binding(InstanceCore& core, const void* capability,
                                              std::vector<std::string> claim_fields,
                                              const JsonSchema& claim_schema) {
  const auto* table = static_cast<const drasriov_binding_v1*>(capability);
  DRASRIOV_REQUIRE_MEMBER(core, "binding/1", table, snapshot);
  DRASRIOV_REQUIRE_MEMBER(core, "binding/1", table, prepare);
  DRASRIOV_REQUIRE_MEMBER(core, "binding/1", table, unprepare);
  return std::unique_ptr<Binding>(
      std::make_unique<BindingAdapter>(core, *table, std::move(claim_fields), claim_schema));
}

}  // namespace drasriov::module
