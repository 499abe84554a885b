// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/metrics.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/telemetry/kept_log.hpp"

namespace drasriov::telemetry {
namespace {

class MetricsTest : public testing::Test {
 protected:
  KeptLog log_;
  Metrics metrics_{log_};
};

TEST_F(MetricsTest, CountsBySeriesAndShowsThemSorted) {
  const std::array<Label, 1> b{Label{"module", "b"}};
  const std::array<Label, 1> a{Label{"module", "a \"quoted\""}};
  metrics_.counter_add("calls_total", b, 1);
  metrics_.counter_add("calls_total", b, 2.5);
  metrics_.counter_add("calls_total", a, 1);
  metrics_.gauge_set("devices", {}, 128);
  metrics_.gauge_set("devices", {}, 127);
  EXPECT_EQ(metrics_.text(),
            "# TYPE calls_total counter\n"
            "calls_total{module=\"a \\\"quoted\\\"\"} 1\n"
            "calls_total{module=\"b\"} 3.5\n"
            "# TYPE devices gauge\n"
            "devices 127\n");
}

TEST_F(MetricsTest, AHistogramCountsCumulatively) {
  metrics_.histogram_observe("scan_seconds", {}, 0.001);  // on the bound: belongs to it
  metrics_.histogram_observe("scan_seconds", {}, 0.3);
  metrics_.histogram_observe("scan_seconds", {}, 1000);
  const std::string text = metrics_.text();
  EXPECT_NE(text.find("scan_seconds_bucket{le=\"0.0005\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("scan_seconds_bucket{le=\"0.001\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("scan_seconds_bucket{le=\"0.5\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("scan_seconds_bucket{le=\"30\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("scan_seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("scan_seconds_count 3\n"), std::string::npos) << text;
}

TEST_F(MetricsTest, SaysWhatASeriesIs) {
  metrics_.gauge_set("drasriov_devices_held", {}, 3);
  metrics_.counter_add("drasriov_module_acme_resets_total", {}, 1);
  EXPECT_EQ(metrics_.text(),
            "# HELP drasriov_devices_held Devices that claims hold.\n"
            "# TYPE drasriov_devices_held gauge\n"
            "drasriov_devices_held 3\n"
            "# HELP drasriov_module_acme_resets_total A module's own, see its documentation.\n"
            "# TYPE drasriov_module_acme_resets_total counter\n"
            "drasriov_module_acme_resets_total 1\n");
}

TEST_F(MetricsTest, RefusesAnotherKindOrOtherLabelsAndSaysSoOnce) {
  metrics_.counter_add("calls_total", {}, 1);
  metrics_.gauge_set("calls_total", {}, 7);
  metrics_.gauge_set("calls_total", {}, 8);
  const std::array<Label, 1> label{Label{"module", "a"}};
  metrics_.counter_add("calls_total", label, 1);
  EXPECT_EQ(metrics_.text(), "# TYPE calls_total counter\ncalls_total 1\n");
  ASSERT_EQ(log_.lines().size(), 1U);
  EXPECT_EQ(
      log_.lines()[0].text,
      "metric calls_total: used with another kind or other labels than the first time, dropped");
}

TEST_F(MetricsTest, RefusesWhatIsNoName) {
  metrics_.counter_add("Bad-Name", {}, 1);
  metrics_.counter_add("", {}, 1);
  const std::array<Label, 1> label{Label{"a b", "c"}};
  metrics_.counter_add("good", label, 1);
  EXPECT_EQ(metrics_.text(), "");
  EXPECT_EQ(log_.lines().size(), 3U);
}

TEST_F(MetricsTest, ACounterNeverGoesBack) {
  metrics_.counter_add("calls_total", {}, 2);
  metrics_.counter_add("calls_total", {}, -1);
  EXPECT_EQ(metrics_.text(), "# TYPE calls_total counter\ncalls_total 2\n");
}

}  // namespace
}  // namespace drasriov::telemetry
