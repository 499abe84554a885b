// SPDX-License-Identifier: Apache-2.0
#include "host/app/builtin_directory.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace drasriov::app {
namespace {

namespace fs = std::filesystem;

TEST(BuiltinDirectory, InstalledThenBuildTreeUnlessConfigured) {
  std::string pattern = testing::TempDir() + "prefix-XXXXXX";
  const fs::path prefix = ::mkdtemp(pattern.data());
  const fs::path executable = prefix / "bin/dra-driver-sriov";
  const auto none = builtin_directory({}, executable);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message(),
            "builtin modules: neither " + (prefix / "lib/dra-driver-sriov/modules").native() +
                " nor " + (prefix / "bin/modules").native() + " is a directory");
  fs::create_directories(prefix / "bin/modules");
  EXPECT_EQ(*builtin_directory({}, executable), prefix / "bin/modules");
  fs::create_directories(prefix / "lib/dra-driver-sriov/modules");
  EXPECT_EQ(*builtin_directory({}, executable), prefix / "lib/dra-driver-sriov/modules");
  EXPECT_EQ(*builtin_directory("/opt/x", executable), "/opt/x");
  fs::remove_all(prefix);
}

TEST(BuiltinDirectory, KnowsTheOwnExecutable) {
  const auto path = own_executable();
  ASSERT_TRUE(path);
  EXPECT_EQ(path->filename(), "app_test");
}

}  // namespace
}  // namespace drasriov::app
