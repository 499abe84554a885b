// SPDX-License-Identifier: Apache-2.0
#include "plugins/kernel-modules/kernel_modules.hpp"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace drasriov::kernel_modules {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The folder of a kernel release without a single module.
class KmodTest : public ::testing::Test {
 protected:
  KmodTest() {
    std::string name = "/tmp/drasriov-kmod.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~KmodTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

TEST_F(KmodTest, AModuleThatIsNotThereIsNotFound) {
  const auto loaded = Kmod(directory_).load("vfio-pci");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code(), sdk::Code::kNotFound);
  EXPECT_EQ(loaded.error().message(), "this kernel has no module vfio-pci");
  EXPECT_THAT(loaded.error().hint(), HasSubstr("/lib/modules"));
}

TEST_F(KmodTest, NothingClaimsAnUnknownDevice) {
  const auto names = Kmod(directory_).claiming("pci:v00008086d000010CAsv*");
  ASSERT_TRUE(names.ok()) << names.error().message();
  EXPECT_THAT(*names, IsEmpty());
}

TEST(NoKernelTest, LoadsNothingForACapturedTree) {
  NoKernel none;
  EXPECT_EQ(none.load("vfio-pci").error().code(), sdk::Code::kFailedPrecondition);
  EXPECT_THAT(none.claiming("pci:v00008086d000010CA").value(), IsEmpty());
}

}  // namespace
}  // namespace drasriov::kernel_modules
