// SPDX-License-Identifier: Apache-2.0
//
// The main job: a claim prepared and unprepared by kubelet's calls over the real sockets.
#include <gtest/gtest.h>
#include <signal.h>

#include "host/base/durable_file.hpp"
#include "tests/integration/machine.hpp"

namespace drasriov::integration {
namespace {

TEST(ClaimFlow, PreparesAndLeavesNothingBehind) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf, kSecondVf});
  const auto driver = machine.start_driver();

  const Json prepared = machine.kubelet("prepare", {claim});
  const Json answer = prepared["claims"][claim.uid];
  EXPECT_EQ(answer["error"], "");
  ASSERT_EQ(answer["devices"].size(), 2U);
  EXPECT_EQ(answer["devices"][0]["requestNames"], Json::array({"vf"}));
  EXPECT_EQ(answer["devices"][0]["poolName"], kNodeName);
  EXPECT_EQ(answer["devices"][0]["deviceName"], kFirstVf);
  EXPECT_EQ(answer["devices"][1]["deviceName"], kSecondVf);
  const std::string pod = "b0d00000" + claim.uid.substr(8);
  const std::string kind = std::string(kDriverName) + "/vf=";
  EXPECT_EQ(answer["devices"][0]["cdiDeviceIDs"],
            Json::array({kind + claim.uid + "-" + kFirstVf, kind + pod}));

  // What a container gets.
  std::map<std::string, Json> specs;
  for (const std::string& file : Machine::files(machine.cdi())) {
    const auto text = read_file(machine.cdi() / file);
    ASSERT_TRUE(text);
    const Json spec = Json::parse(*text);
    EXPECT_EQ(spec["kind"], std::string(kDriverName) + "/vf");
    for (const Json& device : spec["devices"])
      specs[device["name"]] = device["containerEdits"]["env"];
  }
  EXPECT_EQ(specs.size(), 3U) << "two devices and the pod";
  EXPECT_EQ(specs[claim.uid + "-" + kFirstVf][0],
            "SRIOVNETWORK_VF_DEVICE_0000_11_10_0=0000:11:10.0");
  EXPECT_EQ(specs[pod], Json::array({"SRIOVNETWORK_PCI_ADDRESSES=0000:11:10.0,0000:11:10.2"}));

  // What the cluster is told, off the answer's path.
  EXPECT_TRUE(eventually([&] { return machine.claim_devices(claim).size() == 2; }));
  const Json status = machine.claim_devices(claim);
  EXPECT_EQ(status[0]["conditions"][0]["type"], "Ready");
  EXPECT_EQ(status[0]["conditions"][0]["status"], "True");
  EXPECT_EQ(status[0]["data"]["ifName"], "vfnet0");
  EXPECT_EQ(status[1]["data"]["ifName"], "vfnet1");
  EXPECT_EQ(Machine::files(machine.data() / "claims"),
            (std::vector<std::string>{claim.uid + ".json", claim.uid + ".previous"}));

  const Json unprepared = machine.kubelet("unprepare", {claim});
  EXPECT_EQ(unprepared["claims"][claim.uid]["error"], "");
  EXPECT_TRUE(Machine::files(machine.cdi()).empty());
  EXPECT_TRUE(Machine::files(machine.data() / "claims").empty());
}

TEST(ClaimFlow, ServesV1Beta1AlikeAndAnswersEachClaimByItself) {
  Machine machine;
  const Claim good = machine.put_claim("good", {kFirstVf});
  const Claim bad = machine.put_claim("bad", {"0000-99-00-0"});
  const Claim missing{"missing", "c1a10000-0000-4000-8000-00000000dead"};
  const auto driver = machine.start_driver();
  const Json v1beta1 = machine.kubelet("prepare", {good, bad, missing}, {"--v1beta1"});
  EXPECT_EQ(v1beta1["claims"].size(), 3U);
  EXPECT_EQ(v1beta1["claims"][good.uid]["error"], "");
  EXPECT_NE(v1beta1["claims"][bad.uid]["error"].get<std::string>().find("0000-99-00-0"),
            std::string::npos)
      << v1beta1;
  EXPECT_NE(v1beta1["claims"][missing.uid]["error"].get<std::string>().find("ns/missing"),
            std::string::npos)
      << v1beta1;
  const Json v1 = machine.kubelet("prepare", {good});
  EXPECT_EQ(v1["claims"][good.uid], v1beta1["claims"][good.uid]);
  EXPECT_EQ(machine.kubelet("unprepare", {good, bad, missing})["claims"].size(), 3U);
  EXPECT_TRUE(Machine::files(machine.cdi()).empty());
}

TEST(ClaimFlow, AClaimThatIsNotThereOrInABrokenFileIsExplained) {
  Machine machine;
  const Claim claim = machine.put_claim("deep", {kFirstVf});
  const std::string file = (machine.cluster() / "claim-deep.yaml").native();
  machine.put("claim-deep.yaml", std::string(2000, '[') + std::string(2000, ']') + "\n");
  const auto driver = machine.start_driver();
  const std::string broken = machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"];
  const std::string start =
      "claim ns/deep: get resourceclaims ns/deep: not found — hint: it may be in a file of the "
      "cluster folder that cannot be read, correct that: " +
      file + ": 2:1";
  EXPECT_EQ(broken, start + ": nested deeper than 64 levels");
  std::filesystem::remove(file);
  EXPECT_EQ(machine.kubelet("prepare", {claim})["claims"][claim.uid]["error"],
            "claim ns/deep: get resourceclaims ns/deep: not found — hint: the pod names a claim "
            "that is gone: create it, or delete the pod");
}

TEST(ClaimFlow, TheSameAnswerAfterARestartAndWithoutTheClaimObject) {
  Machine machine;
  const Claim claim = machine.put_claim("one", {kFirstVf});
  auto driver = machine.start_driver();
  const Json before = machine.kubelet("prepare", {claim})["claims"];
  driver->signal(SIGTERM);
  EXPECT_EQ(driver->wait(), 0) << driver->errors();
  std::filesystem::remove_all(machine.cdi());  // a tmpfs does not survive a reboot
  std::filesystem::create_directory(machine.cdi());

  driver = machine.start_driver();
  EXPECT_FALSE(Machine::files(machine.cdi()).empty()) << "rewritten before the first call";
  EXPECT_EQ(machine.kubelet("prepare", {claim})["claims"], before);
  std::filesystem::remove(machine.cluster() / "claim-one.yaml");
  EXPECT_EQ(machine.kubelet("unprepare", {claim})["claims"][claim.uid]["error"], "");
  EXPECT_TRUE(Machine::files(machine.cdi()).empty());
  EXPECT_TRUE(Machine::files(machine.data() / "claims").empty());
}

TEST(ClaimFlow, RefusesADeviceThatAnotherClaimHolds) {
  Machine machine;
  const Claim first = machine.put_claim("first", {kFirstVf});
  const Claim second = machine.put_claim("second", {kFirstVf});
  const auto driver = machine.start_driver();
  EXPECT_EQ(machine.kubelet("prepare", {first})["claims"][first.uid]["error"], "");
  const std::string error = machine.kubelet("prepare", {second})["claims"][second.uid]["error"];
  EXPECT_NE(error.find("ns/first"), std::string::npos) << error;
  EXPECT_EQ(machine.kubelet("unprepare", {first})["claims"][first.uid]["error"], "");
  EXPECT_EQ(machine.kubelet("prepare", {second})["claims"][second.uid]["error"], "");
}

TEST(ClaimFlow, RefusesWhatNobodyWouldDo) {
  Machine machine;
  const auto parameters = [](const char* field) {
    return std::string(
               R"({"apiVersion": "sriovnetwork.openshift.io/v1alpha1", "kind": "VfConfig", )") +
           field + "}";
  };
  machine.configure(
      "modules:\n- {name: discovery-sysfs, module: \"builtin:discovery-sysfs\"}\n"
      "- {name: cdi, module: \"builtin:cdi\"}");
  const Claim vfio = machine.put_claim("vfio", {kFirstVf}, parameters(R"("driver": "vfio-pci")"));
  const Claim network =
      machine.put_claim("network", {kFirstVf}, parameters(R"("netAttachDefName": "net")"));
  machine.put("net.yaml",
              "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: "
              "net, namespace: ns}\n"
              "spec: {config: '{\"cniVersion\": \"1.0.0\", \"type\": \"sriov\"}'}\n");
  const auto driver = machine.start_driver();
  const Json answers = machine.kubelet("prepare", {vfio, network})["claims"];
  EXPECT_NE(answers[vfio.uid]["error"].get<std::string>().find("driver"), std::string::npos)
      << answers;
  EXPECT_NE(answers[network.uid]["error"], "") << "no module would attach the interface";
  EXPECT_TRUE(Machine::files(machine.cdi()).empty());
  EXPECT_TRUE(Machine::files(machine.data() / "claims").empty());
}

}  // namespace
}  // namespace drasriov::integration
