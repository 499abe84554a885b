// SPDX-License-Identifier: Apache-2.0
//
// A binding module whose machine is one file: it owns the claim field `driver` and "binds" by writing the driver's name into
// the device's driver_override, as the first step of a real binding does. On a captured sysfs tree that file reacts to
// nothing, so a test can compare it with what it was. The driver name decides faults: "fail" fails prepare after the write,
// "busy" fails every unprepare while <sys>/busy exists.
#include <drasriov/sdk/module.hpp>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

namespace drasriov::tests {
namespace {

class OverrideBinding {
 public:
  static constexpr std::array<std::string_view, 1> claim_fields = {"driver"};

  OverrideBinding(sdk::Host host, std::string_view /*instance*/, std::string_view /*config_json*/)
      : sys_(host.root(sdk::Root::kSys)) {}

  sdk::Result<std::string> snapshot(const sdk::Call& /*call*/, const sdk::BindingRequest& request) {
    return read(file_of(request));
  }

  sdk::Status prepare(const sdk::Call& /*call*/, const sdk::BindingRequest& request,
                      std::string_view /*snapshot*/, sdk::PrepareSink& sink) {
    const std::string driver = driver_of(request);
    if (auto stored = sink.put_state("wrote " + driver); !stored) return stored;
    std::ofstream(file_of(request)) << driver << "\n";
    if (driver == "fail")
      return sdk::Error(sdk::Code::kFailedPrecondition, "driver fail does not bind",
                        "choose another");
    return sink.add_edits(R"({"env":["OVERRIDE_DRIVER=)" + driver + R"("]})");
  }

  sdk::Status unprepare(const sdk::Call& /*call*/, const sdk::BindingRequest& request,
                        std::string_view snapshot, std::string_view /*state*/) {
    if (std::ifstream(sys_ + "/busy").good()) {
      return sdk::Error(sdk::Code::kUnavailable, "device held open by pid 4711",
                        "stop the process");
    }
    std::ofstream(file_of(request)) << snapshot;
    return {};
  }

 private:
  static std::string file_of(const sdk::BindingRequest& request) {
    return std::string(*request.device().fact(DRASRIOV_FACT_SYSFS_PATH)) + "/driver_override";
  }

  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// The value of "driver" in the effective VfConfig; driver names need no JSON escapes.
  static std::string driver_of(const sdk::BindingRequest& request) {
    const std::string_view json = request.config_json();
    constexpr std::string_view kKey = R"("driver":")";
    const auto begin = json.find(kKey) + kKey.size();
    return std::string(json.substr(begin, json.find('"', begin) - begin));
  }

  std::string sys_;
};

}  // namespace
}  // namespace drasriov::tests

DRASRIOV_EXPORT_MODULE(drasriov::tests::OverrideBinding);
