// SPDX-License-Identifier: Apache-2.0
//
// Capability netconf/1 in C++: the concept, the request and the trampolines. Semantics:
// abi/netconf.h.
//
//   class MyNetconf {
//    public:
//     static constexpr bool parallel_safe = true;  // optional, default false
//
//     // [any]
//     Status validate(const Call&, const NetconfRequest&);
//     // [worker] the CNI result, or ""
//     Result<std::string> add(const Call&, const NetconfRequest&);
//     // [worker]
//     Status del(const Call&, const NetconfRequest&);
//     // [worker] the other three are optional
//     Status check(const Call&, const NetconfRequest&);
//     Status status(const Call&, const NetconfRequest&);
//     Status gc(const Call&, std::string_view config_json, AttachmentList alive);
//   };
#pragma once

#include <drasriov/abi/netconf.h>
#include <drasriov/sdk/call.hpp>
#include <drasriov/sdk/device.hpp>
#include <drasriov/sdk/trampoline.hpp>

#include <concepts>
#include <string>
#include <string_view>

namespace drasriov::sdk {
inline namespace abi_v1 {

/// The pod as the container runtime names it. Borrowed for the call.
class PodView {
 public:
  explicit PodView(const drasriov_pod* pod) noexcept : pod_(pod) {}

  /// False only in validate and status.
  [[nodiscard]] bool present() const noexcept { return pod_ != nullptr; }
  [[nodiscard]] std::string_view uid() const noexcept { return text(pod_, &drasriov_pod::uid); }
  [[nodiscard]] std::string_view namespace_() const noexcept {
    return text(pod_, &drasriov_pod::namespace_);
  }
  [[nodiscard]] std::string_view name() const noexcept { return text(pod_, &drasriov_pod::name); }
  [[nodiscard]] std::string_view sandbox_id() const noexcept {
    return text(pod_, &drasriov_pod::sandbox_id);
  }
  [[nodiscard]] PairList labels() const noexcept {
    return array(pod_, &drasriov_pod::labels, &drasriov_pod::label_count);
  }
  [[nodiscard]] PairList annotations() const noexcept {
    return array(pod_, &drasriov_pod::annotations, &drasriov_pod::annotation_count);
  }

 private:
  const drasriov_pod* pod_;
};

/// One device of one sandbox. Borrowed for the call.
class NetconfRequest {
 public:
  explicit NetconfRequest(const drasriov_netconf_request* request) noexcept : request_(request) {}

  /// As written in the NetworkAttachmentDefinition.
  [[nodiscard]] std::string_view config_json() const noexcept {
    return text(request_, &drasriov_netconf_request::config_json);
  }
  /// The sandbox's id.
  [[nodiscard]] std::string_view container_id() const noexcept {
    return text(request_, &drasriov_netconf_request::container_id);
  }
  /// Empty when the namespace is gone: del still releases what it can.
  [[nodiscard]] std::string_view netns_path() const noexcept {
    return text(request_, &drasriov_netconf_request::netns_path);
  }
  /// Open, borrowed; -1 when the namespace is gone.
  [[nodiscard]] int netns_fd() const noexcept {
    return request_ != nullptr && covers(request_, &drasriov_netconf_request::netns_fd)
               ? request_->netns_fd
               : -1;
  }
  [[nodiscard]] std::string_view interface_name() const noexcept {
    return text(request_, &drasriov_netconf_request::interface_name);
  }
  /// CNI_ARGS without the pod's own, which the module makes from pod().
  [[nodiscard]] PairList args() const noexcept {
    return array(request_, &drasriov_netconf_request::args, &drasriov_netconf_request::arg_count);
  }
  [[nodiscard]] DeviceView device() const noexcept {
    return DeviceView(get(request_, &drasriov_netconf_request::device));
  }
  [[nodiscard]] PodView pod() const noexcept {
    return PodView(get(request_, &drasriov_netconf_request::pod));
  }
  /// Of the add, for check and del; empty when unknown.
  [[nodiscard]] std::string_view result_json() const noexcept {
    return text(request_, &drasriov_netconf_request::result_json);
  }

 private:
  const drasriov_netconf_request* request_;
};

/// An attachment that is alive, for gc. Borrowed.
struct Attachment {
  std::string_view container_id;
  std::string_view interface_name;
};

[[nodiscard]] constexpr Attachment attachment_from_abi(
    const drasriov_attachment& attachment) noexcept {
  return {from_abi(attachment.container_id), from_abi(attachment.interface_name)};
}

using AttachmentList = ListView<drasriov_attachment, &attachment_from_abi>;

template <class Module>
concept HasValidate = requires(Module& module, const Call& call, const NetconfRequest& request) {
  { module.validate(call, request) } -> std::same_as<Status>;
};
template <class Module>
concept HasAdd = requires(Module& module, const Call& call, const NetconfRequest& request) {
  { module.add(call, request) } -> std::same_as<Result<std::string>>;
};
template <class Module>
concept HasDel = requires(Module& module, const Call& call, const NetconfRequest& request) {
  { module.del(call, request) } -> std::same_as<Status>;
};
template <class Module>
concept HasCheck = requires(Module& module, const Call& call, const NetconfRequest& request) {
  { module.check(call, request) } -> std::same_as<Status>;
};
template <class Module>
concept HasStatus = requires(Module& module, const Call& call, const NetconfRequest& request) {
  { module.status(call, request) } -> std::same_as<Status>;
};
template <class Module>
concept HasGc = requires(Module& module, const Call& call, std::string_view config_json,
                         AttachmentList alive) {
  { module.gc(call, config_json, alive) } -> std::same_as<Status>;
};

template <class Module>
concept Netconf = HasValidate<Module> && HasAdd<Module> && HasDel<Module>;

namespace detail {

DRASRIOV_SDK_DETECT_MEMBER(validate);
DRASRIOV_SDK_DETECT_MEMBER(add);
DRASRIOV_SDK_DETECT_MEMBER(del);
DRASRIOV_SDK_DETECT_MEMBER(check);
DRASRIOV_SDK_DETECT_MEMBER(status);
DRASRIOV_SDK_DETECT_MEMBER(gc);

/// add and del name the capability; the other names are common words, checked only beside them.
template <class Module>
consteval void check_netconf() {
  if constexpr (has_member_add<Module> || has_member_del<Module>) {
    static_assert(HasValidate<Module>,
                  "netconf/1: expected the public member "
                  "`Status validate(const Call& call, const NetconfRequest& request)`");
    static_assert(HasAdd<Module>,
                  "netconf/1: expected the public member "
                  "`Result<std::string> add(const Call& call, const NetconfRequest& request)`");
    static_assert(HasDel<Module>,
                  "netconf/1: expected the public member "
                  "`Status del(const Call& call, const NetconfRequest& request)`");
    static_assert(!has_member_check<Module> || HasCheck<Module>,
                  "netconf/1: expected the public member "
                  "`Status check(const Call& call, const NetconfRequest& request)`");
    static_assert(!has_member_status<Module> || HasStatus<Module>,
                  "netconf/1: expected the public member "
                  "`Status status(const Call& call, const NetconfRequest& request)`");
    static_assert(!has_member_gc<Module> || HasGc<Module>,
                  "netconf/1: expected the public member "
                  "`Status gc(const Call& call, std::string_view config_json, "
                  "AttachmentList alive)`");
  }
}

template <class Module>
struct NetconfTrampolines {
  template <class Body>
  static drasriov_status with(drasriov_module* module, const drasriov_call* call,
                              drasriov_error* error, std::string_view function,
                              Body body) noexcept {
    auto& self = instance<Module>(module);
    return guarded(self.host.table(), error, function,
                   [&] { return body(*self.module, Call(self.host.table(), call)); });
  }

  static drasriov_status validate(drasriov_module* module, const drasriov_call* call,
                                  const drasriov_netconf_request* request,
                                  drasriov_error* error) noexcept {
    return with(module, call, error, "validate", [&](Module& self, const Call& running) {
      return self.validate(running, NetconfRequest(request));
    });
  }

  static drasriov_status add(drasriov_module* module, const drasriov_call* call,
                             const drasriov_netconf_request* request,
                             const drasriov_netconf_sink* sink, drasriov_error* error) noexcept {
    return with(module, call, error, "add", [&](Module& self, const Call& running) -> Status {
      const Result<std::string> result = self.add(running, NetconfRequest(request));
      if (!result) {
        return result.error();
      }
      if (!result->empty() && DRASRIOV_HAS(sink, result)) {
        sink->result(sink->context, to_abi(*result));
      }
      return {};
    });
  }

  static drasriov_status del(drasriov_module* module, const drasriov_call* call,
                             const drasriov_netconf_request* request,
                             drasriov_error* error) noexcept {
    return with(module, call, error, "del", [&](Module& self, const Call& running) {
      return self.del(running, NetconfRequest(request));
    });
  }

  static drasriov_status check(drasriov_module* module, const drasriov_call* call,
                               const drasriov_netconf_request* request,
                               drasriov_error* error) noexcept {
    return with(module, call, error, "check", [&](Module& self, const Call& running) {
      return self.check(running, NetconfRequest(request));
    });
  }

  static drasriov_status status(drasriov_module* module, const drasriov_call* call,
                                const drasriov_netconf_request* request,
                                drasriov_error* error) noexcept {
    return with(module, call, error, "status", [&](Module& self, const Call& running) {
      return self.status(running, NetconfRequest(request));
    });
  }

  static drasriov_status gc(drasriov_module* module, const drasriov_call* call,
                            drasriov_string config_json, const drasriov_attachment* alive,
                            std::size_t alive_count, drasriov_error* error) noexcept {
    return with(module, call, error, "gc", [&](Module& self, const Call& running) {
      return self.gc(running, from_abi(config_json), AttachmentList(std::span(alive, alive_count)));
    });
  }

  static constexpr bool parallel_safe() noexcept {
    if constexpr (requires { Module::parallel_safe; }) {
      return Module::parallel_safe;
    } else {
      return false;
    }
  }

  static constexpr drasriov_netconf_v1 make() noexcept {
    drasriov_netconf_v1 table{};
    table.struct_size = sizeof(table);
    table.flags = parallel_safe() ? DRASRIOV_NETCONF_PARALLEL_SAFE : 0;
    table.validate = &validate;
    table.add = &add;
    table.del = &del;
    if constexpr (HasCheck<Module>) {
      table.check = &check;
    }
    if constexpr (HasStatus<Module>) {
      table.status = &status;
    }
    if constexpr (HasGc<Module>) {
      table.gc = &gc;
    }
    return table;
  }

  static constexpr drasriov_netconf_v1 kTable = make();
};

}  // namespace detail

}  // namespace abi_v1
}  // namespace drasriov::sdk
