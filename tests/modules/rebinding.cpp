// SPDX-License-Identifier: Apache-2.0
//
// A binding module that owns `driver` and changes the `driver` link of a sysfs tree in a temporary folder, as the kernel
// would. It adopts what another driver bound.
#include <drasriov/sdk/module.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace drasriov::tests {
namespace {

namespace fs = std::filesystem;

class Rebinding {
 public:
  static constexpr std::array<std::string_view, 1> claim_fields = {"driver"};

  Rebinding(sdk::Host /*host*/, std::string_view /*instance*/, std::string_view /*config_json*/) {}

  sdk::Result<std::string> snapshot(const sdk::Call& /*call*/, const sdk::BindingRequest& request) {
    return fs::read_symlink(link(request)).filename().native();
  }
  sdk::Status prepare(const sdk::Call& /*call*/, const sdk::BindingRequest& request,
                      std::string_view /*snapshot*/, sdk::PrepareSink& /*sink*/) {
    bind(request, "vfio-pci");
    return {};
  }
  sdk::Status unprepare(const sdk::Call& /*call*/, const sdk::BindingRequest& request,
                        std::string_view snapshot, std::string_view /*state*/) {
    if (snapshot.empty()) return sdk::Error(sdk::Code::kDataLoss, "the snapshot is lost");
    bind(request, snapshot);
    return {};
  }
  sdk::Result<std::string> adopt(const sdk::Call& /*call*/, const sdk::BindingRequest& request) {
    return std::string(request.device().fact(DRASRIOV_FACT_DRIVER).value_or(""));
  }

 private:
  static fs::path link(const sdk::BindingRequest& request) {
    return fs::path(request.device().fact(DRASRIOV_FACT_SYSFS_PATH).value()) / "driver";
  }
  static void bind(const sdk::BindingRequest& request, std::string_view driver) {
    const fs::path path = link(request);
    const fs::path target = fs::read_symlink(path).parent_path() / driver;
    fs::remove(path);
    fs::create_symlink(target, path);
  }
};

}  // namespace
}  // namespace drasriov::tests

DRASRIOV_EXPORT_MODULE(drasriov::tests::Rebinding);
