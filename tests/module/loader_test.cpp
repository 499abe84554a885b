// SPDX-License-Identifier: Apache-2.0
//
// Module files through the real dynamic linker: what a correct module gives, and the exact sentence
// that an operator reads for every broken one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "host/base/durable_file.hpp"
#include "host/base/encoding.hpp"
#include "host/module/module_registry.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::module {
namespace {

using config::FailurePolicy;
using config::ModuleEntry;
using telemetry::KeptLog;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    std::string name = (std::filesystem::temp_directory_path() / "drasriov-loader-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~LoaderTest() override { std::filesystem::remove_all(directory_); }

  /// The fixture as a file of its own, as an installation would have it.
  [[nodiscard]] std::string install(const std::string& fixture,
                                    const std::string& as = "module.so") const {
    const auto target = directory_ / as;
    std::filesystem::copy_file(fixture, target, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::permissions(target, std::filesystem::perms(0644));
    return target;
  }

  [[nodiscard]] static ModuleEntry entry(const std::string& module) {
    return {.name = "acme", .module = module};
  }

  [[nodiscard]] auto load(std::vector<ModuleEntry> entries) {
    return ModuleRegistry::load(entries, services_, options_);
  }

  /// The sentence for an entry that cannot be loaded, with the directory written as "$DIR".
  [[nodiscard]] std::string refusal(std::vector<ModuleEntry> entries) {
    auto registry = load(std::move(entries));
    if (registry) return "it was loaded";
    std::string text = registry.error().to_string();
    for (auto at = text.find(directory_); at != std::string::npos; at = text.find(directory_)) {
      text.replace(at, directory_.native().size(), "$DIR");
    }
    return text;
  }
  [[nodiscard]] std::string refusal(const std::string& fixture) {
    return refusal(std::vector{entry(install(fixture))});
  }

  std::filesystem::path directory_;
  KeptLog log_;
  telemetry::Metrics metrics_{log_};
  HostServices services_{MachinePaths{}, log_, metrics_};
  LoadOptions options_;
};

TEST_F(LoaderTest, LoadsAModuleAndCallsIt) {
  const auto registry = load({entry(install(DRASRIOV_FIXTURE_GOOD_PATH))});
  ASSERT_TRUE(registry) << registry.error().to_string();
  ASSERT_TRUE((*registry)->start());
  ASSERT_EQ((*registry)->modules().discovery.size(), 1U);
  auto scan = (*registry)->modules().discovery[0]->scan({.id = "scan/1"});
  ASSERT_TRUE(scan) << scan.error().to_string();
  ASSERT_EQ(scan->devices.size(), 1U);
  EXPECT_EQ(scan->devices[0].name, "acme");
  EXPECT_EQ(scan->devices[0].module, "acme");
  const auto lines = log_.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].text, "scanning module=acme call=scan/1");
}

}  // namespace
}  // namespace drasriov::module
