// SPDX-License-Identifier: Apache-2.0
//
// Growth: structs of an older or newer filler than the reader. DRASRIOV_HAS and the C++ views must
// treat what the filler did not know as absent, and never read past struct_size.
#include <drasriov/abi/abi.h>
#include <drasriov/sdk/binding.hpp>
#include <drasriov/sdk/device.hpp>
#include <drasriov/sdk/testing/fake_host.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace drasriov::sdk_test {
namespace {

namespace sdk = drasriov::sdk;

/// What an older filler made: the first `size` bytes of `whole`, and not one byte more, so that a
/// sanitizer sees every read beyond. Not inlined: the compiler would see it too, and warn of code
/// that struct_size keeps from running.
template <class Struct>
struct Free {
  void operator()(Struct* object) const { std::free(object); }
};
template <class Struct>
[[gnu::noinline]] std::unique_ptr<Struct, Free<Struct>> truncated(const Struct& whole,
                                                                  std::size_t size) {
  auto* const memory = static_cast<Struct*>(std::malloc(size));
  std::memcpy(static_cast<void*>(memory), &whole, size);
  memory->struct_size = static_cast<std::uint32_t>(size);
  return std::unique_ptr<Struct, Free<Struct>>(memory);
}

drasriov_status scan(drasriov_module*, const drasriov_call*, const drasriov_discovery_sink*,
                     drasriov_error*) {
  return DRASRIOV_OK;
}
drasriov_status watch(drasriov_module*, void (*)(void*), void*, drasriov_error*) {
  return DRASRIOV_OK;
}

TEST(Growth, HasSeesWhatTheFillerKnew) {
  const drasriov_discovery_v1 whole{
      .struct_size = sizeof(whole), .scan = &scan, .enrich = nullptr, .watch = &watch};
  EXPECT_TRUE(DRASRIOV_HAS(&whole, scan));
  EXPECT_FALSE(DRASRIOV_HAS(&whole, enrich)) << "null is absent";
  EXPECT_TRUE(DRASRIOV_HAS(&whole, watch));

  for (const std::size_t size : {offsetof(drasriov_discovery_v1, watch),
                                 offsetof(drasriov_discovery_v1, watch) + sizeof(void*) - 1}) {
    const auto older = truncated(whole, size);
    EXPECT_TRUE(DRASRIOV_HAS(older.get(), scan));
    EXPECT_FALSE(DRASRIOV_HAS(older.get(), watch)) << "only " << size << " bytes were filled";
  }
  const drasriov_discovery_v1* const none = nullptr;
  EXPECT_FALSE(DRASRIOV_HAS(none, scan));
}

TEST(Growth, ANewerFillersStructIsReadByItsKnownPart) {
  struct Newer {
    drasriov_discovery_v1 known;
    void (*appended)();
  };
  const Newer newer{{.struct_size = sizeof(Newer), .scan = &scan}, nullptr};
  EXPECT_TRUE(DRASRIOV_HAS(&newer.known, scan));
}

TEST(Growth, ArraysAreWalkedByTheFillersStride) {
  struct Newer {
    drasriov_container known;
    std::uint64_t appended;
  };
  const Newer list[] = {{{.struct_size = sizeof(Newer), .id = sdk::to_abi("a")}, 1},
                        {{.struct_size = sizeof(Newer), .id = sdk::to_abi("b")}, 2}};
  const auto* const second =
      static_cast<const drasriov_container*>(DRASRIOV_AT(list, sizeof(Newer), 1));
  EXPECT_EQ(sdk::from_abi(second->id), "b");
}

TEST(Growth, ViewsGiveNothingForMembersThatAreNotThere) {
  const sdk::Device device =
      sdk::Device("vf0").parent("pf0").string("pciAddress", "x").fact("driver", "iavf");
  sdk::AbiDevice abi;
  const auto older = truncated(*abi.convert(device), offsetof(drasriov_device, attributes));
  const sdk::DeviceView view(older.get());
  EXPECT_EQ(view.name(), "vf0");
  EXPECT_EQ(view.parent(), "pf0");
  EXPECT_TRUE(view.attributes().empty());
  EXPECT_EQ(view.attribute("pciAddress"), std::nullopt);
  EXPECT_EQ(view.fact("driver"), std::nullopt);
  EXPECT_TRUE(view.to_device() == sdk::Device("vf0").parent("pf0"));

  // A count without its array, and an array without its count.
  const auto no_count = truncated(*abi.convert(device), offsetof(drasriov_device, fact_count));
  EXPECT_TRUE(sdk::DeviceView(no_count.get()).facts().empty());
}

TEST(Growth, SinksOfAnOlderHostSwallowOrRefuse) {
  sdk::PrepareSink none(nullptr);
  none.set_fact("a", "b");
  EXPECT_EQ(none.put_state("x").error().code(), sdk::Code::kUnimplemented)
      << "state that nobody stores must stop prepare";
  EXPECT_EQ(none.add_edits("{}").error().code(), sdk::Code::kUnimplemented);
}

TEST(Growth, AbsentServicesAreHarmless) {
  sdk::testing::FakeHost fake;
  fake.remove_service(DRASRIOV_SERVICE_PATHS_1);
  fake.remove_service(DRASRIOV_SERVICE_METRICS_1);
  fake.remove_service(DRASRIOV_SERVICE_EXEC_1);
  const sdk::Host host = fake.host();
  EXPECT_EQ(host.root(sdk::Root::kSys), "");
  EXPECT_FALSE(host.sys_is_live());
  host.counter_add("things");
  host.gauge_set("things", 1);
  host.histogram_observe("things", 1);
  EXPECT_TRUE(fake.metrics().empty());
  const auto result = host.exec(fake.call(), {.path = "/bin/true"});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), sdk::Code::kUnimplemented);
  EXPECT_EQ(result.error().message(), "/bin/true: this host runs no programs");
}

TEST(Growth, AnOlderHostTableLogsNothing) {
  const auto older =
      truncated(*sdk::testing::FakeHost::table(), offsetof(drasriov_host_table, log));
  const sdk::Host host(older.get(), nullptr);
  host.log().info("nobody hears this");
  EXPECT_EQ(host.root(sdk::Root::kSys), "");
}

}  // namespace
}  // namespace drasriov::sdk_test
