// SPDX-License-Identifier: Apache-2.0
//
// ClaimRunner from the call to the answer: order of steps, what lies on disk at each, rollback,
// idempotency.
#include "host/claim/claim_runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/durable_file.hpp"
#include "tests/claim/node.hpp"

namespace drasriov::claim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Json;
using testing::Node;
using ::testing::Not;
using testing::reserved_for;
using testing::result_of;
using testing::virtual_function;

const Json kVfio = {{"driver", "vfio-pci"}};
const Json kBoth = {{"driver", "vfio-pci"}, {"addVhostMount", true}};
const Json kNetwork = {{"netAttachDefName", "net-a"}};
const std::string kVf0 = "0000-08-00-0";
const std::string kVf1 = "0000-08-00-1";

class ClaimRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto started = node_.start();
    ASSERT_TRUE(started) << started.error().to_string();
  }
  void prepared(const ClaimRef& claim) {
    const auto answer = node_.prepare(claim);
    ASSERT_TRUE(answer) << answer.error().to_string();
  }
  void unprepared(const ClaimRef& claim) {
    const auto status = node_.unprepare(claim);
    ASSERT_TRUE(status) << status.error().to_string();
  }
  Node node_;
};

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

}  // namespace
}  // namespace drasriov::claim
