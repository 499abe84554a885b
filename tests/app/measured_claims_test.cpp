// SPDX-License-Identifier: Apache-2.0
#include "host/app/measured_claims.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/telemetry/kept_log.hpp"

namespace drasriov::app {
namespace {

/// Answers at once: a claim whose name is "bad" with an error.
class InstantClaims final : public claim::ClaimService {
 public:
  void prepare(claim::ClaimRef claim, Deadline /*deadline*/, Prepared done) override {
    if (claim.name == "bad") return done(Error(Code::kNotFound, "no such device"));
    done(std::vector{claim::PreparedDevice{.device_name = claim.name}});
  }
  void unprepare(claim::ClaimRef claim, Deadline /*deadline*/, Unprepared done) override {
    done(claim.name == "bad" ? Status(Error(Code::kUnavailable, "in use")) : Status());
  }
};

TEST(MeasuredClaimsTest, EveryAnswerPassesAndIsCounted) {
  telemetry::KeptLog log;
  telemetry::Metrics metrics(log);
  InstantClaims claims;
  MeasuredClaims measured(claims, metrics);
  const claim::ClaimRef good{"ns", "good", "u-1"};
  const claim::ClaimRef bad{"ns", "bad", "u-2"};
  const auto count = [&metrics](const char* operation, const char* outcome) {
    const std::string line = std::string("drasriov_claim_seconds_count{operation=\"") + operation +
                             "\",outcome=\"" + outcome + "\"} ";
    const std::string text = metrics.text();
    const auto at = text.find(line);
    return at == std::string::npos
               ? std::string("none")
               : text.substr(at + line.size(), text.find('\n', at) - at - line.size());
  };
  std::string seen_at_answer;
  for (int i = 0; i < 2; ++i) {
    measured.prepare(good, Deadline::infinite(), [&](auto answer) {
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->at(0).device_name, "good");
      seen_at_answer = count("prepare", "ok");
    });
  }
  EXPECT_EQ(seen_at_answer, "1") << "counted before the answer was given";
  measured.prepare(bad, Deadline::infinite(), [](const auto& answer) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().message(), "no such device");
  });
  measured.unprepare(good, Deadline::infinite(), [](const auto& answer) { EXPECT_TRUE(answer); });
  measured.unprepare(bad, Deadline::infinite(), [](const auto& answer) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().message(), "in use");
  });
  EXPECT_EQ(count("prepare", "ok"), "2");
  EXPECT_EQ(count("prepare", "failed"), "1");
  EXPECT_EQ(count("unprepare", "ok"), "1");
  EXPECT_EQ(count("unprepare", "failed"), "1");
}

}  // namespace
}  // namespace drasriov::app
