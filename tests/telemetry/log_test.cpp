// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "host/base/unique_fd.hpp"

namespace drasriov::telemetry {
namespace {

/// A log into a pipe, and the lines that came out.
class LogTest : public testing::Test {
 protected:
  LogTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
  }

  std::unique_ptr<Log> log(config::LogFormat format, int verbosity = 0) {
    return make_log(format, verbosity, write_end_.get());
  }

  std::vector<std::string> lines() {
    std::string text(65536, '\0');
    const ssize_t got = ::read(read_end_.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    std::vector<std::string> result;
    for (std::size_t start = 0; start < text.size();) {
      const auto end = text.find('\n', start);
      EXPECT_NE(end, std::string::npos) << "a line without end: " << text.substr(start);
      result.push_back(text.substr(start, end - start));
      start = end + 1;
    }
    return result;
  }

  UniqueFd read_end_;
  UniqueFd write_end_;
};

TEST_F(LogTest, WritesKlogsTextLine) {
  log(config::LogFormat::kText)
      ->info("claim prepared", {{key::kClaim, "ns/a"}, {key::kDevice, "0000-08-00-2"}});
  const auto written = lines();
  ASSERT_EQ(written.size(), 1U);
  const std::regex klog(R"re(I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ log_test\.cpp:\d+\] )re"
                        R"re(claim prepared claim="ns/a" device="0000-08-00-2")re");
  EXPECT_TRUE(std::regex_match(written[0], klog)) << written[0];
}

TEST_F(LogTest, WritesOneJsonObjectALine) {
  log(config::LogFormat::kJson)
      ->warning(Error(Code::kUnavailable, "read \"x\"\nfailed", "look at it"), {{"pod", "ns/p"}});
  const auto written = lines();
  ASSERT_EQ(written.size(), 1U);
  const auto object = nlohmann::json::parse(written[0]);
  EXPECT_GT(object.at("ts").get<double>(), 1.5e12) << "milliseconds since the epoch";
  EXPECT_EQ(object.at("level"), "warning");
  EXPECT_EQ(object.at("msg"), "read \"x\"\nfailed — hint: look at it");
  EXPECT_EQ(object.at("pod"), "ns/p");
  EXPECT_TRUE(object.at("caller").get<std::string>().starts_with("log_test.cpp:"));
}

TEST_F(LogTest, AValueCannotForgeALine) {
  log(config::LogFormat::kText)
      ->error("claim refused\nI0101 forged", {{key::kClaim, "a\" device=\"b\nE0101"}});
  const auto written = lines();
  ASSERT_EQ(written.size(), 1U);
  EXPECT_NE(written[0].find(R"(claim refused\nI0101 forged claim="a\" device=\"b\nE0101")"),
            std::string::npos)
      << written[0];
}

TEST_F(LogTest, VerbosityDecidesWhatIsWritten) {
  struct Row {
    int verbosity;
    std::size_t lines;
  };
  for (const Row& c : {Row{0, 3}, Row{3, 3}, Row{4, 4}, Row{6, 5}, Row{9, 5}}) {
    const auto log = this->log(config::LogFormat::kText, c.verbosity);
    for (const Level level :
         {Level::kTrace, Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
      log->write(level, "x", {}, nullptr);
    }
    EXPECT_EQ(lines().size(), c.lines) << "verbosity " << c.verbosity;
    EXPECT_EQ(log->enabled(Level::kDebug), c.verbosity >= 4);
  }
}

TEST_F(LogTest, AReaderThatWentAwayDoesNotStopTheDriver) {
  const auto log = this->log(config::LogFormat::kText);
  read_end_.reset();
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(SIGPIPE, &ignore, nullptr), 0);
  log->info("nobody reads this");
}

}  // namespace
}  // namespace drasriov::telemetry
