// SPDX-License-Identifier: Apache-2.0
//
// ClaimRunner from the call to the answer: order of steps, what lies on disk at each, rollback,
// idempotency.
#include "host/claim/claim_runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "host/base/durable_file.hpp"
#include "tests/claim/started_node.hpp"

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Json;
using testing::kBoth;
using testing::kVf0;
using testing::kVf1;
using testing::kVfio;
using ::testing::Not;
using testing::reserved_for;
using testing::result_of;
using testing::virtual_function;

const Json kNetwork = {{"netAttachDefName", "net-a"}};

class ClaimRunnerTest : public testing::StartedNodeTest {};

TEST_F(ClaimRunnerTest, APlainClaimIsOneRecordAndItsDocuments) {
  const ClaimRef claim = node_.add_claim(1, {0});
  const auto answer = node_.prepare(claim);
  ASSERT_TRUE(answer) << answer.error().to_string();
  ASSERT_EQ(answer->size(), 1U);
  EXPECT_THAT((*answer)[0].request_names, ElementsAre("main"));
  EXPECT_EQ((*answer)[0].pool_name, "node-1");
  EXPECT_EQ((*answer)[0].device_name, kVf0);
  EXPECT_THAT((*answer)[0].cdi_device_ids,
              ElementsAre("sriovnetwork.openshift.io/vf=uid-1-0000-08-00-0",
                          "sriovnetwork.openshift.io/vf=uid-of-pod-a"));
  EXPECT_THAT(node_.recording.lines(), ElementsAre("cdi.write uid-1", "cdi.write uid-of-pod-a"));
  EXPECT_THAT(node_.journal_files(), ElementsAre("uid-1.json"));
  EXPECT_TRUE(node_.events->wait_for_held({{kVf0, "uid-1 Prepared"}}));
  EXPECT_EQ(node_.events->held_snapshot()->at(kVf0)->published, virtual_function(0));

  unprepared(claim);
  node_.expect_pristine();
  EXPECT_TRUE(node_.events->wait_for_held({}));
}

TEST_F(ClaimRunnerTest, ARequestIsNamedWithoutItsSubrequest) {
  const ClaimRef claim = node_.add_claim(1, {0});
  Json results = Json::array({result_of("main/any", virtual_function(0).name)});
  node_.cluster.put(cluster::resource_claims(), testing::claim_object(claim, std::move(results)));
  const auto answer = node_.prepare(claim);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_THAT((*answer)[0].request_names, ElementsAre("main"));
}

TEST_F(ClaimRunnerTest, ADriverIsBoundBetweenIntentAndAnswer) {
  const ClaimRef claim = node_.add_claim(1, {0}, kBoth);
  std::string at_snapshot;
  std::string at_prepare;
  const auto state_on_disk = [&] {
    const auto text = read_file(node_.claims() / "uid-1.json");
    if (!text) return std::string("none");
    const auto record = decode_record(*text);
    return record
               ? std::string(state_name(record->state)) + "/" + record->devices[0].steps[0].snapshot
               : record.error().message();
  };
  node_.vhost.on("snapshot", [&](const std::string&, module::PrepareSink*) {
    at_snapshot = state_on_disk();
    return Status();
  });
  node_.vfio.on("prepare", [&](const std::string&, module::PrepareSink*) {
    at_prepare = state_on_disk();
    return Status();
  });
  prepared(claim);
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("vfio.snapshot " + kVf0, "vhost.snapshot " + kVf0, "vfio.prepare " + kVf0,
                          "vhost.prepare " + kVf0, "cdi.write uid-1", "cdi.write uid-of-pod-a"))
      << "all snapshots before any prepare";
  EXPECT_EQ(at_snapshot, "none");
  EXPECT_EQ(at_prepare, "Preparing/vfio found nothing")
      << "nothing is changed before its undo is durable";
  EXPECT_EQ(state_on_disk(), "Prepared/vfio found nothing");

  node_.recording.clear();
  unprepared(claim);
  EXPECT_THAT(node_.recording.lines(),
              ElementsAre("vhost.unprepare " + kVf0, "vfio.unprepare " + kVf0, "cdi.remove uid-1",
                          "cdi.remove uid-of-pod-a"));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, WhatModulesReportReachesTheContainerAndLaterModules) {
  const ClaimRef claim = node_.add_claim(1, {0}, kBoth);
  std::string state_on_disk;
  node_.vfio.on("prepare", [&](const std::string&, module::PrepareSink* sink) {
    EXPECT_TRUE(sink->put_state("vfio state"));
    const auto record = decode_record(*read_file(node_.claims() / "uid-1.json"));
    state_on_disk = record->devices[0].steps[0].state;
    EXPECT_TRUE(sink->add_edits(R"({"deviceNodes":[{"path":"/dev/vfio/12"}]})"));
    sink->set_fact("vfio.example.com/group", "12");
    return Status();
  });
  prepared(claim);
  EXPECT_EQ(state_on_disk, "vfio state") << "durable when put_state returns";
  EXPECT_EQ(node_.vhost.facts_seen(kVf0)["vfio.example.com/group"], "12");
  const Json spec = Json::parse(node_.cdi.specs().at("uid-1"));
  EXPECT_EQ(spec.at("devices").at(0).at("containerEdits").at("deviceNodes").at(0).at("path"),
            "/dev/vfio/12");
  unprepared(claim);
  EXPECT_EQ(node_.vfio.last_unprepare(),
            std::make_pair(std::string("vfio found nothing"), std::string("vfio state")));
}

TEST_F(ClaimRunnerTest, TheSameRequestGetsTheSameAnswerAcrossRestarts) {
  const ClaimRef claim = node_.add_claim(1, {0, 1}, kVfio);
  const auto first = node_.prepare(claim);
  ASSERT_TRUE(first);
  const std::string record = *read_file(node_.claims() / "uid-1.json");
  node_.recording.clear();
  const auto second = node_.prepare(claim);
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second);
  ASSERT_TRUE(node_.restart());
  const auto third = node_.prepare(claim);
  ASSERT_TRUE(third);
  EXPECT_EQ(*first, *third);
  EXPECT_EQ(*read_file(node_.claims() / "uid-1.json"), record);
  EXPECT_EQ(node_.recording.count("vfio.prepare " + kVf0), 0U);
  unprepared(claim);
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, TheRecordAnswersWhileTheApiIsAway) {
  const ClaimRef claim = node_.add_claim(1, {0});
  const auto first = node_.prepare(claim);
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kPermissionDenied,
                          Code::kUnauthenticated}) {
    node_.cluster.on_get(
        [code](const cluster::ObjectKey&) { return Error(code, "no connection"); });
    const auto again = node_.prepare(claim);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(*first, *again);
  }
  node_.cluster.on_get({});
  node_.cluster.erase(cluster::resource_claims(), "tenant", "claim-1");
  const auto gone = node_.prepare(claim);
  ASSERT_FALSE(gone) << "a claim that the API says is gone is not prepared";
  EXPECT_EQ(gone.error().message(),
            "claim tenant/claim-1: get resourceclaims tenant/claim-1: not found");
}

TEST_F(ClaimRunnerTest, DocumentsThatVanishedAreWrittenAgain) {
  const ClaimRef claim = node_.add_claim(1, {0});
  prepared(claim);
  const auto specs = node_.cdi.specs();
  node_.cdi.lose_all();
  prepared(claim);
  EXPECT_EQ(node_.cdi.specs(), specs);
}

TEST_F(ClaimRunnerTest, TransientApiErrorsAreRetriedInsideTheCall) {
  const ClaimRef claim = node_.add_claim(1, {0}, kNetwork);
  std::atomic<int> calls{0};
  node_.cluster.on_get([&calls](const cluster::ObjectKey&) -> Status {
    if (++calls % 3 != 0) return Error(Code::kUnavailable, "connection refused");
    return {};
  });
  prepared(claim);
  EXPECT_GE(calls, 6) << "claim and network attachment";
}

TEST_F(ClaimRunnerTest, AnApiThatStaysAwayIsSaidSoInTime) {
  const ClaimRef claim = node_.add_claim(1, {0});
  node_.cluster.on_get(
      [](const cluster::ObjectKey&) { return Error(Code::kUnavailable, "connection refused"); });
  const auto started = std::chrono::steady_clock::now();
  const auto answer = node_.prepare(claim, 2s);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(),
              ::testing::MatchesRegex(
                  "claim tenant/claim-1: connection refused \\(tried for [0-9]+ ms\\)"));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, ANetworkWaitsForTheContainerRuntime) {
  const ClaimRef with_network = node_.add_claim(1, {0}, kNetwork);
  const ClaimRef without = node_.add_claim(2, {1}, kVfio, Json::array({reserved_for("pod-b")}));
  node_.set_runtime(Error(Code::kUnavailable, "runtime-nri: not connected"));
  auto waiting = node_.prepare_later(with_network);
  prepared(without);  // is not held up
  EXPECT_EQ(waiting.wait_for(10ms), std::future_status::timeout);
  node_.set_runtime({});
  const auto answer = waiting.get();
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(node_.recording.count("netconf.validate vfnet0"), 1U);
  // The status follows the answer.
  while (node_.events->status_of("uid-1").empty()) std::this_thread::yield();
  const auto status = node_.events->status_of("uid-1");
  EXPECT_TRUE(status[0].has_network);
  EXPECT_FALSE(status[0].network_ready);
}

TEST_F(ClaimRunnerTest, ARuntimeThatStaysAwayIsAnErrorAfterTheWait) {
  node_.stop();
  node_.settings.runtime_wait = 20ms;
  ASSERT_TRUE(node_.start());
  const ClaimRef claim = node_.add_claim(1, {0}, kNetwork);
  node_.set_runtime(Error(Code::kUnavailable, "runtime-nri: not connected"));
  const auto answer = node_.prepare(claim);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message(), HasSubstr("claim tenant/claim-1: its network needs the "
                                                  "container runtime: runtime-nri: not connected"));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, ABadNetworkIsFoundBeforeTheMachineIsTouched) {
  node_.netconf.on_validate = [] {
    return Error(Code::kInvalidArgument, "no CNI plugin \"sriov\" in /opt/cni/bin");
  };
  Json fields = kNetwork;
  fields["driver"] = "vfio-pci";
  const auto answer = node_.prepare(node_.add_claim(1, {0}, fields));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message(),
            "claim tenant/claim-1: request \"main\", device 0000-08-00-0: netconf: no CNI plugin "
            "\"sriov\" in "
            "/opt/cni/bin");
  EXPECT_THAT(node_.recording.lines(), ElementsAre("netconf.validate vfnet0"));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, OnlyANetworkPutsTheHookIntoTheDocument) {
  const ClaimRef plain = node_.add_claim(1, {0}, kVfio);
  const ClaimRef network = node_.add_claim(2, {1}, kNetwork, Json::array({reserved_for("pod-b")}));
  prepared(plain);
  prepared(network);
  const auto specs = node_.cdi.specs();
  EXPECT_THAT(specs.at(plain.uid), Not(HasSubstr("hooks")));
  EXPECT_EQ(
      Json::parse(specs.at(network.uid)).at("containerEdits"),
      (Json{{"hooks",
             {{{"hookName", "createRuntime"},
               {"path", node_.hook.path()},
               {"args", {"dra-driver-sriov-hook", network.uid, "tenant/claim-2", "/data"}}}}}}));
  for (const ClaimRef& claim : {plain, network}) unprepared(claim);
}

TEST_F(ClaimRunnerTest, AMissingHookIsPutBackOrTheNetworkIsNotPrepared) {
  const ClaimRef plain = node_.add_claim(1, {0}, kVfio);
  const ClaimRef network = node_.add_claim(2, {1}, kNetwork, Json::array({reserved_for("pod-b")}));
  const auto lose = [this] { std::filesystem::remove(node_.hook.path()); };
  lose();
  prepared(network);
  EXPECT_TRUE(std::filesystem::exists(node_.hook.path()));
  lose();
  prepared(network);
  EXPECT_TRUE(std::filesystem::exists(node_.hook.path())) << "also for a claim that is prepared";

  lose();
  std::filesystem::remove(node_.hook_program());
  EXPECT_THAT(node_.prepare(network).error().message(),
              HasSubstr("claim tenant/claim-2: the OCI hook " + node_.hook.path().native() +
                        " is missing and cannot be put back"));
  prepared(plain);
  for (const ClaimRef& claim : {plain, network}) unprepared(claim);
  ASSERT_FALSE(node_.prepare(network));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, ANetworkThatIsNotThereIsNamed) {
  const auto answer = node_.prepare(node_.add_claim(1, {0}, {{"netAttachDefName", "net-b"}}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().to_string(),
            "claim tenant/claim-1: NetworkAttachmentDefinition tenant/net-b: get "
            "network-attachment-definitions "
            "tenant/net-b: not found — hint: create it, or correct netAttachDefName in the claim's "
            "parameters");
}

TEST_F(ClaimRunnerTest, InputErrorsTouchNothingAndNameTheClaim) {
  const auto unknown = node_.prepare({"tenant", "nowhere", "uid-7"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().to_string(),
            "claim tenant/nowhere: get resourceclaims tenant/nowhere: not found — hint: the pod "
            "names a claim that is gone: create it, or delete the pod");

  const auto path = node_.prepare({"tenant", "x", "../../etc/passwd"});
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().message(), "the UID of the claim is not a UID");
  EXPECT_FALSE(node_.unprepare({"tenant", "x", "../../etc/passwd"}));

  ClaimRef other_uid = node_.add_claim(1, {0});
  other_uid.uid = "uid-other";
  const auto replaced = node_.prepare(other_uid);
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().message(),
            "claim tenant/claim-1: its UID is uid-1, kubelet asks for uid-other");

  const auto bad = node_.prepare(node_.add_claim(2, {1}, {{"driver", "../../x"}}));
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message(),
              HasSubstr("parameters.driver: \"../../x\" is not the name of a kernel driver"));
  EXPECT_THAT(node_.recording.lines(), IsEmpty());
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, ADeviceBelongsToOneClaim) {
  const ClaimRef first = node_.add_claim(1, {0}, kVfio);
  const ClaimRef second = node_.add_claim(2, {0}, kVfio, Json::array({reserved_for("pod-b")}));
  prepared(first);
  const auto refused = node_.prepare(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "claim tenant/claim-2: request \"main\", device 0000-08-00-0: it is held by claim "
            "tenant/claim-1 (uid-1), "
            "Prepared");
  // A late delete of the one that never had it does not touch the owner.
  unprepared(second);
  EXPECT_EQ(node_.vfio.machine().at(kVf0), "uid-1");
  unprepared(first);
  prepared(second);
  unprepared(second);
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, UnprepareOfAnUnknownClaimSucceeds) {
  unprepared({"tenant", "nowhere", "uid-7"});
  unprepared(node_.add_claim(1, {0}));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, UnprepareNeedsNoApi) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  node_.cluster.on_get([](const cluster::ObjectKey&) -> Status {
    ADD_FAILURE() << "unprepare works from its own record";
    return Error(Code::kUnavailable, "gone");
  });
  unprepared(claim);
  node_.expect_pristine();
}

/// The Go driver drops the whole pod's state with the first of its claims.
TEST_F(ClaimRunnerTest, TwoClaimsOfOnePodEndOneByOne) {
  const ClaimRef first = node_.add_claim(1, {0}, kVfio);
  const ClaimRef second = node_.add_claim(2, {1}, kVfio);
  prepared(first);
  prepared(second);
  const auto addresses = [this] {
    const Json spec = Json::parse(node_.cdi.specs().at("uid-of-pod-a"));
    return spec.at("devices").at(0).at("containerEdits").at("env").at(0).get<std::string>();
  };
  EXPECT_EQ(addresses(), "SRIOVNETWORK_PCI_ADDRESSES=0000:08:00.0,0000:08:00.1");
  unprepared(first);
  EXPECT_EQ(addresses(), "SRIOVNETWORK_PCI_ADDRESSES=0000:08:00.1");
  EXPECT_EQ(node_.cdi.specs().count("uid-2"), 1U);
  EXPECT_EQ(node_.vfio.machine().at(kVf1), "uid-2");
  EXPECT_EQ(node_.vfio.machine().count(kVf0), 0U);
  unprepared(second);
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, InterfaceNamesAreCountedOverThePodsClaims) {
  const ClaimRef first = node_.add_claim(1, {0, 1});
  const ClaimRef second = node_.add_claim(2, {2});
  const ClaimRef other_pod =
      node_.add_claim(3, {3}, Json::object(), Json::array({reserved_for("pod-b")}));
  prepared(first);
  prepared(second);
  prepared(other_pod);
  const auto names = [this](const std::string& uid) {
    std::vector<std::string> out;
    for (const auto& device : node_.journal->find(uid)->devices)
      out.push_back(device.plan.interface_name);
    return out;
  };
  EXPECT_THAT(names("uid-1"), ElementsAre("vfnet0", "vfnet1"));
  EXPECT_THAT(names("uid-2"), ElementsAre("vfnet2"));
  EXPECT_THAT(names("uid-3"), ElementsAre("vfnet0"));
  unprepared(first);
  prepared(first);
  EXPECT_THAT(names("uid-1"), ElementsAre("vfnet0", "vfnet1"));
}

TEST_F(ClaimRunnerTest, AClaimForSeveralPodsHasNoPodDocument) {
  const ClaimRef claim =
      node_.add_claim(1, {0}, kVfio, Json::array({reserved_for("pod-a"), reserved_for("pod-b")}));
  const auto answer = node_.prepare(claim);
  ASSERT_TRUE(answer);
  EXPECT_THAT((*answer)[0].cdi_device_ids,
              ElementsAre("sriovnetwork.openshift.io/vf=uid-1-0000-08-00-0",
                          "sriovnetwork.openshift.io/vf=uid-1"));
  EXPECT_EQ(node_.cdi.specs().size(), 1U);
  unprepared(claim);
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, ADeviceThatCannotBeDetachedIsNotUnprepared) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  auto record = *node_.journal->find("uid-1");
  record.devices[0].attachments = {
      {AttachmentState::kAttached, "sandbox-1", "uid-of-pod-a", "tenant", "pod-a"}};
  ASSERT_TRUE(node_.journal->write(std::make_shared<const Record>(record)));
  std::atomic<bool> broken = true;
  node_.netconf.on("del", [&](const module::Call&, const module::NetconfRequest&) {
    return broken ? Status(Error(Code::kUnavailable, "plugin sriov: code 11")) : Status();
  });
  const auto status = node_.unprepare(claim);
  ASSERT_FALSE(status);
  EXPECT_EQ(
      status.error().message(),
      "claim tenant/claim-1: netconf: detach 0000-08-00-0 from pod tenant/pod-a: plugin sriov: "
      "code 11");
  EXPECT_EQ(node_.vfio.machine().at(kVf0), "uid-1")
      << "it is undone in the order in which it was made";
  EXPECT_EQ(node_.journal->find("uid-1")->state, RecordState::kUndoing);
  broken = false;
  EXPECT_TRUE(node_.unprepare(claim));
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, AdminAccessShowsADeviceThatAnotherClaimHolds) {
  const ClaimRef owner = node_.add_claim(1, {0}, kVfio);
  prepared(owner);
  const ClaimRef admin{"tenant", "claim-2", "uid-2"};
  Json result = result_of("look", kVf0);
  result["adminAccess"] = true;
  node_.cluster.put(cluster::resource_claims(),
                    testing::claim_object(admin, {result}, Json::array(), {reserved_for("pod-b")}));
  prepared(admin);
  EXPECT_TRUE(node_.events->wait_for_held({{kVf0, "uid-1 Prepared"}}));
  unprepared(admin);
  EXPECT_EQ(node_.vfio.machine().at(kVf0), "uid-1");
  unprepared(owner);
  node_.expect_pristine();
}

TEST_F(ClaimRunnerTest, StatusShowsTheEffectiveConfigurationAndGoesWithTheClaim) {
  const ClaimRef claim = node_.add_claim(1, {0}, kVfio);
  prepared(claim);
  ASSERT_TRUE(node_.events->wait_for_held({{kVf0, "uid-1 Prepared"}}));
  node_.queue->stop();  // what follows the answer has happened
  const auto status = node_.events->status_of("uid-1");
  ASSERT_EQ(status.size(), 1U);
  EXPECT_EQ(status[0].device, kVf0);
  EXPECT_EQ(status[0].pool, "node-1");
  EXPECT_TRUE(status[0].ready);
  EXPECT_FALSE(status[0].has_network);
  EXPECT_EQ(Json::parse(status[0].config_json).at("driver"), "vfio-pci");
}

TEST_F(ClaimRunnerTest, AfterStopCallsAreAnswered) {
  const ClaimRef claim = node_.add_claim(1, {0});
  node_.queue->stop();
  const auto answer = node_.prepare(claim);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message(), "claim tenant/claim-1: the driver is stopping");
  const auto status = node_.unprepare(claim);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(), "claim tenant/claim-1: the driver is stopping");
}

}  // namespace
}  // namespace drasriov::claim
