// SPDX-License-Identifier: Apache-2.0
//
// The switch from the Go driver: its files on a captured machine, then our driver. The files are what the Go driver
// wrote (tests/fixtures/go-driver), the capture is the machine that they speak of: 0000:11:10.2 is bound to vfio-pci.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "host/base/durable_file.hpp"
#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Claim kNet{"net", "2a64d0a1-9c07-4a0b-8a3e-55a3c1d2e001"};
const Claim kDpdk{"dpdk", "2a64d0a1-9c07-4a0b-8a3e-55a3c1d2e002"};
constexpr const char* kDpdkPod = "6f1c0a52-3b0e-4a53-9d6a-0c1f7a4b9e02";
/// Every place of an import, and its writes: a record and its copy, another one of each, the copy of the checkpoint.
constexpr const char* kPlaces[] = {
    "file.written#1",    "file.renamed#1", "file.written#2", "import.recorded#1", "file.written#3",
    "import.recorded#2", "file.written#5", "file.renamed#5", "import.copied",     "import.removed"};

class GoImport : public ::testing::Test {
 protected:
  GoImport() : machine_("c-one-vfio.tar.gz") {
    machine_.configure(
        std::string("insecureDev: true\nmodules:\n"
                    "- {name: discovery-sysfs, module: \"builtin:discovery-sysfs\"}\n"
                    "- {name: rebinding, module: ") +
        DRASRIOV_REBINDING_PATH + "}\n- {name: cdi, module: \"builtin:cdi\"}");
    leave_as_the_go_driver();
    put_claim(kNet, "6f1c0a52-3b0e-4a53-9d6a-0c1f7a4b9e01", {"0000-11-10-0", "0000-11-10-4"});
    put_claim(kDpdk, kDpdkPod, {"0000-11-10-2"});
  }

  /// Its checkpoint, its CDI documents, and the device that it bound.
  void leave_as_the_go_driver() {
    const fs::path go = fs::path(DRASRIOV_FIXTURES_DIR) / "go-driver" / kDriverName;
    fs::remove_all(machine_.data());
    fs::create_directory(machine_.data());
    fs::copy_file(go / "checkpoint.json", checkpoint());
    for (const auto& entry : fs::directory_iterator(go / "cdi"))
      fs::copy_file(entry.path(), machine_.cdi() / entry.path().filename(),
                    fs::copy_options::overwrite_existing);
    const fs::path link = machine_.sysfs() / "bus/pci/devices/0000:11:10.2/driver";
    const fs::path bound = fs::read_symlink(link).parent_path() / "vfio-pci";
    fs::remove(link);
    fs::create_symlink(bound, link);
  }
  void put_claim(const Claim& claim, const std::string& pod,
                 const std::vector<std::string>& devices) {
    std::string results;
    for (const auto& device : devices) {
      results += "      - {request: vf, driver: " + std::string(kDriverName) +
                 ", pool: " + kNodeName + ", device: " + device + "}\n";
    }
    machine_.put("claim-" + claim.name + ".yaml",
                 "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: " +
                     claim.name + ", namespace: ns, uid: " + claim.uid +
                     "}\nstatus:\n  allocation:\n    devices:\n      results:\n" + results +
                     "  reservedFor:\n  - {resource: pods, name: pod, uid: " + pod + "}\n");
  }
  [[nodiscard]] fs::path checkpoint() const { return machine_.data() / "checkpoint.json"; }
  [[nodiscard]] std::string driver_of(const std::string& address) const {
    return fs::read_symlink(machine_.sysfs() / "bus/pci/devices" / address / "driver").filename();
  }
  [[nodiscard]] std::vector<std::string> records() const {
    return Machine::files(machine_.data() / "claims");
  }
  /// Files of the data directory that are not the driver's own.
  [[nodiscard]] std::vector<std::string> checkpoints() const {
    auto names = Machine::files(machine_.data());
    std::erase_if(names, [](const auto& name) { return !name.starts_with("checkpoint"); });
    return names;
  }

  /// Prepared alike, then put back; nothing but the imported file is left.
  void use_and_release() {
    const Json prepared = machine_.kubelet("prepare", {kNet, kDpdk});
    const Json& dpdk = prepared["claims"][kDpdk.uid];
    ASSERT_EQ(dpdk["error"], "") << prepared;
    EXPECT_EQ(dpdk["devices"][0]["deviceName"], "0000-11-10-2");
    const std::string kind = std::string(kDriverName) + "/vf=";
    EXPECT_EQ(dpdk["devices"][0]["cdiDeviceIDs"],
              Json::array({kind + kDpdk.uid + "-0000-11-10-2", kind + kDpdkPod}));
    EXPECT_EQ(prepared["claims"][kNet.uid]["devices"].size(), 2U);
    EXPECT_EQ(driver_of("0000:11:10.2"), "vfio-pci") << "what runs is not touched";

    const Json unprepared = machine_.kubelet("unprepare", {kDpdk, kNet});
    EXPECT_EQ(unprepared["claims"][kDpdk.uid]["error"], "");
    EXPECT_EQ(unprepared["claims"][kNet.uid]["error"], "");
    EXPECT_EQ(driver_of("0000:11:10.2"), "igbvf");
    EXPECT_EQ(driver_of("0000:11:10.0"), "igbvf");
    EXPECT_THAT(Machine::files(machine_.cdi()), ::testing::IsEmpty());
    EXPECT_THAT(records(), ::testing::IsEmpty());
    EXPECT_THAT(checkpoints(), ElementsAre("checkpoint.json.imported"));
  }

  Machine machine_;
};

TEST_F(GoImport, RunningClaimsAreHonouredAndPutBack) {
  const auto driver = machine_.start_driver();
  EXPECT_THAT(checkpoints(), ElementsAre("checkpoint.json.imported"));
  EXPECT_THAT(driver->errors(), HasSubstr("2 claims taken over"));

  // The documents have one owner: two files with one device would make it unresolvable.
  const std::string prefix = std::string(kDriverName) + "-vf_";
  EXPECT_THAT(Machine::files(machine_.cdi()),
              ElementsAre(prefix + kNet.uid + ".json", prefix + kDpdk.uid + ".json",
                          prefix + "6f1c0a52-3b0e-4a53-9d6a-0c1f7a4b9e01.json",
                          prefix + kDpdkPod + ".json"));
  const Json spec = Json::parse(read_file(machine_.cdi() / (prefix + kDpdk.uid + ".json")).value());
  EXPECT_EQ(spec["devices"][0]["containerEdits"]["deviceNodes"].size(), 4U);

  // Slices show the device as it was before it was bound.
  EXPECT_TRUE(eventually([&] { return machine_.published_names().size() == 8; }));
  EXPECT_EQ(machine_.published()["0000-11-10-2"]["attributes"][std::string(kDriverName) + "/driver"]
                                ["string"],
            "igbvf");
  use_and_release();
}

TEST_F(GoImport, KilledAnywhereItIsImportedOnce) {
  for (const char* place : kPlaces) {
    SCOPED_TRACE(place);
    leave_as_the_go_driver();
    auto dying = machine_.spawn_dying_driver(place);
    ASSERT_EQ(dying->wait(), 128 + SIGKILL) << dying->errors();
    const auto driver = machine_.start_driver();
    // Beside each the one before it.
    const auto files = records();
    EXPECT_EQ(
        std::ranges::count_if(files, [](const auto& name) { return name.ends_with(".json"); }), 2);
    EXPECT_THAT(checkpoints(), ElementsAre("checkpoint.json.imported"));
    use_and_release();
    driver->signal(SIGTERM);
    ASSERT_EQ(driver->wait(), 0) << driver->errors();
    if (HasFailure()) return;
  }
}

TEST_F(GoImport, ADamagedFileIsToldOnceAndTheDriverServes) {
  fs::resize_file(checkpoint(), 1000);
  for (int start = 0; start < 2; ++start) {
    const auto driver = machine_.start_driver();
    EXPECT_THAT(checkpoints(), ::testing::IsEmpty());
    EXPECT_EQ(Machine::files(machine_.data() / "claims/quarantine").size(), 2U);
    EXPECT_EQ(driver->errors().find("were not imported") != std::string::npos, start == 0)
        << driver->errors();
    EXPECT_EQ(Machine::files(machine_.cdi()).size(), 4U) << "pods run with these documents";
    driver->signal(SIGTERM);
    EXPECT_EQ(driver->wait(), 0);
  }
}

TEST_F(GoImport, AnUnknownVersionIsKeptAndTheDriverServes) {
  ASSERT_TRUE(replace_file(checkpoint(), R"({"checksum":1,"v2":{}})", Durability::kAtomic));
  const auto driver = machine_.start_driver();
  EXPECT_THAT(driver->errors(), HasSubstr("this driver knows version v1 only"));
  EXPECT_THAT(checkpoints(), ElementsAre("checkpoint.json"));
}

}  // namespace
}  // namespace drasriov::integration
