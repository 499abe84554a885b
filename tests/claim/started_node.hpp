// SPDX-License-Identifier: Apache-2.0
//
// A node whose runner has started, for each test anew.
#pragma once

#include <gtest/gtest.h>

#include "tests/claim/node.hpp"

namespace drasriov::claim::testing {

class StartedNodeTest : public ::testing::Test {
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

}  // namespace drasriov::claim::testing
