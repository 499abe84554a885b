// SPDX-License-Identifier: Apache-2.0
//
// CapturedNode: a captured sysfs with a kernel that answers, and BindingVfio over both. One thread,
// beside the module's own.
#pragma once

#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/recorders.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "plugins/binding-vfio/binding_vfio.hpp"
#include "tests/fake_kernel/fake_kernel.hpp"

namespace drasriov::binding_vfio::testing {

inline const std::string kPf = "0000:11:00.0";
inline const std::string kVf = "0000:11:10.2";  ///< IOMMU group 10, at rest with igbvf

/// The modules of this kernel: loading one gives the kernel a driver of the same name.
class ListedModules final : public kernel_modules::KernelModules {
 public:
  explicit ListedModules(drasriov::testing::FakeKernel& kernel, std::filesystem::path sys)
      : kernel_(kernel),
        sys_(std::move(sys)) {}

  [[nodiscard]] sdk::Status load(std::string_view name) override;
  [[nodiscard]] sdk::Result<std::vector<std::string>> claiming(std::string_view modalias) override;

  std::vector<std::string> available;  ///< what can be loaded
  std::vector<std::string> loaded;     ///< what was asked for
  std::vector<std::string> claims;     ///< the answer of claiming()

 private:
  drasriov::testing::FakeKernel& kernel_;
  std::filesystem::path sys_;
};

/// The two halves of a prepare as the host calls them.
struct Prepared {
  std::string snapshot;
  sdk::Status status;
  std::vector<std::string> edits;
  std::map<std::string, std::string, std::less<>> facts;
};

class CapturedNode {
 public:
  explicit CapturedNode(std::string_view config_json = "{}");

  sdk::testing::FakeHost host;
  drasriov::testing::FakeKernel kernel;
  std::shared_ptr<ListedModules> modules;

  /// Another process of the driver: nothing is remembered.
  void restart();
  [[nodiscard]] BindingVfio& module() { return *module_; }
  [[nodiscard]] sdk::testing::TestBindingRequest request(const std::string& driver,
                                                         const std::string& address = kVf) const;
  [[nodiscard]] Prepared prepare(const std::string& driver, const std::string& address = kVf);
  [[nodiscard]] sdk::Status unprepare(const std::string& driver, const std::string& snapshot,
                                      const std::string& address = kVf);
  /// A process below the proc root that has the node open.
  void open_node(const std::string& pid, const std::string& name, const std::string& node);
  void close_node(const std::string& pid);

 private:
  Settings settings_;
  std::unique_ptr<BindingVfio> module_;
};

}  // namespace drasriov::binding_vfio::testing
