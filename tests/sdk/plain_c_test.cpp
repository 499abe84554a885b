// SPDX-License-Identifier: Apache-2.0
//
// The module in plain C, opened as a host opens it, does its work against the fake host: built with
// today's headers, and with those of each released minor.
#include <drasriov/sdk/testing/module_under_test.hpp>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace drasriov::sdk_test {
namespace {

namespace sdk = drasriov::sdk;
using sdk::Code;
using sdk::Device;
using sdk::Root;
using sdk::testing::FakeHost;
using sdk::testing::ModuleUnderTest;
using sdk::testing::RecordedPrepare;
using sdk::testing::RecordedScan;
using sdk::testing::TestBindingRequest;
using ::testing::ElementsAre;

class PlainCTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    void* const library = ::dlopen(GetParam(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    ASSERT_NE(library, nullptr) << ::dlerror();
    const auto query =
        reinterpret_cast<drasriov_module_query_fn>(::dlsym(library, DRASRIOV_MODULE_QUERY_SYMBOL));
    ASSERT_NE(query, nullptr);
    EXPECT_EQ(query(DRASRIOV_ABI_MAJOR + 1, 0), nullptr);
    table_ = query(DRASRIOV_ABI_MAJOR, DRASRIOV_ABI_MINOR);
    ASSERT_NE(table_, nullptr);
    EXPECT_EQ(query(DRASRIOV_ABI_MAJOR, DRASRIOV_ABI_MINOR), table_);
    module_ = ModuleUnderTest::create(*table_, host_).value();
  }

  FakeHost host_;
  const drasriov_module_table* table_ = nullptr;
  std::unique_ptr<ModuleUnderTest> module_;
};

TEST_P(PlainCTest, OwnsItsClaimField) {
  ASSERT_EQ(table_->claim_field_count, 1U);
  EXPECT_EQ(sdk::from_abi(table_->claim_fields[0]), "addVhostMount");
}

TEST_P(PlainCTest, FindsDevicesAndReportsProblems) {
  std::ofstream(host_.root(Root::kData) / "devices") << "0000:08:00.2\nnonsense\n0000:08:00.3\n";
  RecordedScan found;
  ASSERT_TRUE(module_->scan(found).ok());
  ASSERT_EQ(found.devices.size(), 2U);
  EXPECT_TRUE(*found.device("0000-08-00-3") == Device("0000-08-00-3")
                                                   .string("pciAddress", "0000:08:00.3")
                                                   .integer("vfID", 2)
                                                   .fact("pciAddress", "0000:08:00.3"));
  EXPECT_THAT(found.problems, ElementsAre(sdk::Entry{"nonsense", "not a PCI address"}));
}

TEST_P(PlainCTest, SaysWhatIsMissing) {
  RecordedScan found;
  const sdk::Status status = module_->scan(found);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kNotFound);
  EXPECT_EQ(status.error().message(),
            (host_.root(Root::kData) / "devices").string() + ": No such file or directory");
  EXPECT_EQ(status.error().hint(), "write one PCI address a line into this file");
}

TEST_P(PlainCTest, PreparesAndPutsBack) {
  TestBindingRequest request(Device("0000-08-00-2"));
  const auto marker = host_.root(Root::kData) / "0000-08-00-2.claim";
  const std::string snapshot = module_->snapshot(request).value();
  EXPECT_EQ(snapshot, "free");
  RecordedPrepare results;
  ASSERT_TRUE(module_->prepare(request, snapshot, results).ok());
  EXPECT_TRUE(std::filesystem::exists(marker));
  EXPECT_THAT(results.edits,
              ElementsAre(R"({"deviceNodes":[{"path":"/dev/vhost-net","hostPath":")" +
                          (host_.root(Root::kDev) / "vhost-net").string() + R"("}]})"));
  ASSERT_TRUE(module_->unprepare(request, snapshot, results.state()).ok());
  EXPECT_FALSE(std::filesystem::exists(marker));
  EXPECT_TRUE(module_->unprepare(request, snapshot, results.state()).ok()) << "idempotent";
  EXPECT_TRUE(module_->unprepare(request, snapshot, "").ok()) << "killed before put_state";
}

TEST_P(PlainCTest, MakesNothingWhenItsStateIsNotDurable) {
  TestBindingRequest request(Device("0000-08-00-2"));
  RecordedPrepare results;
  results.state_outcome = Code::kResourceExhausted;
  const sdk::Status status = module_->prepare(request, "free", results);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
  EXPECT_FALSE(std::filesystem::exists(host_.root(Root::kData) / "0000-08-00-2.claim"));
}

INSTANTIATE_TEST_SUITE_P(Headers, PlainCTest,
                         ::testing::Values(DRASRIOV_PLAIN_C_PATH, DRASRIOV_PLAIN_C_ABI_1_0_PATH),
                         [](const auto& tested) { return tested.index == 0 ? "Today" : "Abi1_0"; });

}  // namespace
}  // namespace drasriov::sdk_test
