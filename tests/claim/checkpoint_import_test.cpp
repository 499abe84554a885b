// SPDX-License-Identifier: Apache-2.0
#include "host/claim/checkpoint_import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "host/claim/cdi_spec.hpp"
#include "host/device/pci_address.hpp"
#include "tests/claim/checkpoint_text.hpp"
#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

const ClaimRef kNetClaim{"ns", "net", kNet};
const ClaimRef kDpdkClaim{"ns", "dpdk", kDpdk};

device::Device function(const std::string& address, const char* driver) {
  device::Device device = virtual_function(0);
  device.name = device::PciAddress::parse(address)->device_name();
  device.attributes["pciAddress"] = address;
  device.attributes["driver"] = std::string(driver);
  device.facts["pciAddress"] = address;
  device.facts["driver"] = driver;
  return device;
}

class CheckpointImportTest : public ::testing::Test {
 protected:
  CheckpointImportTest() {
    node.settings.plan.pool_name = "worker-1";
    set_devices("vfio-pci");
    put(go_checkpoint(kFirstName));
    put_claim(kNetClaim, kNetPod, {"0000-11-10-0", "0000-11-10-4"});
    put_claim(kDpdkClaim, kDpdkPod, {"0000-11-10-2"});
  }

  /// As tests/fixtures/go-driver says, with this driver at the one that was bound.
  void set_devices(const char* bound) {
    inventory = {function("0000:11:10.0", "igbvf"), function("0000:11:10.2", bound),
                 function("0000:11:10.4", "igbvf")};
    node.set_devices(inventory);
  }
  void put(const std::string& text) {
    ASSERT_TRUE(replace_file(file(), text, Durability::kAtomic));
  }
  void put_claim(const ClaimRef& claim, const std::string& pod,
                 const std::vector<std::string>& devices) {
    Json results = Json::array();
    for (const auto& device : devices) {
      results.push_back(
          {{"request", "vf"}, {"driver", kDriverName}, {"pool", "worker-1"}, {"device", device}});
    }
    node.cluster.put(
        cluster::resource_claims(),
        claim_object(
            claim, std::move(results), {},
            Json::array({{{"resource", "pods"}, {"name", "pod-of-" + claim.name}, {"uid", pod}}})));
  }

  /// What a start does before recovery.
  Result<CheckpointImport> import() {
    auto journal = Journal::open(node.claims(), node.boot_id);
    EXPECT_TRUE(journal);
    return import_checkpoint(node.directory.path(), kDriverName, **journal,
                             device::Inventory(1, inventory, {}), node.modules);
  }
  [[nodiscard]] CheckpointImport imported() {
    auto outcome = import();
    EXPECT_TRUE(outcome) << outcome.error().to_string();
    return outcome ? *outcome : CheckpointImport();
  }

  [[nodiscard]] fs::path file() const { return node.directory.path() / "checkpoint.json"; }
  /// Files of the data directory beside the journal's folder.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(node.directory.path())) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }

  [[nodiscard]] std::vector<std::string> quarantine() const {
    std::vector<std::string> names;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(node.claims() / "quarantine", missing))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  Node node;
  std::vector<device::Device> inventory;
};

TEST_F(CheckpointImportTest, WithoutAFileNothingHappens) {
  fs::remove(file());
  EXPECT_FALSE(imported().found);
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(CheckpointImportTest, SaysWhichPodsWaitForIt) {
  const auto waits = pods_to_import(node.directory.path());
  const Json pods = Json::parse(go_checkpoint(kFirstName))["v1"]["preparedClaimsByPodUID"];
  ASSERT_FALSE(pods.empty());
  for (const auto& [uid, claims] : pods.items()) EXPECT_TRUE(waits(uid)) << uid;
  EXPECT_FALSE(waits("00000000-0000-4000-8000-00000000ffff"));
  fs::remove(file());
  EXPECT_FALSE(pods_to_import(node.directory.path())(pods.begin().key()));
}

TEST_F(CheckpointImportTest, TakesOverAnswersAlikeAndPutsEverythingBack) {
  const auto outcome = imported();
  EXPECT_TRUE(outcome.found);
  EXPECT_THAT(outcome.imported, ElementsAre(kNetClaim, kDpdkClaim));
  EXPECT_EQ(outcome.known, 0U);
  EXPECT_TRUE(outcome.refused.empty());
  EXPECT_THAT(files(), ElementsAre("checkpoint.json.imported"));
  ASSERT_TRUE(node.start());

  // Held, and shown as before the Go driver bound them.
  const auto held = node.journal->held();
  ASSERT_EQ(held->size(), 3U);
  EXPECT_EQ(*held->at("0000-11-10-2")->published.fact(device::fact::kDriver), "igbvf");
  EXPECT_EQ(*held->at("0000-11-10-2")->published.string_attribute("driver"), "igbvf");
  EXPECT_EQ(held->at("0000-11-10-2")->state, "Prepared");

  // What containers got, they get at their next start.
  const auto specs = node.cdi.specs();
  ASSERT_EQ(specs.size(), 4U);
  const Json edits = Json::parse(specs.at(kDpdk))["devices"][0]["containerEdits"];
  EXPECT_EQ(edits["env"], Json::array({"SRIOVNETWORK_VF_DEVICE_0000_11_10_2=0000:11:10.2",
                                       "SRIOVNETWORK_NET_ATTACH_DEF_NAME=vf-net",
                                       "SRIOVNETWORK_0000_11_10_2_VFIO_DEVICE=/dev/vfio/10"}));
  EXPECT_EQ(edits["deviceNodes"].size(), 4U);
  EXPECT_EQ(Json::parse(specs.at(kNetPod))["devices"][0]["containerEdits"]["env"],
            Json::array({"SRIOVNETWORK_PCI_ADDRESSES=0000:11:10.0,0000:11:10.4"}));

  const auto answer = node.prepare(kDpdkClaim);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ((*answer)[0].device_name, "0000-11-10-2");
  EXPECT_THAT((*answer)[0].cdi_device_ids,
              ElementsAre(std::string(kDriverName) + "/vf=" + kDpdk + "-0000-11-10-2",
                          std::string(kDriverName) + "/vf=" + kDpdkPod));
  EXPECT_THAT((*answer)[0].request_names, ElementsAre("vf"));
  const auto both = node.prepare(kNetClaim);
  ASSERT_TRUE(both) << both.error().to_string();
  EXPECT_EQ(both->size(), 2U);
  EXPECT_EQ(node.recording.count("vfio.prepare 0000-11-10-2"), 0U) << "it is bound already";

  ASSERT_TRUE(node.unprepare(kDpdkClaim));
  EXPECT_EQ(node.vfio.machine(), (std::map<std::string, std::string>{{"0000-11-10-2", "igbvf"}}));
  ASSERT_TRUE(node.unprepare(kNetClaim));
  EXPECT_TRUE(node.cdi.specs().empty());
  EXPECT_THAT(node.journal_files(), IsEmpty());
  EXPECT_TRUE(node.journal->held()->empty());
  EXPECT_EQ(node.recording.count("vfio.unprepare 0000-11-10-2"), 1U);
  EXPECT_EQ(node.recording.count("vfio.unprepare 0000-11-10-0"), 0U) << "its driver was left";
}

TEST_F(CheckpointImportTest, TheRecordSurvivesARestart) {
  ASSERT_EQ(imported().imported.size(), 2U);
  ASSERT_TRUE(node.start());
  const auto before = node.journal->find(kDpdk);
  node.stop();
  EXPECT_FALSE(imported().found);
  ASSERT_TRUE(node.start());
  EXPECT_EQ(*node.journal->find(kDpdk), *before);
  ASSERT_TRUE(node.unprepare(kDpdkClaim));
  EXPECT_EQ(node.vfio.machine().at("0000-11-10-2"), "igbvf");
}

TEST_F(CheckpointImportTest, IsRepeatedWithoutHarm) {
  const std::string text = go_checkpoint(kFirstName);
  ASSERT_EQ(imported().imported.size(), 2U);
  put(text);  // as if the process had died before the file was removed
  const auto again = imported();
  EXPECT_TRUE(again.imported.empty());
  EXPECT_EQ(again.known, 2U);
  EXPECT_TRUE(again.refused.empty());
  EXPECT_THAT(files(), ElementsAre("checkpoint.json.imported"));
}

TEST_F(CheckpointImportTest, TheJournalWins) {
  ASSERT_EQ(imported().imported.size(), 2U);
  ASSERT_TRUE(node.start());
  const auto mine = node.journal->find(kDpdk);
  node.stop();
  put(changed([](Ordered& pods) {
    pods[kDpdkPod][kDpdk][0]["OriginalDriver"] = "another";
    // The other claim has become a new one of the same device.
    Ordered device = pods[kNetPod][kNet][0];
    const std::string uid = "2a64d0a1-9c07-4a0b-8a3e-55a3c1d2e003";
    device["ClaimNamespacedName"]["UID"] = uid;
    device["ClaimNamespacedName"]["Name"] = "late";
    device["Device"]["cdi_device_ids"] = Ordered::array();
    pods[kNetPod] = {{uid, Ordered::array({device})}};
  }));
  const auto outcome = imported();
  EXPECT_EQ(outcome.known, 1U);
  EXPECT_TRUE(outcome.imported.empty());
  ASSERT_EQ(outcome.refused.size(), 1U);
  EXPECT_EQ(outcome.refused[0].claim.name, "late");
  EXPECT_THAT(outcome.refused[0].reason, HasSubstr("0000-11-10-0 is held by claim ns/net"));
  ASSERT_TRUE(node.start());
  EXPECT_EQ(*node.journal->find(kDpdk), *mine);
}

TEST_F(CheckpointImportTest, ARestartedMachineIsPreparedAfresh) {
  set_devices("igbvf");  // the reboot undid the binding
  ASSERT_EQ(imported().imported.size(), 2U);
  ASSERT_TRUE(node.start());
  EXPECT_TRUE(node.journal->is_stale(*node.journal->find(kDpdk)));
  EXPECT_FALSE(node.journal->is_stale(*node.journal->find(kNet)));
  EXPECT_FALSE(node.journal->held()->contains("0000-11-10-2"));
  ASSERT_TRUE(node.unprepare(kDpdkClaim));
  EXPECT_THAT(node.vfio.machine(), IsEmpty()) << "nothing was bound, nothing is put back";
  EXPECT_EQ(node.journal->find(kDpdk), nullptr);
}

TEST_F(CheckpointImportTest, AnUnboundDeviceOfThisBootIsStillPutBack) {
  inventory[1].facts.erase("driver");
  node.set_devices(inventory);
  ASSERT_EQ(imported().imported.size(), 2U);
  ASSERT_TRUE(node.start());
  EXPECT_FALSE(node.journal->is_stale(*node.journal->find(kDpdk)));
  ASSERT_TRUE(node.unprepare(kDpdkClaim));
  EXPECT_EQ(node.vfio.machine().at("0000-11-10-2"), "igbvf");
}

TEST_F(CheckpointImportTest, ADeviceThatIsGoneGoesWithItsClaim) {
  inventory.erase(inventory.begin() + 1);
  node.set_devices(inventory);
  ASSERT_EQ(imported().imported.size(), 2U);
  ASSERT_TRUE(node.start());
  const auto answer = node.prepare(kDpdkClaim);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(), HasSubstr("0000-11-10-2"));
  ASSERT_TRUE(node.unprepare(kDpdkClaim));
  EXPECT_TRUE(node.events->wait_for_event("DeviceLost"));
  EXPECT_EQ(node.journal->find(kDpdk), nullptr);
  EXPECT_FALSE(node.cdi.specs().contains(kDpdk));
}

TEST_F(CheckpointImportTest, WithoutAModuleForItTheDeviceStaysBlockedUntilAPersonBindsIt) {
  node.modules.binding = {&node.vf_state, &node.vhost};
  ASSERT_EQ(imported().imported.size(), 2U);
  ASSERT_TRUE(node.start());
  const auto refused = node.unprepare(kDpdkClaim);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("bind the device to igbvf by hand"));
  EXPECT_EQ(node.journal->held()->at("0000-11-10-2")->state, "Undoing");
  set_devices("igbvf");
  EXPECT_TRUE(node.events->wait_for_held({{"0000-11-10-0", kNet + std::string(" Prepared")},
                                          {"0000-11-10-4", kNet + std::string(" Prepared")}}));
}

TEST_F(CheckpointImportTest, ADamagedFileIsPutAsideOnce) {
  put(go_checkpoint(kFirstName).substr(0, 1000));
  const auto outcome = imported();
  EXPECT_TRUE(outcome.found);
  ASSERT_TRUE(outcome.rejected);
  EXPECT_EQ(outcome.rejected->code(), Code::kDataLoss);
  EXPECT_THAT(outcome.rejected->message(), HasSubstr(file().native()));
  EXPECT_THAT(files(), IsEmpty());
  const auto aside = quarantine();
  ASSERT_EQ(aside.size(), 2U);
  EXPECT_THAT(aside[0], MatchesRegex("checkpoint-2[0-9T]+Z.json"));
  EXPECT_THAT(aside[1], MatchesRegex("checkpoint-2[0-9T]+Z.reason"));
  EXPECT_FALSE(imported().found) << "the next start does not stumble over it";
  ASSERT_TRUE(node.start());
}

TEST_F(CheckpointImportTest, WhatCannotBeReadKeepsItsDocuments) {
  const auto write = [&](const std::string& id) {
    ASSERT_TRUE(node.cdi.write_spec({}, cdi_kind(kDriverName), id, "{}"));
  };
  write(kDpdk);
  write("nobodys");
  for (const std::string& text :
       {go_checkpoint(kFirstName).substr(0, 1000), std::string(R"({"checksum":1,"v3":{}})"),
        changed([](auto& pods) { pods[kDpdkPod][kDpdk][0]["PciAddress"] = "x"; })}) {
    put(text);
    auto journal = Journal::open(node.claims(), node.boot_id);
    ASSERT_TRUE(journal);
    ASSERT_TRUE(import_checkpoint(node.directory.path(), kDriverName, **journal,
                                  device::Inventory(1, inventory, {}), node.modules));
    EXPECT_EQ((*journal)->quarantined().size(), 1U);
    EXPECT_EQ((*journal)->quarantined()[0].claimed, nullptr) << "recovery then removes no document";
    fs::remove_all(node.claims() / "quarantine");
  }
}

TEST_F(CheckpointImportTest, ARefusedClaimIsRememberedUntilItIsUnprepared) {
  put(changed([](auto& pods) { pods[kDpdkPod][kDpdk][0]["PciAddress"] = "x"; }));
  ASSERT_TRUE(node.cdi.write_spec({}, cdi_kind(kDriverName), kDpdk, "{}"));
  EXPECT_THAT(imported().imported, ElementsAre(kNetClaim));
  EXPECT_THAT(quarantine(),
              ElementsAre(kDpdk + std::string(".json"), kDpdk + std::string(".reason")));
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(node.start());
    EXPECT_TRUE(node.cdi.specs().contains(kDpdk)) << "a pod runs with it";
    node.stop();
  }
  ASSERT_TRUE(node.start());
  ASSERT_TRUE(node.unprepare(kDpdkClaim));
  EXPECT_THAT(quarantine(), IsEmpty());
  node.stop();
  ASSERT_TRUE(node.start());
  EXPECT_FALSE(node.cdi.specs().contains(kDpdk));
}

TEST_F(CheckpointImportTest, AHugeFileIsDamage) {
  put("");
  fs::resize_file(file(), kMaxCheckpointBytes + 1);
  EXPECT_EQ(imported().rejected.value().code(), Code::kDataLoss);
  EXPECT_EQ(quarantine().size(), 2U);
}

TEST_F(CheckpointImportTest, AnUnknownVersionStaysWhereItIs) {
  put(R"({"checksum":1,"v3":{}})");
  const auto outcome = imported();
  ASSERT_TRUE(outcome.rejected);
  EXPECT_EQ(outcome.rejected->code(), Code::kUnimplemented);
  EXPECT_NE(outcome.rejected->hint(), "");
  EXPECT_THAT(files(), ElementsAre("checkpoint.json"));
}

TEST_F(CheckpointImportTest, AnotherDriversFileIsRefusedClaimByClaim) {
  put(go_checkpoint(kLaterName));
  const auto outcome = imported();
  EXPECT_TRUE(outcome.imported.empty());
  ASSERT_EQ(outcome.refused.size(), 2U);
  EXPECT_THAT(outcome.refused[0].reason, HasSubstr("another driver name"));
}

TEST_F(CheckpointImportTest, EditsThatAreNoneAreRefused) {
  put(changed([](Ordered& pods) {
    pods[kDpdkPod][kDpdk][0]["ContainerEdits"]["env"] = {"no equals sign"};
  }));
  const auto outcome = imported();
  EXPECT_THAT(outcome.imported, ElementsAre(kNetClaim));
  ASSERT_EQ(outcome.refused.size(), 1U);
  EXPECT_THAT(outcome.refused[0].reason, HasSubstr("ContainerEdits"));
}

TEST_F(CheckpointImportTest, TheLaterGenerationUnderItsOwnName) {
  const auto checkpoint = decode_checkpoint(go_checkpoint(kLaterName));
  ASSERT_TRUE(checkpoint);
  const auto record = adopted_record(checkpoint->claims[1], kLaterName, "boot-1",
                                     device::Inventory(1, inventory, {}), node.modules);
  ASSERT_TRUE(record) << record.error().to_string();
  EXPECT_EQ(record->devices[0].plan.chain[0].instance, "vfio");
  EXPECT_THAT(record->devices[0].plan.config_json, HasSubstr(R"("netAttachDefNamespace":"ns")"));
  EXPECT_EQ(*decode_record(encode_record(*record)), *record);
}

}  // namespace
}  // namespace drasriov::claim
