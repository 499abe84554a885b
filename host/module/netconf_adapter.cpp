// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/netconf.h>

#include <optional>

#include "host/module/adapters.hpp"
#include "host/module/device_convert.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

template <typename Range>
std::vector<drasriov_pair> pairs_of(const Range& range) {
  std::vector<drasriov_pair> pairs;
  for (const auto& [key, value] : range) pairs.push_back({to_abi(key), to_abi(value)});
  return pairs;
}

/// The request as the C struct; borrows from it.
class NetconfRequestView {
 public:
  explicit NetconfRequestView(const NetconfRequest& request) : args_(pairs_of(request.args)) {
    if (request.device != nullptr) device_.emplace(*request.device);
    if (request.pod != nullptr) {
      labels_ = pairs_of(request.pod->labels);
      annotations_ = pairs_of(request.pod->annotations);
      pod_ = {.struct_size = sizeof(drasriov_pod),
              .uid = to_abi(request.pod->uid),
              .namespace_ = to_abi(request.pod->namespace_),
              .name = to_abi(request.pod->name),
              .sandbox_id = to_abi(request.pod->sandbox_id),
              .labels = labels_.data(),
              .label_count = labels_.size(),
              .annotations = annotations_.data(),
              .annotation_count = annotations_.size()};
    }
    request_ = {.struct_size = sizeof(drasriov_netconf_request),
                .netns_fd = request.netns_fd,
                .config_json = to_abi(request.config_json),
                .container_id = to_abi(request.container_id),
                .netns_path = to_abi(request.netns_path),
                .interface_name = to_abi(request.interface_name),
                .args = args_.data(),
                .arg_count = args_.size(),
                .device = device_ ? device_->get() : nullptr,
                .pod = request.pod != nullptr ? &pod_ : nullptr,
                .result_json = to_abi(request.result_json)};
  }
  NetconfRequestView(const NetconfRequestView&) = delete;
  NetconfRequestView& operator=(const NetconfRequestView&) = delete;

  [[nodiscard]] const drasriov_netconf_request* get() const noexcept { return &request_; }

 private:
  std::vector<drasriov_pair> args_;
  std::optional<DeviceView> device_;
  std::vector<drasriov_pair> labels_;
  std::vector<drasriov_pair> annotations_;
  drasriov_pod pod_ = {};
  drasriov_netconf_request request_;
};

class NetconfAdapter final : public Netconf {
 public:
  NetconfAdapter(InstanceCore& core, const drasriov_netconf_v1& table)
      : core_(core),
        table_(table) {}

  [[nodiscard]] const std::string& instance() const noexcept override { return core_.name; }
  [[nodiscard]] bool parallel_safe() const noexcept override {
    return (table_.flags & DRASRIOV_NETCONF_PARALLEL_SAFE) != 0;
  }

  [[nodiscard]] Status validate(const Call& call, const NetconfRequest& request) override {
    const NetconfRequestView view(request);
    return invoke(core_, "validate", call,
                  [&](const drasriov_call* abi_call, drasriov_error* error) {
                    return table_.validate(core_.module, abi_call, view.get(), error);
                  });
  }

  [[nodiscard]] Result<std::string> add(const Call& call, const NetconfRequest& request) override {
    const ThreadTags::Worker tag(core_.tags, "add", subject(request));
    const NetconfRequestView view(request);
    std::string result;
    const drasriov_netconf_sink sink = {
        .struct_size = sizeof(drasriov_netconf_sink),
        .context = &result,
        .result =
            [](void* context, drasriov_string json) noexcept {
              *static_cast<std::string*>(context) = to_view(json);
            },
    };
    auto status =
        invoke(core_, "add", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
          return table_.add(core_.module, abi_call, view.get(), &sink, error);
        });
    if (!status) return std::move(status).error();
    return result;
  }

  [[nodiscard]] Status del(const Call& call, const NetconfRequest& request) override {
    const ThreadTags::Worker tag(core_.tags, "del", subject(request));
    const NetconfRequestView view(request);
    return invoke(core_, "del", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
      return table_.del(core_.module, abi_call, view.get(), error);
    });
  }

  [[nodiscard]] Status check(const Call& call, const NetconfRequest& request) override {
    if (!DRASRIOV_HAS(&table_, check)) {
      return Error(Code::kUnimplemented, "module " + core_.name + " cannot check an attachment");
    }
    const ThreadTags::Worker tag(core_.tags, "check", subject(request));
    const NetconfRequestView view(request);
    return invoke(core_, "check", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
      return table_.check(core_.module, abi_call, view.get(), error);
    });
  }

  [[nodiscard]] Status status(const Call& call, const NetconfRequest& request) override {
    if (!DRASRIOV_HAS(&table_, status)) return {};
    const NetconfRequestView view(request);
    return invoke(core_, "status", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
      return table_.status(core_.module, abi_call, view.get(), error);
    });
  }

  [[nodiscard]] Status gc(const Call& call, std::string_view config_json,
                          const std::vector<Attachment>& alive) override {
    if (!DRASRIOV_HAS(&table_, gc)) return {};
    std::vector<drasriov_attachment> attachments;
    for (const Attachment& attachment : alive) {
      attachments.push_back({to_abi(attachment.container_id), to_abi(attachment.interface_name)});
    }
    return invoke(core_, "gc", call, [&](const drasriov_call* abi_call, drasriov_error* error) {
      return table_.gc(core_.module, abi_call, to_abi(config_json), attachments.data(),
                       attachments.size(), error);
    });
  }

 private:
  /// CNI forbids two operations at once on one container id, unless the module says that it copes.
  [[nodiscard]] ThreadTags::Worker::Subject subject(const NetconfRequest& request) const noexcept {
    return {.device = request.device == nullptr ? std::string_view() : request.device->name,
            .sandbox = parallel_safe() ? std::string_view() : request.container_id};
  }

  InstanceCore& core_;
  const drasriov_netconf_v1& table_;
};

}  // namespace

Result<std::unique_ptr<Netconf>> make_netconf(InstanceCore& core, const void* capability) {
  const auto* table = static_cast<const drasriov_netconf_v1*>(capability);
  DRASRIOV_REQUIRE_MEMBER(core, "netconf/1", table, validate);
  DRASRIOV_REQUIRE_MEMBER(core, "netconf/1", table, add);
  DRASRIOV_REQUIRE_MEMBER(core, "netconf/1", table, del);
  return std::unique_ptr<Netconf>(std::make_unique<NetconfAdapter>(core, *table));
}

}  // namespace drasriov::module
