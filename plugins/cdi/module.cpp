// SPDX-License-Identifier: Apache-2.0
//
// Module cdi: capability cdi/1 on the directory of paths/1 root CDI. README.md beside this file.
#include <drasriov/sdk/module.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cdi_directory.hpp"

namespace drasriov::cdi {
namespace {

class CdiModule {
 public:
  static sdk::Result<std::unique_ptr<CdiModule>> create(sdk::Host host,
                                                        std::string_view /*instance*/,
                                                        std::string_view /*config_json*/) {
    const std::string_view root = host.root(sdk::Root::kCdi);
    if (root.empty()) {
      return sdk::Error(sdk::Code::kFailedPrecondition, "this host names no CDI directory",
                        "set --cdi-root, or update dra-driver-sriov");
    }
    return std::unique_ptr<CdiModule>(new CdiModule(host, root));
  }

  /// Said here, because claims say it only when they fail; they are served as soon as it is mended.
  sdk::Status start() {
    if (const auto writable = directory_.check_writable(); !writable) {
      host_.log().error(writable.error().message() +
                        "; no claim can be prepared — hint: " + writable.error().hint());
    }
    return {};
  }
  void stop() {}

  sdk::Status write_spec(const sdk::Call& call, std::string_view kind, std::string_view id,
                         std::string_view spec_json) {
    if (auto wanted = call.check(); !wanted) return wanted;
    const auto written = directory_.write(kind, id, spec_json);
    if (!written) return written.error();
    host_.log(call).debug(
        *written == CdiDirectory::Written::kNew ? "CDI spec written" : "CDI spec unchanged",
        {{"kind", kind}, {"id", id}});
    return {};
  }

  sdk::Status remove_spec(const sdk::Call& call, std::string_view kind, std::string_view id) {
    if (auto wanted = call.check(); !wanted) return wanted;
    if (auto removed = directory_.remove(kind, id); !removed) return removed;
    host_.log(call).debug("CDI spec removed", {{"kind", kind}, {"id", id}});
    return {};
  }

  sdk::Result<std::vector<std::string>> list_specs(const sdk::Call& call, std::string_view kind) {
    if (auto wanted = call.check(); !wanted) return wanted.error();
    auto listing = directory_.list(kind);
    if (!listing) return listing.error();
    if (listing->removed_temporaries > 0) {
      host_.log(call).info("removed temporary CDI files that a killed process left",
                           {{"directory", directory_.path().native()},
                            {"files", std::to_string(listing->removed_temporaries)}});
    }
    return std::move(listing->ids);
  }

 private:
  CdiModule(sdk::Host host, std::string_view root) : host_(host), directory_(root) {}

  sdk::Host host_;
  CdiDirectory directory_;
};

}  // namespace
}  // namespace drasriov::cdi

DRASRIOV_EXPORT_MODULE(drasriov::cdi::CdiModule);
