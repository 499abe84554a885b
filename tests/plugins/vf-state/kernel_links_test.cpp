// SPDX-License-Identifier: Apache-2.0
//
// Rtnetlink against the running kernel, in a network namespace of its own with a veth pair. Skipped,
// and said so, where that is not permitted.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "plugins/vf-state/rtnetlink.hpp"

namespace drasriov::vf_state {
namespace {

/// What the kernel says by its oldest interface, which is not the one under test.
struct Seen {
  int mtu = 0;
  Mac mac{};
  bool up = false;
};

Seen look_at(const std::string& name) {
  Seen seen;
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  EXPECT_EQ(::ioctl(socket, SIOCGIFMTU, &request), 0) << name;
  seen.mtu = request.ifr_mtu;
  EXPECT_EQ(::ioctl(socket, SIOCGIFHWADDR, &request), 0) << name;
  std::memcpy(seen.mac.data(), request.ifr_hwaddr.sa_data, seen.mac.size());
  EXPECT_EQ(::ioctl(socket, SIOCGIFFLAGS, &request), 0) << name;
  seen.up = (request.ifr_flags & IFF_UP) != 0;
  ::close(socket);
  return seen;
}

/// As iproute2 tells: /sys would show the interfaces of another network namespace.
std::string alias_of(const std::string& name) {
  const std::string command = "ip -details link show dev " + name;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text(8192, '\0');
  text.resize(::fread(text.data(), 1, text.size(), pipe.get()));
  EXPECT_NE(text, "");
  constexpr std::string_view kBefore = "alias ";
  const auto begin = text.find(kBefore);
  return begin == std::string::npos
             ? ""
             : text.substr(
                   begin + kBefore.size(),
                   text.find_first_of(" \n", begin + kBefore.size()) - begin - kBefore.size());
}

/// Runs it on a thread in a new network namespace with the pair v0, v1; false: not permitted.
bool with_veth(const std::function<void()>& test) {
  bool permitted = false;
  std::thread thread([&] {
    if (::unshare(CLONE_NEWNET) != 0 ||
        std::system("ip link add v0 type veth peer name v1 2>/dev/null") != 0) {
      return;
    }
    permitted = true;
    test();
  });
  thread.join();
  return permitted;
}

constexpr const char* kSkipped =
    "NOT TESTED against the kernel: it takes CAP_SYS_ADMIN, veth and the program ip";

TEST(KernelLinksTest, NameMtuAddressAndState) {
  if (!with_veth([] {
        Rtnetlink links;
        const int index = static_cast<int>(::if_nametoindex("v0"));
        const Mac mac = {2, 0, 0, 0, 0, 7};
        auto set = links.set_link(index, {.name = "eth3", .mtu = 9000, .mac = mac, .up = true},
                                  /*is_up=*/false);
        ASSERT_TRUE(set.ok()) << set.error().message();
        EXPECT_EQ(static_cast<int>(::if_nametoindex("eth3")), index);
        Seen seen = look_at("eth3");
        EXPECT_EQ(seen.mtu, 9000);
        EXPECT_EQ(seen.mac, mac);
        EXPECT_TRUE(seen.up);

        set = links.set_link(index, {.alias = "uplink"}, /*is_up=*/true);
        ASSERT_TRUE(set.ok()) << set.error().message();
        EXPECT_EQ(alias_of("eth3"), "uplink");
        set = links.set_link(index, {.alias = ""}, /*is_up=*/true);
        ASSERT_TRUE(set.ok()) << set.error().message();
        EXPECT_EQ(alias_of("eth3"), "");

        set = links.set_link(index, {.name = "eth4"}, /*is_up=*/true);
        ASSERT_TRUE(set.ok()) << set.error().message();
        EXPECT_TRUE(look_at("eth4").up) << "down for the new name only";
        set = links.set_link(index, {.up = false}, /*is_up=*/true);
        ASSERT_TRUE(set.ok()) << set.error().message();
        EXPECT_FALSE(look_at("eth4").up);
      })) {
    GTEST_SKIP() << kSkipped;
  }
}

TEST(KernelLinksTest, ErrorsAreToldApart) {
  if (!with_veth([] {
        Rtnetlink links;
        const int index = static_cast<int>(::if_nametoindex("v0"));
        EXPECT_EQ(links.set_link(index, {.name = "v1"}, false).error().code(),
                  sdk::Code::kAlreadyExists);
        // What can be done is done all the same.
        EXPECT_EQ(links.set_link(index, {.name = "v1", .mtu = 1400}, false).error().code(),
                  sdk::Code::kAlreadyExists);
        EXPECT_EQ(look_at("v0").mtu, 1400);
        EXPECT_EQ(links.set_link(4711, {.mtu = 1400}, false).error().code(), sdk::Code::kNotFound);
        EXPECT_EQ(links.set_vf(index, 0, {.trust = true}).error().code(),
                  sdk::Code::kUnimplemented);
        EXPECT_EQ(links.vf(4711, 0).error().code(), sdk::Code::kNotFound);
      })) {
    GTEST_SKIP() << kSkipped;
  }
}

TEST(KernelLinksTest, ALinkWithoutVfsTellsNothing) {
  if (!with_veth([] {
        Rtnetlink links;
        const auto settings = links.vf(static_cast<int>(::if_nametoindex("v0")), 0);
        ASSERT_TRUE(settings.ok()) << settings.error().message();
        EXPECT_FALSE(settings->has_value());
      })) {
    GTEST_SKIP() << kSkipped;
  }
}

}  // namespace
}  // namespace drasriov::vf_state
