// SPDX-License-Identifier: Apache-2.0
#include "host/pod/sandbox_gate.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace drasriov::pod {
namespace {

using Kind = module::RuntimeEvent::Kind;

module::RuntimeEvent event(Kind kind, const std::string& pod_uid = "",
                           const std::string& source = "runtime-nri") {
  module::RuntimeEvent made;
  made.kind = kind;
  made.source = source;
  made.sandbox.pod.uid = pod_uid;
  made.sandbox.pod.namespace_ = "ns";
  made.sandbox.pod.name = "p";
  return made;
}

/// The answer, which must have come exactly once when submit() returns.
Status answer(SandboxGate& gate, module::RuntimeEvent of) {
  std::optional<Status> result;
  int answers = 0;
  EXPECT_GT(gate.submit(std::move(of), [&](const Status& status) { result = status, ++answers; }),
            0U);
  EXPECT_EQ(1, answers);
  return *result;
}

TEST(SandboxGate, IsReadyWhileARuntimeIsSynchronised) {
  SandboxGate gate;
  EXPECT_EQ(Code::kUnavailable, gate.runtime_ready().error().code());
  EXPECT_TRUE(answer(gate, event(Kind::kSynchronised)));
  EXPECT_TRUE(gate.runtime_ready());
  EXPECT_TRUE(answer(gate, event(Kind::kDisconnected, "", "another")));
  EXPECT_TRUE(gate.runtime_ready()) << "another module's runtime went, not this one's";
  EXPECT_TRUE(answer(gate, event(Kind::kDisconnected)));
  EXPECT_FALSE(gate.runtime_ready());
}

TEST(SandboxGate, RefusesEverythingUntilClaimsAreKnown) {
  SandboxGate gate;
  for (const Kind kind : {Kind::kRunPodSandbox, Kind::kCreateContainer}) {
    const Status refused = answer(gate, event(kind, "u1"));
    ASSERT_FALSE(refused);
    EXPECT_EQ("pod ns/p: the SR-IOV driver is starting and does not know its claims yet",
              refused.error().message());
  }
}

TEST(SandboxGate, LetsNoPodRunWithoutItsNetwork) {
  SandboxGate gate;
  gate.serve([](std::string_view uid) { return uid == "needs-network"; });
  for (const Kind kind : {Kind::kRunPodSandbox, Kind::kCreateContainer}) {
    EXPECT_TRUE(answer(gate, event(kind, "other")));
    const Status refused = answer(gate, event(kind, "needs-network"));
    ASSERT_FALSE(refused);
    EXPECT_NE(std::string::npos,
              refused.error().message().find("pod ns/p: its SR-IOV interface cannot be attached"));
  }
  for (const Kind kind : {Kind::kStopPodSandbox, Kind::kRemovePodSandbox}) {
    EXPECT_TRUE(answer(gate, event(kind, "needs-network")));
  }
}

}  // namespace
}  // namespace drasriov::pod
