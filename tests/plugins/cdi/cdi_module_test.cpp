// SPDX-License-Identifier: Apache-2.0
//
// The built module through its C table: that the shared object does what its classes do, in the
// directory that the host names.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <drasriov/sdk/testing/module_under_test.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace drasriov::cdi {
namespace {

namespace fs = std::filesystem;
using sdk::testing::FakeCall;
using sdk::testing::FakeHost;
using sdk::testing::ModuleUnderTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kKind = "sriov.example.io/vf";
constexpr std::string_view kSpec =
    R"({"cdiVersion":"0.3.0","kind":"sriov.example.io/vf","devices":[{"name":"vf0","containerEdits":{"env":["A=b"]}}]})";

const drasriov_module_table& table() {
  static const drasriov_module_table* table = [] {
    void* library = ::dlopen(DRASRIOV_CDI_PATH, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    const auto query =
        reinterpret_cast<drasriov_module_query_fn>(::dlsym(library, DRASRIOV_MODULE_QUERY_SYMBOL));
    return query(DRASRIOV_ABI_MAJOR, DRASRIOV_ABI_MINOR);
  }();
  return *table;
}

class CdiModuleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto module = ModuleUnderTest::create(table(), host_);
    ASSERT_TRUE(module.ok()) << module.error().message();
    module_ = *std::move(module);
  }
  FakeHost host_;
  fs::path path_ = host_.root(sdk::Root::kCdi);
  std::unique_ptr<ModuleUnderTest> module_;
};

TEST_F(CdiModuleTest, WritesListsAndRemovesInTheDirectoryOfTheHost) {
  ASSERT_TRUE(module_->write_spec(kKind, "uid-1", kSpec).ok());
  EXPECT_TRUE(fs::exists(path_ / "sriov.example.io-vf_uid-1.json"));
  EXPECT_THAT(module_->list_specs(kKind).value(), ElementsAre("uid-1"));
  ASSERT_TRUE(module_->remove_spec(kKind, "uid-1").ok());
  EXPECT_THAT(module_->list_specs(kKind).value(), IsEmpty());
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST_F(CdiModuleTest, ErrorsCrossWithMessageAndHint) {
  const auto refused = module_->write_spec(kKind, "uid-1", "{}");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(refused.error().message(), (path_ / "sriov.example.io-vf_uid-1.json").native() +
                                           ": CDI spec: cdiVersion is missing");
  EXPECT_FALSE(refused.error().hint().empty());
}

TEST_F(CdiModuleTest, ACallThatNobodyWaitsForChangesNothing) {
  FakeCall late;
  late.deadline = sdk::Call::Clock::now() - std::chrono::seconds(1);
  const auto refused = module_->write_spec(kKind, "uid-1", kSpec, late);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), sdk::Code::kDeadlineExceeded);
  EXPECT_TRUE(fs::is_empty(path_));

  ASSERT_TRUE(module_->write_spec(kKind, "uid-1", kSpec).ok());
  FakeCall cancelled;
  cancelled.cancelled = true;
  EXPECT_EQ(module_->remove_spec(kKind, "uid-1", cancelled).error().code(), sdk::Code::kCancelled);
  EXPECT_EQ(module_->list_specs(kKind, cancelled).error().code(), sdk::Code::kCancelled);
  EXPECT_TRUE(fs::exists(path_ / "sriov.example.io-vf_uid-1.json"));
}

TEST_F(CdiModuleTest, StaleTemporariesAreToldOnce) {
  std::ofstream(path_ / ".sriov.example.io-vf_uid-1.0123456789abcdef-0.tmp") << "{";
  ASSERT_TRUE(module_->list_specs(kKind).ok());
  ASSERT_TRUE(module_->list_specs(kKind).ok());
  std::vector<std::string> told;
  for (const auto& line : host_.logs()) {
    if (line.level == sdk::Level::kInfo) told.push_back(line.message + " " + line.value("files"));
  }
  EXPECT_THAT(told, ElementsAre("removed temporary CDI files that a killed process left 1"));
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST(CdiModule, AHostWithoutPathsIsRefusedWithAHint) {
  FakeHost host;
  host.remove_service(DRASRIOV_SERVICE_PATHS_1);
  const auto refused = ModuleUnderTest::create(table(), host);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "this host names no CDI directory");
  EXPECT_EQ(refused.error().hint(), "set --cdi-root, or update dra-driver-sriov");
}

}  // namespace
}  // namespace drasriov::cdi
