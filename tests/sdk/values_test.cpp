// SPDX-License-Identifier: Apache-2.0
//
// The value types of the SDK: Result, Device, cdi::Edits, Config, and the Host's services.
#include <drasriov/sdk/cdi_edits.hpp>
#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/device.hpp>
#include <drasriov/sdk/note.hpp>
#include <drasriov/sdk/testing/fake_host.hpp>
#include <drasriov/sdk/testing/program.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace drasriov::sdk_test {
namespace {

namespace sdk = drasriov::sdk;
using sdk::Code;
using sdk::Config;
using sdk::Error;
using sdk::testing::FakeCall;
using sdk::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

// ---- Error ----

TEST(Error, ContextAndHint) {
  const Error error =
      Error(Code::kUnavailable, "EBUSY").with_context("bind 0000:08:00.2").with_hint("stop it");
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.message(), "bind 0000:08:00.2: EBUSY");
  EXPECT_EQ(error.hint(), "stop it");
}

TEST(Error, FromErrno) {
  const Error error = sdk::errno_error(EBUSY, "bind");
  EXPECT_EQ(error.code(), Code::kUnavailable) << "busy is retryable";
  EXPECT_EQ(error.message(), "bind: Device or resource busy");
  EXPECT_EQ(sdk::code_of_errno(ENODEV), Code::kNotFound);
  EXPECT_EQ(sdk::code_of_errno(EACCES), Code::kPermissionDenied);
  EXPECT_EQ(sdk::code_of_errno(ENOSPC), Code::kResourceExhausted);
  EXPECT_EQ(sdk::code_of_errno(ETIMEDOUT), Code::kDeadlineExceeded);
  EXPECT_EQ(sdk::code_of_errno(4095), Code::kUnknown);
}

// ---- Device ----

TEST(Device, AKeySetTwiceKeepsTheLaterValue) {
  const sdk::Device device = sdk::Device("d")
                                 .integer("a", 1)
                                 .string("a", "two")
                                 .fact("f", "1")
                                 .fact("f", "2")
                                 .capacity("c", "1")
                                 .capacity("c", "2");
  EXPECT_EQ(device.attributes().size(), 1U);
  EXPECT_EQ(*device.attribute("a"), sdk::Value(std::string("two")));
  EXPECT_EQ(*device.fact("f"), "2");
  EXPECT_EQ(*device.capacity("c"), "2");
  EXPECT_EQ(device.attribute("b"), nullptr);
}

TEST(Device, ViewAccessorsAreEmptyForAnotherKind) {
  sdk::AbiDevice abi;
  const sdk::Device device = sdk::Device("d").integer("i", 7).string("s", "text");
  const sdk::DeviceView view(abi.convert(device));
  EXPECT_THAT(view.attribute("i")->integer(), Optional(7));
  EXPECT_EQ(view.attribute("i")->string(), std::nullopt);
  EXPECT_EQ(view.attribute("i")->boolean(), std::nullopt);
  EXPECT_TRUE(view.attribute("i")->strings().empty());
  EXPECT_EQ(view.attribute("s")->version(), std::nullopt);
  EXPECT_EQ(view.attribute("absent"), std::nullopt);
}

TEST(Device, AValueKindOfALaterAbiIsLeftOut) {
  const drasriov_attribute attributes[] = {
      {sdk::to_abi("new"), {.kind = 99, .count = 0, .as = {.integer = 1}}},
      {sdk::to_abi("old"), {.kind = DRASRIOV_VALUE_INT, .count = 0, .as = {.integer = 1}}}};
  const drasriov_device device{.struct_size = sizeof(drasriov_device),
                               .name = sdk::to_abi("d"),
                               .kind = sdk::to_abi("vf"),
                               .attributes = attributes,
                               .attribute_count = 2};
  EXPECT_TRUE(sdk::DeviceView(&device).to_device() == sdk::Device("d").integer("old", 1));
}

TEST(Device, ConversionForgetsTheDeviceBefore) {
  sdk::AbiDevice abi;
  abi.convert(sdk::Device("a").strings("l", {"x"}).fact("f", "1").capacity("c", "1"));
  const sdk::Device second("b");
  EXPECT_TRUE(sdk::DeviceView(abi.convert(second)).to_device() == second);
}

// ---- cdi::Edits ----

TEST(Edits, WriteWhatTheSpecificationNames) {
  sdk::cdi::Edits edits;
  EXPECT_TRUE(edits.empty());
  EXPECT_EQ(edits.json(), "{}");
  edits.env("A", "b=c")
      .device_node({.path = "/dev/vfio/42",
                    .host_path = "/host/dev/vfio/42",
                    .type = "c",
                    .major = 10,
                    .minor = 0,
                    .file_mode = 0660,
                    .permissions = "rw",
                    .uid = 0,
                    .gid = 107})
      .device_node({.path = "/dev/vfio/vfio"})
      .mount({.host_path = "/a", .container_path = "/b", .options = {"bind", "ro"}, .type = "bind"})
      .hook({.name = "createRuntime",
             .path = "/opt/gate",
             .args = {"gate", "uid"},
             .env = {"X=y"},
             .timeout_seconds = 2});
  EXPECT_FALSE(edits.empty());
  EXPECT_EQ(
      edits.json(),
      R"({"env":["A=b=c"],"deviceNodes":[{"path":"/dev/vfio/42","hostPath":"/host/dev/vfio/42",)"
      R"("type":"c","major":10,"minor":0,"fileMode":432,"permissions":"rw","uid":0,"gid":107},)"
      R"({"path":"/dev/vfio/vfio"}],"mounts":[{"hostPath":"/a","containerPath":"/b",)"
      R"("options":["bind","ro"],"type":"bind"}],"hooks":[{"hookName":"createRuntime",)"
      R"("path":"/opt/gate","args":["gate","uid"],"env":["X=y"],"timeout":2}]})");
}

TEST(Edits, EscapeText) {
  const std::string hostile = std::string("\"\\\n\x01\x1f") + "\xc3\xa9/";
  const auto parsed = nlohmann::json::parse(sdk::cdi::Edits().env("K", hostile).json());
  EXPECT_EQ(parsed["env"][0], "K=" + hostile);
}

// ---- Config ----

TEST(Config, ReadsByKeyAndNamesTheKeyInErrors) {
  const Config config =
      Config::parse(R"({"s":"x","b":true,"i":-3,"l":["a","b"],"n":null,"m":["a",1]})").value();
  EXPECT_THAT(config.string("s").value(), Optional(std::string("x")));
  EXPECT_THAT(config.boolean("b").value(), Optional(true));
  EXPECT_THAT(config.integer("i").value(), Optional(-3));
  EXPECT_THAT(config.strings("l").value(), Optional(ElementsAre("a", "b")));
  EXPECT_EQ(config.string("absent").value(), std::nullopt);
  EXPECT_EQ(config.string("n").value(), std::nullopt);
  EXPECT_EQ(config.string("b").error().message(), "b is boolean, not a string");
  EXPECT_EQ(config.integer("s").error().message(), "s is string, not an integer");
  EXPECT_EQ(config.strings("m").error().message(), "m is array, not a list of strings");
  EXPECT_EQ(config.boolean("i").error().code(), Code::kInvalidArgument);
}

TEST(Config, RefusesWhatIsNoObjectAndNumbersThatDoNotFit) {
  EXPECT_TRUE(Config::parse("").ok());
  EXPECT_FALSE(Config::parse("{").ok());
  EXPECT_FALSE(Config::parse("[1]").ok());
  EXPECT_FALSE(Config::parse("null").ok());
  const Config config = Config::parse(R"({"i":18446744073709551615,"f":1.5})").value();
  EXPECT_FALSE(config.integer("i").ok());
  EXPECT_FALSE(config.integer("f").ok());
}

// ---- the manifest's parts ----

TEST(Note, MinHostAbi) {
  EXPECT_EQ(sdk::detail::parse_min_host_minor("1.0"), 0);
  EXPECT_EQ(sdk::detail::parse_min_host_minor("1.12"), 12);
  for (const char* text : {"", "1", "1.", "2.0", "1.x", "1.0.0", "1.-1", "1.12345678"}) {
    EXPECT_EQ(sdk::detail::parse_min_host_minor(text), -1) << text;
  }
}

// ---- Host ----

TEST(Host, LogsWithPairsOfAnyNumber) {
  FakeHost fake;
  const FakeCall call{.id = "prepare/u"};
  fake.host().log(fake.call(call)).warning("w", {{"device", "d"}});
  fake.host().log().debug("many", {{"1", ""},
                                   {"2", ""},
                                   {"3", ""},
                                   {"4", ""},
                                   {"5", ""},
                                   {"6", ""},
                                   {"7", ""},
                                   {"8", ""},
                                   {"9", "nine"}});
  const auto logs = fake.logs();
  ASSERT_EQ(logs.size(), 2U);
  EXPECT_EQ(logs[0].level, sdk::Level::kWarning);
  EXPECT_EQ(logs[0].call_id, "prepare/u");
  EXPECT_EQ(logs[0].value("device"), "d");
  EXPECT_EQ(logs[1].call_id, "");
  EXPECT_EQ(logs[1].pairs.size(), 9U);
  EXPECT_EQ(logs[1].value("9"), "nine");
}

TEST(Host, PathsAndMetrics) {
  FakeHost fake;
  fake.set_root(sdk::Root::kSys, "/captured/sys");
  fake.set_sys_is_live(true);
  const sdk::Host host = fake.host();
  EXPECT_EQ(host.root(sdk::Root::kSys), "/captured/sys");
  EXPECT_TRUE(std::filesystem::is_directory(host.root(sdk::Root::kData)));
  EXPECT_TRUE(host.sys_is_live());
  EXPECT_EQ(host.root(static_cast<sdk::Root>(99)), "");
  host.counter_add("binds", 2, {{"driver", "vfio-pci"}});
  host.gauge_set("devices", 4);
  host.histogram_observe("seconds", 0.5);
  const auto metrics = fake.metrics();
  ASSERT_EQ(metrics.size(), 3U);
  EXPECT_EQ(metrics[0].kind, "counter");
  EXPECT_EQ(metrics[0].value, 2);
  EXPECT_THAT(metrics[0].labels, ElementsAre(sdk::Entry{"driver", "vfio-pci"}));
  EXPECT_EQ(metrics[1].kind, "gauge");
  EXPECT_EQ(metrics[2].kind, "histogram");
}

TEST(Host, ExecCrossesBothWays) {
  FakeHost fake;
  fake.set_exec([](const sdk::ExecRequest&, const sdk::Call&) {
    return sdk::ExecResult{.exit_code = 3, .truncated = true, .output = "o", .diagnostics = "d"};
  });
  const auto result = fake.host().exec(fake.call(), {.path = "/opt/cni/bin/sriov",
                                                     .args = {"a"},
                                                     .env = {"K=V"},
                                                     .input = "in",
                                                     .output_limit = 10,
                                                     .mount = sdk::Mount::kHost,
                                                     .netns_fd = 5});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "o");
  EXPECT_EQ(result->diagnostics, "d");
  EXPECT_TRUE(result->truncated);
  const auto executed = fake.executed();
  ASSERT_EQ(executed.size(), 1U);
  EXPECT_EQ(executed[0].path, "/opt/cni/bin/sriov");
  EXPECT_THAT(executed[0].args, ElementsAre("a"));
  EXPECT_THAT(executed[0].env, ElementsAre("K=V"));
  EXPECT_EQ(executed[0].input, "in");
  EXPECT_EQ(executed[0].output_limit, 10U);
  EXPECT_EQ(executed[0].mount, sdk::Mount::kHost);
  EXPECT_EQ(executed[0].netns_fd, 5);
}

TEST(Host, ExecFailureCarriesTheCause) {
  FakeHost fake;
  fake.set_exec([](const sdk::ExecRequest&, const sdk::Call&) -> sdk::Result<sdk::ExecResult> {
    return Error(Code::kNotFound, "no such file");
  });
  const auto result = fake.host().exec(fake.call(), {.path = "/opt/x"});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kNotFound);
  EXPECT_EQ(result.error().message(), "/opt/x: no such file");
}

// ---- programs for real ----

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() { host_.set_exec(sdk::testing::run_program); }
  sdk::Result<sdk::ExecResult> shell(const std::string& script, const FakeCall& call = {}) {
    return host_.host().exec(host_.call(call), {.path = "/bin/sh",
                                                .args = {"-c", script},
                                                .env = {"WHO=me"},
                                                .input = "line\n",
                                                .output_limit = 100});
  }
  FakeHost host_;
};

TEST_F(ProgramTest, InputOutputEnvironmentAndExitCode) {
  const auto result = shell("read x; echo $x $WHO $HOME; echo oops >&2; exit 7");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->output, "line me\n");
  EXPECT_EQ(result->diagnostics, "oops\n");
  EXPECT_EQ(result->exit_code, 7);
  EXPECT_FALSE(result->truncated);
}

TEST_F(ProgramTest, OutputIsBounded) {
  const auto result = shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output.size(), 100U);
  EXPECT_TRUE(result->truncated);
  EXPECT_EQ(result->exit_code, 0);
}

TEST_F(ProgramTest, ASignalIsNotAnExitCode) {
  const auto result = shell("kill -TERM $$");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, -1);
  EXPECT_EQ(result->signal, SIGTERM);
}

TEST_F(ProgramTest, TheDeadlineKillsTheWholeGroup) {
  FakeCall call;
  call.deadline = sdk::Call::Clock::now() + std::chrono::milliseconds(200);
  const auto result = shell("sleep 600 & sleep 600", call);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(result.error().message(), HasSubstr("/bin/sh: killed"));
}

TEST_F(ProgramTest, AProgramThatIsNotThere) {
  const auto result = host_.host().exec(host_.call(), {.path = "/nonexistent"});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace drasriov::sdk_test
