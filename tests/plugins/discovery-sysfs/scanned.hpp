// SPDX-License-Identifier: Apache-2.0
//
// Scanned: one scan of a tree through the module's C table, as the host sees it. For tests; one
// thread.
#pragma once

#include <drasriov/sdk/module.hpp>
#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/module_under_test.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/discovery-sysfs/discovery_sysfs.hpp"
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

namespace drasriov::discovery_sysfs::testing {

inline constexpr sdk::ModuleInfo kInfo{.name = "discovery-sysfs",
                                       .version = "0.0.0",
                                       .vendor = "test",
                                       .license = "Apache-2.0",
                                       .min_host_abi = "1.0"};
inline constexpr drasriov_module_table kTable = sdk::make_module_table<DiscoverySysfs, kInfo>();

/// One scan of a tree through the C table.
class Scanned {
 public:
  explicit Scanned(const SysfsTree& tree) : root_(tree.root()) {
    host_.set_root(sdk::Root::kSys, root_);
    const auto module = sdk::testing::ModuleUnderTest::create(kTable, host_);
    status_ = (*module)->scan(found_);
  }

  [[nodiscard]] const sdk::Status& status() const { return status_; }
  [[nodiscard]] nlohmann::json json() const { return to_json(found_.devices, root_); }
  [[nodiscard]] const std::vector<sdk::Device>& devices() const& { return found_.devices; }
  [[nodiscard]] const sdk::Device* device(std::string_view name) const& {
    return found_.device(name);
  }
  const sdk::Device* device(std::string_view name) const&& = delete;
  [[nodiscard]] std::optional<std::int64_t> number(std::string_view name,
                                                   std::string_view attribute) const {
    const sdk::Device* found = device(name);
    const sdk::Value* value = found == nullptr ? nullptr : found->attribute(attribute);
    const auto* integer = value == nullptr ? nullptr : std::get_if<std::int64_t>(value);
    return integer == nullptr ? std::nullopt : std::optional(*integer);
  }
  [[nodiscard]] std::string text(std::string_view name, std::string_view attribute) const {
    const sdk::Device* found = device(name);
    const sdk::Value* value = found == nullptr ? nullptr : found->attribute(attribute);
    const auto* string = value == nullptr ? nullptr : std::get_if<std::string>(value);
    return string == nullptr ? "(none)" : *string;
  }
  [[nodiscard]] std::string fact(std::string_view name, std::string_view key) const {
    const sdk::Device* found = device(name);
    const std::string* value = found == nullptr ? nullptr : found->fact(key);
    return value == nullptr ? "(none)" : *value;
  }
  /// "object: message"
  [[nodiscard]] std::vector<std::string> problems() const {
    std::vector<std::string> lines;
    for (const sdk::Entry& problem : found_.problems) {
      lines.push_back(problem.key + ": " + problem.value);
    }
    return lines;
  }

 private:
  std::filesystem::path root_;
  sdk::testing::FakeHost host_;
  sdk::testing::RecordedScan found_;
  sdk::Status status_;
};

}  // namespace drasriov::discovery_sysfs::testing
