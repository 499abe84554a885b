// SPDX-License-Identifier: Apache-2.0
//
// `module verify`, `module inspect` and `module list` on the loader's fixtures: which step says what.
#include "host/module/verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "host/module/commands.hpp"

namespace drasriov::module {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Verdict = VerifyStep::Verdict;

class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() {
    std::string name = (std::filesystem::temp_directory_path() / "drasriov-verify-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    options_.child = {DRASRIOV_MODULE_VERIFY_CHILD_PATH};
  }
  ~VerifyTest() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string install(const std::string& fixture) const {
    const auto target = directory_ / "module.so";
    std::filesystem::copy_file(fixture, target);
    std::filesystem::permissions(target, std::filesystem::perms(0644));
    return target;
  }

  /// The one step that failed, as "N: message — hint: hint"; "none" or "several" otherwise.
  [[nodiscard]] std::string failure(const std::string& fixture) const {
    const VerifyReport report = verify_module(install(fixture), options_);
    std::string text = "none";
    for (const VerifyStep& step : report.steps) {
      if (step.verdict != Verdict::kFailed) continue;
      if (text != "none") return "several";
      text = std::to_string(step.number) + ": " + step.message;
      if (!step.hint.empty()) text += " — hint: " + step.hint;
    }
    EXPECT_EQ(report.passed(), text == "none");
    for (auto at = text.find(directory_); at != std::string::npos; at = text.find(directory_)) {
      text.replace(at, directory_.native().size(), "$DIR");
    }
    return text;
  }

  std::filesystem::path directory_;
  VerifyOptions options_;
};

TEST_F(VerifyTest, ACorrectModulePassesEveryStep) {
  const VerifyReport report = verify_module(install(DRASRIOV_FIXTURE_GOOD_PATH), options_);
  ASSERT_EQ(report.steps.size(), 4U);
  for (const VerifyStep& step : report.steps) {
    EXPECT_EQ(step.verdict, Verdict::kPassed) << step.number << ": " << step.message;
  }
  EXPECT_TRUE(report.passed());
  EXPECT_THAT(report.steps[0].message, HasSubstr("needs GLIBC_"));
  EXPECT_EQ(report.steps[1].message,
            "fixture 1.2.3 of the project's tests, ABI 1.0, offers discovery/1");
}

TEST_F(VerifyTest, TheFileStepStopsTheRest) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  ASSERT_EQ(::chmod(module.c_str(), 0666), 0);
  const VerifyReport report = verify_module(module, options_);
  EXPECT_THAT(report.steps[0].message, HasSubstr("it is writable by others (mode 0666)"));
  EXPECT_EQ(report.steps[3].verdict, Verdict::kSkipped);
  EXPECT_EQ(report.steps[3].message, "not run, because step 1 failed");

  options_.insecure_dev = true;
  const VerifyReport relaxed = verify_module(module, options_);
  EXPECT_EQ(relaxed.steps[0].verdict, Verdict::kWarning);
  EXPECT_TRUE(relaxed.passed());
}

TEST_F(VerifyTest, NoNote) {
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_NO_NOTE_PATH),
              StartsWith("2: module file $DIR/module.so: it has no note .note.drasriov"));
}

TEST_F(VerifyTest, TwoExports) {
  EXPECT_EQ(
      failure(DRASRIOV_FIXTURE_TWO_EXPORTS_PATH),
      "3: it exports 2 symbols: drasriov_fixture_second_export and drasriov_module_query_v1 — "
      "hint: export drasriov_module_query_v1 alone: drasriov_add_module() hides the rest with "
      "a version script");
}

TEST_F(VerifyTest, ExecutableStack) {
  EXPECT_EQ(failure(DRASRIOV_FIXTURE_EXECUTABLE_STACK_PATH),
            "3: it asks for an executable stack — hint: link with -z noexecstack; assembly sources "
            "need a .note.GNU-stack section");
}

TEST_F(VerifyTest, ForeignSearchPath) {
  EXPECT_EQ(failure(DRASRIOV_FIXTURE_FOREIGN_RUNPATH_PATH),
            "3: its RPATH or RUNPATH \"/opt/vendor/lib\" is outside of $ORIGIN — hint: remove the "
            "path, or install the libraries beside the module");
}

TEST_F(VerifyTest, CrashInQuery) {
  EXPECT_THAT(
      failure(DRASRIOV_FIXTURE_CRASHES_PATH),
      StartsWith("4: crashed in step 4 with SIGSEGV (in drasriov_module_query_v1) — hint: "));
}

TEST_F(VerifyTest, SlowQuery) {
  options_.timeout = std::chrono::milliseconds(300);
  EXPECT_EQ(failure(DRASRIOV_FIXTURE_SLOW_QUERY_PATH),
            "4: did not come back from drasriov_module_query_v1 within 300 ms — hint: constructors "
            "and the query function must not block");
}

TEST_F(VerifyTest, CrashInAConstructorAndInADestructor) {
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_CONSTRUCTOR_CRASHES_PATH),
              StartsWith("4: crashed in step 4 with SIGSEGV (in dlopen)"));
  std::filesystem::remove(directory_ / "module.so");
  EXPECT_THAT(
      failure(DRASRIOV_FIXTURE_DESTRUCTOR_CRASHES_PATH),
      StartsWith(
          "4: crashed in step 4 with SIGSEGV (in its destructors, at the end of the process)"));
}

TEST_F(VerifyTest, AnExitIsNoPass) {
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_QUERY_EXITS_PATH),
              StartsWith("4: ended its process with exit code 0 in drasriov_module_query_v1"));
}

TEST_F(VerifyTest, ThreadInQuery) {
  EXPECT_EQ(failure(DRASRIOV_FIXTURE_THREAD_IN_QUERY_PATH),
            "4: module file $DIR/module.so: it starts a thread when it is loaded — hint: start "
            "threads in start() and join them in stop()");
}

TEST_F(VerifyTest, TableRules) {
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_SHORT_TABLE_PATH),
              HasSubstr("4: module file $DIR/module.so: its module table has struct_size 64"));
  std::filesystem::remove(directory_ / "module.so");
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_NULL_CREATE_PATH),
              HasSubstr("mandatory member create of its module table is null"));
  std::filesystem::remove(directory_ / "module.so");
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_OTHER_VERSION_PATH),
              HasSubstr("its table says version 1.2.4, its note 1.2.3"));
  std::filesystem::remove(directory_ / "module.so");
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_UNRESOLVED_PATH),
              HasSubstr("undefined symbol: drasriov_fixture_nowhere"));
  std::filesystem::remove(directory_ / "module.so");
  EXPECT_THAT(failure(DRASRIOV_FIXTURE_UNKNOWN_KEYWORD_PATH),
              HasSubstr("4: module file $DIR/module.so: its claim_schema: schema: keyword "
                        "\"minItems\" is not supported"));
}

TEST_F(VerifyTest, TheCommandPrintsALineForEachStep) {
  const std::vector<std::string> modules = {install(DRASRIOV_FIXTURE_TWO_EXPORTS_PATH)};
  std::ostringstream text;
  EXPECT_EQ(verify_modules(modules, {}, options_, ReportFormat::kText, text), 1);
  EXPECT_THAT(text.str(), AllOf(StartsWith(modules[0] + ": failed\n 1  file     ok      "),
                                HasSubstr("\n 2  note     ok      "),
                                HasSubstr("\n 3  dynamic  failed  it exports 2"),
                                HasSubstr("\n 4  load     ok      ")));

  std::ostringstream out;
  EXPECT_EQ(verify_modules(modules, {}, options_, ReportFormat::kJson, out), 1);
  const json report = json::parse(out.str());
  ASSERT_EQ(report.size(), 1U);
  EXPECT_EQ(report[0]["file"], modules[0]);
  EXPECT_EQ(report[0]["passed"], false);
  EXPECT_EQ(report[0]["steps"][2]["verdict"], "failed");
  EXPECT_EQ(report[0]["steps"][3]["verdict"], "ok");
}

TEST_F(VerifyTest, InspectRunsNoCode) {
  // Loading this one would kill the test.
  const std::string module = install(DRASRIOV_FIXTURE_CONSTRUCTOR_CRASHES_PATH);
  std::ostringstream out;
  EXPECT_EQ(inspect_module(module, {}, ReportFormat::kJson, out), 0);
  const json facts = json::parse(out.str());
  EXPECT_EQ(facts["name"], "fixture");
  EXPECT_EQ(facts["abi"], "1.0");
  EXPECT_EQ(facts["capabilities"], json({"discovery/1"}));
  EXPECT_EQ(facts["exports"], json({"drasriov_module_query_v1"}));
  EXPECT_EQ(facts["objections"], json::array());

  std::ostringstream text;
  EXPECT_EQ(inspect_module(module, {}, ReportFormat::kText, text), 0);
  EXPECT_THAT(text.str(), HasSubstr("\nversion       1.2.3\n"));
}

TEST_F(VerifyTest, ListSaysWhatWouldBeRefused) {
  const std::string good = install(DRASRIOV_FIXTURE_GOOD_PATH);
  std::vector<config::ModuleEntry> entries = {
      {.name = "first", .module = good},
      {.name = "second",
       .module = "builtin:gone",
       .failure_policy = config::FailurePolicy::kIgnore},
      {.name = "third", .module = "builtin:gone", .enabled = false}};
  const FileSource source{.builtin_directory = directory_};
  std::ostringstream text;
  EXPECT_EQ(list_modules(entries, source, ReportFormat::kText, text), 0);
  EXPECT_EQ(text.str(),
            "NAME    STATE     POLICY  VERSION  ABI  CAPABILITIES  MODULE\n"
            "first   ok        Fail    1.2.3    1.0  discovery/1   " +
                good +
                "\n"
                "second  refused   Ignore  -        -    -             builtin:gone\n"
                "third   disabled  Fail    -        -    -             builtin:gone\n"
                "second: \"builtin:gone\": there is no such builtin module in " +
                directory_.string() + " — hint: This driver has builtin:" +
                std::filesystem::path(good).stem().string() + "\n");

  entries[1].failure_policy = config::FailurePolicy::kFail;
  std::ostringstream out;
  EXPECT_EQ(list_modules(entries, source, ReportFormat::kJson, out), 1);
  EXPECT_EQ(json::parse(out.str())[0]["manifest"]["version"], "1.2.3");
}

}  // namespace
}  // namespace drasriov::module
