// SPDX-License-Identifier: Apache-2.0
//
// A netconf module that only looks: a configuration of type "missing" has no plugin, every other one is fine. It attaches
// nothing.
#include <drasriov/sdk/module.hpp>
#include <string>
#include <string_view>

namespace drasriov::tests {
namespace {

class CheckingNetconf {
 public:
  CheckingNetconf(sdk::Host /*host*/, std::string_view /*instance*/,
                  std::string_view /*config_json*/) {}

  sdk::Status validate(const sdk::Call& /*call*/, const sdk::NetconfRequest& request) {
    if (request.config_json().find(R"("type":"missing")") == std::string_view::npos) return {};
    return sdk::Error(sdk::Code::kNotFound, "CNI plugin missing is not installed",
                      "put it into /opt/cni/bin");
  }
  sdk::Result<std::string> add(const sdk::Call& /*call*/, const sdk::NetconfRequest& /*request*/) {
    return std::string(R"({"cniVersion":"1.0.0"})");
  }
  sdk::Status del(const sdk::Call& /*call*/, const sdk::NetconfRequest& /*request*/) { return {}; }
};

}  // namespace
}  // namespace drasriov::tests

DRASRIOV_EXPORT_MODULE(drasriov::tests::CheckingNetconf);
