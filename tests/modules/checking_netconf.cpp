// SPDX-License-Identifier: Apache-2.0
//
// A netconf module whose network is the folder "attached" below the `sys` root: add writes a file with the device's name
// that holds sandbox and interface, del removes it. A configuration of type "missing" has no plugin, one of type "failing"
// has one that moves the device and then fails.
#include <drasriov/sdk/module.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace drasriov::tests {
namespace {

namespace fs = std::filesystem;

bool is_of_type(const sdk::NetconfRequest& request, std::string_view type) {
  return request.config_json().find("\"type\":\"" + std::string(type) + "\"") !=
         std::string_view::npos;
}

class CheckingNetconf {
 public:
  CheckingNetconf(sdk::Host host, std::string_view /*instance*/, std::string_view /*config_json*/)
      : folder_(fs::path(host.root(sdk::Root::kSys)) / "attached") {}

  sdk::Status validate(const sdk::Call& /*call*/, const sdk::NetconfRequest& request) {
    if (!is_of_type(request, "missing")) return {};
    return sdk::Error(sdk::Code::kNotFound, "CNI plugin missing is not installed",
                      "put it into /opt/cni/bin");
  }
  sdk::Result<std::string> add(const sdk::Call& /*call*/, const sdk::NetconfRequest& request) {
    fs::create_directories(folder_);
    std::ofstream(file(request)) << request.container_id() << " " << request.interface_name();
    if (is_of_type(request, "failing"))
      return sdk::Error(sdk::Code::kUnavailable, "CNI plugin failing: code 11");
    return std::string(R"({"cniVersion":"1.0.0"})");
  }
  sdk::Status del(const sdk::Call& /*call*/, const sdk::NetconfRequest& request) {
    fs::remove(file(request));
    return {};
  }

 private:
  [[nodiscard]] fs::path file(const sdk::NetconfRequest& request) const {
    return folder_ / std::string(request.device().name());
  }

  fs::path folder_;
};

}  // namespace
}  // namespace drasriov::tests

DRASRIOV_EXPORT_MODULE(drasriov::tests::CheckingNetconf);
