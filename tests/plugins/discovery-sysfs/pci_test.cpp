// SPDX-License-Identifier: Apache-2.0
//
// The kernel's texts about PCI functions and interfaces: tables of input and result.
#include "plugins/discovery-sysfs/pci.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <tuple>

#include "plugins/discovery-sysfs/netdevs.hpp"

namespace drasriov::discovery_sysfs {
namespace {

TEST(PciAddress, IsWhatSysfsWrites) {
  for (const char* good : {"0000:00:00.0", "0000:ff:1f.7", "10000:e1:00.0", "ffffffff:00:00.0"}) {
    EXPECT_TRUE(is_pci_address(good)) << good;
  }
  for (const char* bad :
       {"", "0000:00:00", "00:00.0", "000:00:00.0", "100000000:00:00.0", "0000:00:20.0",
        "0000:00:00.8", "0000:0A:00.0", "0000:0g:00.0", "0000-00-00-0", "0000:00:00.0 ",
        "0000:00:00.00", "physfn", "../0000:00:00.0"}) {
    EXPECT_FALSE(is_pci_address(bad)) << bad;
  }
}

TEST(PciAddress, BecomesADnsLabel) {
  EXPECT_EQ(device_name("0000:08:00.2"), "0000-08-00-2");
  EXPECT_EQ(device_name("10000:e1:00.0"), "10000-e1-00-0");
}

TEST(PciPath, NamesRootComplexAndBridge) {
  const std::tuple<const char*, const char*, const char*> table[] = {
      {"../../../devices/pci0000:10/0000:10:00.0/0000:11:10.0", "pci0000:10", "0000:10:00.0"},
      {"../../../devices/pci0000:00/0000:00:1f.6", "pci0000:00", ""},
      // Two bridges: the nearer one is the parent.
      {"../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0", "pci0000:00",
       "0000:01:00.0"},
      // Intel VMD: a root bus below a PCI device; the complex of the CPU is what alignment is
      // about.
      {"../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0",
       "pci0000:00", "10000:e0:06.0"},
      {"../../../devices/pci10000:00/10000:00:00.0", "pci10000:00", ""},
      // Firmware nodes above the host bridge (Arm, Hyper-V).
      {"../../../devices/platform/40000000.pcie/pci0001:00/0001:00:00.0/0001:01:00.0", "pci0001:00",
       "0001:00:00.0"},
      {"../../../devices/pci000:10/0000:10:00.0", "", ""},
      {"../../../devices/pci0000:1g/0000:10:00.0", "", ""},
      {"0000:10:00.0", "", ""},
      {"", "", ""},
  };
  for (const auto& [link, root, parent] : table) {
    const PciPath path = parse_pci_path(link);
    EXPECT_EQ(path.root, root) << link;
    EXPECT_EQ(path.parent, parent) << link;
  }
}

TEST(PciUevent, IsReadWhole) {
  const PciUevent uevent = parse_pci_uevent(
      "DRIVER=igbvf\nPCI_CLASS=20000\nPCI_ID=8086:10CA\nPCI_SUBSYS_ID=1AF4:1100\n"
      "PCI_SLOT_NAME=0000:11:10.0\nMODALIAS=pci:v00008086d000010CAsv00001AF4sd00001100bc02sc00i00");
  EXPECT_EQ(uevent.driver, "igbvf");
  EXPECT_EQ(uevent.pci_class, 0x020000u);
  EXPECT_EQ(uevent.vendor, "8086");
  EXPECT_EQ(uevent.device, "10ca");
}

TEST(PciUevent, KnowsOnlyWhatIsThere) {
  const PciUevent empty = parse_pci_uevent("");
  EXPECT_EQ(empty.driver, "");
  EXPECT_EQ(empty.pci_class, std::nullopt);
  EXPECT_EQ(empty.vendor, "");
  for (const char* id : {"PCI_ID=", "PCI_ID=8086", "PCI_ID=808:10CA", "PCI_ID=8086:10CA:1",
                         "PCI_ID=80x6:10CA", "XPCI_ID=8086:10CA"}) {
    const PciUevent uevent = parse_pci_uevent(id);
    EXPECT_TRUE(uevent.vendor.empty() || uevent.device.empty()) << id;
  }
}

TEST(PciUevent, TellsNetworkClasses) {
  EXPECT_TRUE(is_network_class(0x020000));
  EXPECT_TRUE(is_network_class(0x020700));
  EXPECT_TRUE(is_network_class(0x028000));
  EXPECT_FALSE(is_network_class(0x0200));  // unclassified: the guest's 9p device says so
  EXPECT_FALSE(is_network_class(0x060400));
  EXPECT_FALSE(is_network_class(0x01020000));
}

TEST(Numbers, AreTakenWholeOrNotAtAll) {
  EXPECT_EQ(parse_integer("-1"), -1);
  EXPECT_EQ(parse_integer("17"), 17);
  for (const char* bad : {"", "-", "+1", " 1", "1 ", "1a", "abc", "0x1", "99999999999999999999"}) {
    EXPECT_EQ(parse_integer(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_hex("20000"), 0x20000u);
  EXPECT_EQ(parse_hex("0x020000"), 0x20000u);
  for (const char* bad : {"", "0x", "0x0x1", "-1", "2zz", "100000000"}) {
    EXPECT_EQ(parse_hex(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_virtfn("virtfn0"), 0);
  EXPECT_EQ(parse_virtfn("virtfn127"), 127);
  for (const char* bad : {"virtfn", "virtfn-1", "virtfn1x", "virtfn 1", "physfn", "1", "virt"}) {
    EXPECT_EQ(parse_virtfn(bad), std::nullopt) << bad;
  }
}

TEST(NetdevLink, NamesThePciFunction) {
  const std::tuple<const char*, const char*> table[] = {
      {"../../devices/pci0000:10/0000:10:00.0/0000:11:10.0/net/eth2", "0000:11:10.0"},
      {"../../devices/pci0000:00/0000:00:03.0/virtio0/net/ens3", "0000:00:03.0"},
      // A subfunction's interface is not the one of the function that carries it.
      {"../../devices/pci0000:00/0000:00:03.0/mlx5_core.sf.4/net/enp8s0f0s88", ""},
      {"../../devices/virtual/net/lo", ""},
      {"../../devices/pci0000:00/0000:00:03.0/eth2", ""},
      {"eth2", ""},
      {"", ""},
  };
  for (const auto& [link, address] : table) {
    EXPECT_EQ(pci_address_of_netdev(link), address) << link;
  }
}

TEST(PhysPortName, TellsRepresentors) {
  for (const char* representor : {"pf0vf3", "pf1sf88", "pf0", "c1pf0vf3", "c12pf0sf1", "pf0hpf"}) {
    EXPECT_TRUE(is_representor(representor)) << representor;
  }
  for (const char* other : {"", "p0", "p0s1", "pf", "pfx", "c1", "cpf", "vf0", "eth0"}) {
    EXPECT_FALSE(is_representor(other)) << other;
  }
}

}  // namespace
}  // namespace drasriov::discovery_sysfs
