// SPDX-License-Identifier: Apache-2.0
//
// The kernel's messages: those that a real kernel (6.12, igb) sends when VFs come, go and change
// their driver, and the socket.
#include "plugins/discovery-sysfs/uevents.hpp"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <vector>

namespace drasriov::discovery_sysfs {
namespace {

/// Lines of a recording become one message: header and keys, each ended by NUL.
std::string message(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text.append(line).push_back('\0');
  }
  return text;
}

struct Recorded {
  std::vector<std::string> lines;
  bool relevant;
};

const std::string kDevice = "/devices/pci0000:10/0000:10:00.0/0000:11:10.0";

const std::vector<Recorded> kRecordings = {
    // sriov_numvfs 0 -> 1
    {{"add@" + kDevice, "ACTION=add", "DEVPATH=" + kDevice, "SUBSYSTEM=pci", "PCI_CLASS=20000",
      "PCI_ID=8086:10CA", "PCI_SUBSYS_ID=1AF4:1100", "PCI_SLOT_NAME=0000:11:10.0",
      "MODALIAS=pci:v00008086d000010CAsv00001AF4sd00001100bc02sc00i00", "SEQNUM=1841"},
     true},
    {{"change@" + kDevice, "ACTION=change", "DEVPATH=" + kDevice, "SUBSYSTEM=pci",
      "PCI_CLASS=20000", "PCI_SLOT_NAME=0000:11:10.0", "SEQNUM=1842"},
     true},
    {{"add@" + kDevice + "/net/eth3", "ACTION=add", "DEVPATH=" + kDevice + "/net/eth3",
      "SUBSYSTEM=net", "INTERFACE=eth3", "IFINDEX=23", "SEQNUM=1843"},
     true},
    {{"add@" + kDevice + "/net/eth3/queues/rx-0", "ACTION=add",
      "DEVPATH=" + kDevice + "/net/eth3/queues/rx-0", "SUBSYSTEM=queues", "SEQNUM=1844"},
     false},
    {{"bind@" + kDevice, "ACTION=bind", "DEVPATH=" + kDevice, "SUBSYSTEM=pci", "DRIVER=igbvf",
      "PCI_CLASS=20000", "PCI_SLOT_NAME=0000:11:10.0", "SEQNUM=1846"},
     true},
    // igbvf -> vfio-pci
    {{"remove@" + kDevice + "/net/eth3", "ACTION=remove", "DEVPATH=" + kDevice + "/net/eth3",
      "SUBSYSTEM=net", "INTERFACE=eth3", "IFINDEX=23", "SEQNUM=1850"},
     true},
    {{"unbind@" + kDevice, "ACTION=unbind", "DEVPATH=" + kDevice, "SUBSYSTEM=pci",
      "PCI_CLASS=20000", "PCI_SLOT_NAME=0000:11:10.0", "SEQNUM=1851"},
     true},
    {{"add@/devices/virtual/vfio/10", "ACTION=add", "DEVPATH=/devices/virtual/vfio/10",
      "SUBSYSTEM=vfio", "MAJOR=245", "MINOR=0", "DEVNAME=vfio/10", "SEQNUM=1852"},
     false},
    {{"add@" + kDevice + "/vfio-dev/vfio0", "ACTION=add", "DEVPATH=" + kDevice + "/vfio-dev/vfio0",
      "SUBSYSTEM=vfio-dev", "SEQNUM=1853"},
     false},
    // sriov_numvfs 1 -> 0
    {{"remove@" + kDevice, "ACTION=remove", "DEVPATH=" + kDevice, "SUBSYSTEM=pci",
      "PCI_CLASS=20000", "PCI_SLOT_NAME=0000:11:10.0", "SEQNUM=1860"},
     true},
    // A netdev renamed.
    {{"move@" + kDevice + "/net/net1", "ACTION=move", "DEVPATH=" + kDevice + "/net/net1",
      "SUBSYSTEM=net", "DEVPATH_OLD=" + kDevice + "/net/eth3", "INTERFACE=net1", "SEQNUM=1861"},
     true},
    // An RDMA device.
    {{"add@" + kDevice + "/infiniband/mlx5_2", "ACTION=add",
      "DEVPATH=" + kDevice + "/infiniband/mlx5_2", "SUBSYSTEM=infiniband", "NAME=mlx5_2",
      "SEQNUM=1862"},
     true},
    // Every pod brings these.
    {{"add@/devices/virtual/net/veth1", "ACTION=add", "DEVPATH=/devices/virtual/net/veth1",
      "SUBSYSTEM=net", "INTERFACE=veth1", "IFINDEX=90", "SEQNUM=1863"},
     false},
    // A disk.
    {{"add@/devices/pci0000:00/0000:00:04.0", "ACTION=add",
      "DEVPATH=/devices/pci0000:00/0000:00:04.0", "SUBSYSTEM=pci", "PCI_CLASS=10802",
      "PCI_ID=8086:5845", "SEQNUM=1864"},
     false},
};

TEST(Uevent, OfTheRealKernelIsReadAndJudged) {
  for (const Recorded& recorded : kRecordings) {
    const std::string text = message(recorded.lines);
    const Uevent uevent = parse_uevent(text);
    EXPECT_EQ(std::string(uevent.action) + '@' + std::string(uevent.devpath), recorded.lines[0]);
    EXPECT_NE(uevent.subsystem, "") << recorded.lines[0];
    EXPECT_EQ(is_relevant(uevent), recorded.relevant) << recorded.lines[0];
  }
}

TEST(Uevent, OfAPciDeviceWithoutClassCounts) {
  EXPECT_TRUE(is_relevant(parse_uevent(message({"add@/devices/x", "SUBSYSTEM=pci"}))));
}

TEST(Uevent, ThatIsNoneSaysNothing) {
  using namespace std::string_literals;
  for (const std::string& text : {""s, "\0"s, "libudev\0\xfe\xed\xca\xfe"s, "no at sign"s,
                                  "\0\0\0SUBSYSTEM=pci"s, std::string(9000, '=')}) {
    EXPECT_FALSE(is_relevant(parse_uevent(text))) << text.substr(0, 20);
  }
  // Cut off in the middle of a key.
  EXPECT_FALSE(is_relevant(parse_uevent("add@/devices/x\0SUBSYS"s)));
}

/// A sender as root's udevd is one: to the kernel's group, but not from the kernel.
class Sender {
 public:
  Sender() : socket_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT)) {}

  /// False where this environment allows nobody to send.
  [[nodiscard]] bool send(const std::string& text) const {
    sockaddr_nl to = {};
    to.nl_family = AF_NETLINK;
    to.nl_groups = 1;
    return ::sendto(socket_.get(), text.data(), text.size(), 0,
                    reinterpret_cast<const sockaddr*>(&to), sizeof(to)) >= 0;
  }

 private:
  Descriptor socket_;
};

TEST(UeventSocket, BelievesTheKernelOnly) {
  const auto source = UeventSource::open(1 << 20);
  const Sender sender;
  if (!source || !sender.send(message(kRecordings[0].lines))) {
    GTEST_SKIP() << "no uevent multicast in this environment";
  }
  pollfd ready = {.fd = (*source)->descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  const Drained drained = (*source)->drain();
  EXPECT_FALSE(drained.relevant);
  EXPECT_FALSE(drained.overflow);
  EXPECT_EQ(drained.error, 0);
}

TEST(UeventSocket, TellsThatEventsWereLost) {
  const auto source = UeventSource::open(1);  // the kernel makes it its minimum, 2 KiB
  const Sender sender;
  if (!source || !sender.send(message(kRecordings[0].lines))) {
    GTEST_SKIP() << "no uevent multicast in this environment";
  }
  // More than fits; a full receiver makes the sender's call fail or not, as the kernel likes.
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(sender.send(message(kRecordings[0].lines)));
  }
  EXPECT_TRUE((*source)->drain().overflow);
  const Drained after = (*source)->drain();
  EXPECT_FALSE(after.overflow);
  EXPECT_EQ(after.error, 0);
}

TEST(UeventSocket, GetsTheBufferItAsksFor) {
  const auto source = UeventSource::open(4 << 20);
  if (!source) {
    GTEST_SKIP() << "no uevent socket in this environment";
  }
  int size = 0;
  socklen_t length = sizeof(size);
  ASSERT_EQ(::getsockopt((*source)->descriptor(), SOL_SOCKET, SO_RCVBUF, &size, &length), 0);
  if (size < 8 << 20) {
    GTEST_SKIP() << "no CAP_NET_ADMIN: SO_RCVBUFFORCE is refused";
  }
  EXPECT_EQ(size, 8 << 20);  // the kernel doubles it for its own bookkeeping (socket(7))
}

}  // namespace
}  // namespace drasriov::discovery_sysfs
