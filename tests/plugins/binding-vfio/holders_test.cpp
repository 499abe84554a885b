// SPDX-License-Identifier: Apache-2.0
#include "plugins/binding-vfio/holders.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>

#include "tests/plugins/binding-vfio/captured_node.hpp"

namespace drasriov::binding_vfio {
namespace {

namespace fs = std::filesystem;

TEST(HoldersTest, FindsThisProcessByDeviceNumber) {
  // A node of one's own for the same device, as a container has it.
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto holders = find_holders("/proc", {"/dev/null"});
  const std::string self = std::to_string(::getpid());
  EXPECT_TRUE(std::ranges::any_of(holders, [&](const Holder& holder) {
    return holder.pid == self && holder.name.starts_with("binding_vfio");
  })) << describe(holders);
  ::close(fd);
}

TEST(HoldersTest, NobodyHoldsANodeThatIsNotThere) {
  EXPECT_TRUE(find_holders("/proc", {"/dev/vfio/no-such-group"}).empty());
}

TEST(HoldersTest, AreNamed) {
  EXPECT_EQ(describe({}), "an unknown process");
  EXPECT_EQ(describe({{"4711", "dpdk-testpmd"}}), "pid 4711 (dpdk-testpmd)");
  EXPECT_EQ(describe({{"1", "a"}, {"2", ""}, {"3", "c"}, {"4", "d"}, {"5", "e"}}),
            "pid 1 (a), pid 2, pid 3 (c) and 2 more");
}

TEST(HoldersTest, OnlyOpenersOfThisNode) {
  testing::CapturedNode node;
  const fs::path dev = node.host.root(sdk::Root::kDev);
  const auto prepared = node.prepare("vfio-pci");
  ASSERT_TRUE(prepared.status.ok());
  node.open_node("4711", "testpmd", "vfio/10");
  node.open_node("4712", "other", "vfio/vfio");
  const auto holders = find_holders(node.host.root(sdk::Root::kProc), {dev / "vfio/10"});
  ASSERT_EQ(holders.size(), 1U);
  EXPECT_EQ(holders.front().pid, "4711");
  EXPECT_EQ(holders.front().name, "testpmd");
}

}  // namespace
}  // namespace drasriov::binding_vfio
