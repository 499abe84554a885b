// SPDX-License-Identifier: Apache-2.0
#include "answer.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "network.hpp"

namespace drasriov::netconf_cni {
namespace {

using sdk::Code;

constexpr std::size_t kMostMessageBytes = 1024;
constexpr std::size_t kMostErrorBytes = std::size_t{64} << 10U;

struct KnownCode {
  int code;
  Code kind;
  std::string_view hint;
};

constexpr std::array<KnownCode, 11> kKnownCodes = {{
    {1, Code::kFailedPrecondition, "set a cniVersion in spec.config that the plugin supports"},
    {2, Code::kInvalidArgument, "the plugin does not know a field of spec.config"},
    {3, Code::kNotFound, "the sandbox is gone"},
    {4, Code::kInvalidArgument, "the plugin refuses sandbox id, interface name or CNI_ARGS"},
    {5, Code::kUnavailable, "the node's disk or network failed the plugin: look at its own log"},
    {6, Code::kInvalidArgument, "the plugin could not read spec.config"},
    {7, Code::kInvalidArgument, "correct spec.config of the NetworkAttachmentDefinition"},
    {8, Code::kFailedPrecondition, "the sandbox's network namespace is not usable"},
    {11, Code::kUnavailable, "the plugin asks to be tried again later; it is"},
    {50, Code::kUnavailable, "the plugin is not ready: look at its daemon on this node"},
    {51, Code::kUnavailable, "the plugin is not ready: look at its daemon on this node"},
}};

struct KnownText {
  std::string_view part;
  std::string_view hint;
};

constexpr std::string_view kNoInterface =
    "the device has no interface on the node: its driver makes none, or another sandbox has it";

/// What plugins of the field say with code 999 or none.
constexpr std::array<KnownText, 16> kKnownTexts = {{
    {"is already allocated", "another sandbox has the VF by the plugin's records: delete that pod"},
    {"failed to find plugin", "install the plugin that it calls (`ipam.type`) beside it"},
    {"no IP addresses available", "the range of `ipam` is used up: enlarge it, or release leases"},
    {"operation not permitted", "the driver's container needs CAP_NET_ADMIN and CAP_SYS_ADMIN"},
    {"file exists", "the sandbox has an interface of that name: set another `ifName`"},
    {"dhcp.sock", "`ipam` of type dhcp needs the daemon of the dhcp plugin on this node"},
    {"cannot unmarshal", "correct spec.config: a field has another type than the plugin reads"},
    {"no net directory under", kNoInterface},
    {"failed to find network device", kNoInterface},
    {"driver: no such file or directory", "the device is bound to no kernel driver: bind it"},
    {"Link not found", "spec.config names an interface (`master`, `device`) that the node lacks"},
    {"incompatible CNI versions", "set a cniVersion in spec.config that all its plugins support"},
    // sriov-cni's, which gives no codes; the last two stand for many.
    {"failed to get VF information", "the VF is gone, or its physical function has no interface"},
    {"does not have a interface name or a dpdk driver", kNoInterface},
    {"LoadConf()", "correct spec.config of the NetworkAttachmentDefinition"},
    {"failed to set up IPAM plugin", "correct `ipam` in spec.config"},
}};

std::string hint_for(int code, const std::string& text) {
  for (const KnownText& known : kKnownTexts) {
    if (text.find(known.part) != std::string::npos) return std::string(known.hint);
  }
  const auto known = std::ranges::find(kKnownCodes, code, &KnownCode::code);
  return known == kKnownCodes.end() ? std::string() : std::string(known->hint);
}

Code kind_of(int code) {
  const auto known = std::ranges::find(kKnownCodes, code, &KnownCode::code);
  return known == kKnownCodes.end() ? Code::kUnknown : known->kind;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string()
             ? excerpt(found->get_ref<const std::string&>(), kMostMessageBytes)
             : std::string();
}

}  // namespace

bool nothing_to_delete(const PluginFailure& failure) {
  // host-device, newer and Debian's: the interface has left the sandbox, or never was there; its IPAM's DEL has run before.
  const std::string& text = failure.error.message();
  const auto found = text.find("failed to find \"");
  return failure.code == kContainerUnknown ||
         (found != std::string::npos &&
          (text.find("\": Link not found", found) != std::string::npos ||
           text.find("\" in containerNS: Link not found", found) != std::string::npos));
}

std::string excerpt(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : text) {
    const char plain = c > ' ' && c < 0x7f ? c : ' ';
    if (plain == ' ' && (out.empty() || out.back() == ' ')) continue;
    if (out.size() == most) {
      out += "...";
      return out;
    }
    out += plain;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

PluginFailure read_failure(const sdk::ExecResult& ended) {
  const std::string complaint = excerpt(ended.diagnostics, kMostMessageBytes);
  const std::string said = complaint.empty() ? std::string() : ": \"" + complaint + "\"";
  if (ended.signal != 0) {
    return {0, sdk::Error(Code::kInternal,
                          "it was ended by signal " + std::to_string(ended.signal) + said,
                          "the plugin crashed or was killed: see the kernel's log")};
  }
  const std::string status = "exit status " + std::to_string(ended.exit_code);
  if (excerpt(ended.output, 1).empty()) {
    return {0, sdk::Error(Code::kUnknown, status + " without a CNI error" + said,
                          hint_for(0, complaint))};
  }
  const auto answer = parse_object(ended.output, "its answer", kMostErrorBytes);
  if (!answer) {
    return {0, sdk::Error(Code::kUnknown,
                          status + ", and its answer is no CNI error: \"" +
                              excerpt(ended.output, 200) + "\"" + said,
                          hint_for(0, complaint))};
  }
  int code = 0;
  const auto number = answer->find("code");
  if (number != answer->end() && number->is_number_unsigned() &&
      number->get<std::uint64_t>() <= 1'000'000)
    code = number->get<int>();
  std::string text = text_of(*answer, "msg");
  if (const std::string details = text_of(*answer, "details"); !details.empty())
    text += (text.empty() ? "" : "; ") + details;
  const std::string message =
      "CNI error " + std::to_string(code) + (text.empty() ? said : ": " + text);
  return {code, sdk::Error(kind_of(code), message, hint_for(code, text))};
}

}  // namespace drasriov::netconf_cni
