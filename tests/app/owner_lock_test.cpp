// SPDX-License-Identifier: Apache-2.0
#include "host/app/owner_lock.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>

namespace drasriov::app {
namespace {

class OwnerLockTest : public testing::Test {
 protected:
  OwnerLockTest() {
    std::string pattern = testing::TempDir() + "lock-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~OwnerLockTest() override { std::filesystem::remove_all(directory_); }
  OwnerLock open() {
    auto lock = OwnerLock::open(directory_);
    EXPECT_TRUE(lock) << lock.error().to_string();
    return *std::move(lock);
  }
  std::filesystem::path directory_;
};

TEST_F(OwnerLockTest, HasOneOwnerAtATime) {
  auto first = std::make_unique<OwnerLock>(open());
  OwnerLock second = open();  // its own open file description, as another process has
  EXPECT_TRUE(*first->try_take());
  EXPECT_FALSE(*second.try_take());
  EXPECT_EQ(second.owner(), std::to_string(::getpid()));
  first.reset();
  EXPECT_TRUE(*second.try_take());
}

TEST_F(OwnerLockTest, AStaleFileIsNoOwner) {
  std::ofstream(directory_ / "owner.lock") << "4711 and much more text than a process id has\n";
  OwnerLock lock = open();
  EXPECT_EQ(lock.owner(), "4711");
  EXPECT_TRUE(*lock.try_take());
  EXPECT_EQ(lock.owner(), std::to_string(::getpid()));
}

TEST_F(OwnerLockTest, ADirectoryThatIsNotThereIsAnError) {
  const auto lock = OwnerLock::open(directory_ / "missing");
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().message().find("owner.lock: No such file"), std::string::npos);
}

}  // namespace
}  // namespace drasriov::app
