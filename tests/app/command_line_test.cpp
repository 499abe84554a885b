// SPDX-License-Identifier: Apache-2.0
#include "host/app/command_line.hpp"

#include <gtest/gtest.h>

#include "host/config/settings.hpp"

namespace drasriov::app {
namespace {

Result<Command> parse(const std::vector<std::string>& arguments) {
  return parse_command_line(arguments);
}

template <typename T>
T parsed(const std::vector<std::string>& arguments) {
  auto command = parse(arguments);
  EXPECT_TRUE(command) << command.error().to_string();
  if (!command || !std::holds_alternative<T>(*command)) {
    ADD_FAILURE() << "another command";
    return T{};
  }
  return std::get<T>(*std::move(command));
}

TEST(CommandLine, NothingMeansRun) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{}, {"run"}}) {
    const auto run = parsed<RunCommand>(arguments);
    EXPECT_FALSE(run.config.file);
    EXPECT_TRUE(run.config.flags.empty()) << "only flags that were given win over the file";
    EXPECT_FALSE(run.print_config);
  }
}

TEST(CommandLine, FlagsWithoutCommandAreRuns) {
  const auto run = parsed<RunCommand>(
      {"--node-name", "n1", "--cluster=dir:/x", "--print-config", "--config", "c.yaml"});
  EXPECT_EQ(run.config.flags, (std::map<std::string, std::string, std::less<>>{
                                  {"cluster", "dir:/x"}, {"node-name", "n1"}}));
  EXPECT_EQ(run.config.file, "c.yaml");
  EXPECT_TRUE(run.print_config);
}

TEST(CommandLine, TakesNegativeNumbersVerbosityAndSwitches) {
  const auto run =
      parsed<RunCommand>({"run", "--healthcheck-port", "-1", "-v", "4", "--insecure-dev"});
  EXPECT_EQ(run.config.flags.at("healthcheck-port"), "-1");
  EXPECT_EQ(run.config.flags.at("v"), "4");
  EXPECT_EQ(run.config.flags.at("insecure-dev"), "true");
  EXPECT_EQ(parsed<RunCommand>({"--v=6", "--insecure-dev=false"}).config.flags.at("insecure-dev"),
            "false");
}

TEST(CommandLine, KnowsTheFlagOfEverySetting) {
  for (const config::Setting& setting : config::settings()) {
    if (setting.flag.empty()) continue;
    const auto run = parsed<RunCommand>({"--" + std::string(setting.flag) + "=x"});
    EXPECT_EQ(run.config.flags.count(setting.flag), 1U) << setting.flag;
  }
}

TEST(CommandLine, Devices) {
  const auto plain = parsed<DevicesCommand>({"devices"});
  EXPECT_EQ(plain.sysfs_root, "/sys");
  EXPECT_EQ(plain.format, OutputFormat::kTable);
  const auto other = parsed<DevicesCommand>(
      {"devices", "--sysfs-root", "/captured/./sys", "-o", "json", "--insecure-dev"});
  EXPECT_EQ(other.sysfs_root, "/captured/sys");
  EXPECT_EQ(other.format, OutputFormat::kJson);
  EXPECT_TRUE(other.insecure_dev);
  EXPECT_EQ(parsed<DevicesCommand>({"devices", "-ojson"}).format, OutputFormat::kJson);
  EXPECT_EQ(parsed<DevicesCommand>({"devices", "--output=yaml"}).format, OutputFormat::kYaml);
  EXPECT_TRUE(parsed<DevicesCommand>({"devices", "--sysfs-root", "here"}).sysfs_root.is_absolute());
}

TEST(CommandLine, ExplainAndClaims) {
  const auto explain = parsed<ExplainCommand>(
      {"explain", "ens1", "-o", "yaml", "0000:08:00.2", "--config", "/c.yaml"});
  EXPECT_EQ(explain.devices, (std::vector<std::string>{"ens1", "0000:08:00.2"}));
  EXPECT_EQ(explain.format, OutputFormat::kYaml);
  EXPECT_EQ(explain.config.file, "/c.yaml");
  EXPECT_EQ(parsed<ExplainCommand>({"explain"}).format, OutputFormat::kTable);
  EXPECT_EQ(parsed<ExplainCommand>({"explain", "-o", "json"}).format, OutputFormat::kJson);
  EXPECT_EQ(parsed<ClaimsCommand>({"claims"}).claim, "");
  const auto claims = parsed<ClaimsCommand>({"claims", "ns/c", "-o", "wide", "--driver-name", "d"});
  EXPECT_EQ(claims.claim, "ns/c");
  EXPECT_EQ(claims.format, OutputFormat::kWide);
  EXPECT_EQ(claims.config.flags.at("driver-name"), "d");
}

TEST(CommandLine, Module) {
  const auto verify = parsed<ModuleCommand>(
      {"module", "verify", "--json", "/a.so", "builtin:cdi", "--insecure-dev"});
  EXPECT_EQ(verify.verb, ModuleCommand::Verb::kVerify);
  EXPECT_EQ(verify.modules, (std::vector<std::string>{"/a.so", "builtin:cdi"}));
  EXPECT_TRUE(verify.json);
  EXPECT_EQ(verify.config.flags.at("insecure-dev"), "true");
  EXPECT_EQ(parsed<ModuleCommand>({"module", "list"}).verb, ModuleCommand::Verb::kList);
  EXPECT_EQ(parsed<ModuleCommand>({"module", "inspect", "x"}).verb, ModuleCommand::Verb::kInspect);
  const auto schema = parsed<ModuleCommand>({"module", "schema", "--claim", "builtin:cdi"});
  EXPECT_EQ(schema.verb, ModuleCommand::Verb::kSchema);
  EXPECT_TRUE(schema.claim_schema);
  EXPECT_FALSE(parsed<ModuleCommand>({"module", "schema", "builtin:cdi"}).claim_schema);
}

TEST(CommandLine, ASwitchTakesNoOperand) {
  for (const char* verb : {"verify", "inspect"}) {
    const auto bare = parsed<ModuleCommand>({"module", verb, "--insecure-dev", "/a.so"});
    EXPECT_EQ(bare.modules, std::vector<std::string>{"/a.so"});
    EXPECT_EQ(bare.config.flags.at("insecure-dev"), "true");
    const auto off =
        parsed<ModuleCommand>({"module", verb, "--json", "--insecure-dev=false", "/a.so", "--"});
    EXPECT_EQ(off.modules, std::vector<std::string>{"/a.so"});
    EXPECT_EQ(off.config.flags.at("insecure-dev"), "false");
  }
  EXPECT_FALSE(parsed<DevicesCommand>({"devices", "--insecure-dev=false"}).insecure_dev);
  EXPECT_TRUE(parsed<DevicesCommand>({"devices", "--insecure-dev=true"}).insecure_dev);
}

TEST(CommandLine, Version) {
  EXPECT_FALSE(parsed<VersionCommand>({"version"}).abi);
  EXPECT_FALSE(parsed<VersionCommand>({"--version"}).abi);
  EXPECT_TRUE(parsed<VersionCommand>({"version", "--abi"}).abi);
}

struct HelpCase {
  std::vector<std::string> arguments;
  const char* part;
};

TEST(CommandLine, HelpOfEachCommandShowsExamplesAndExitCodes) {
  for (const HelpCase& c :
       {HelpCase{{"--help"}, "Commands:"}, HelpCase{{"-h"}, "Commands:"},
        HelpCase{{"help"}, "Commands:"},
        HelpCase{{"run", "--help"}, "--kubelet-plugins-directory-path"},
        HelpCase{{"--node-name", "a", "--help"}, "SIGTERM"},
        HelpCase{{"devices", "-h"}, "--sysfs-root"}, HelpCase{{"module"}, "verify"},
        HelpCase{{"module", "verify", "--help"}, "verify"},
        HelpCase{{"explain", "--help"}, "PUBLISHED"}, HelpCase{{"claims", "--help"}, "Quarantined"},
        HelpCase{{"version", "--help"}, "--abi"}}) {
    const std::string text = parsed<PrintCommand>(c.arguments).text;
    EXPECT_NE(text.find(c.part), std::string::npos) << text;
    EXPECT_NE(text.find("Exit codes:"), std::string::npos) << text;
    for (std::size_t start = 0; start < text.size();) {
      const auto end = text.find('\n', start);
      ASSERT_NE(end, std::string::npos);
      EXPECT_LE(end - start, 110U) << text.substr(start, end - start);
      start = end + 1;
    }
  }
}

TEST(CommandLine, RunHelpNamesEveryFlagAndVariable) {
  const std::string text = parsed<PrintCommand>({"run", "--help"}).text;
  for (const config::Setting& setting : config::settings()) {
    if (setting.flag.empty()) continue;
    EXPECT_NE(text.find("--" + std::string(setting.flag) + " "), std::string::npos) << setting.flag;
    EXPECT_NE(text.find(setting.environment), std::string::npos) << setting.environment;
  }
}

struct Bad {
  std::vector<std::string> arguments;
  const char* message;
};

TEST(CommandLine, SaysWhatIsWrongAndWhatWasMeant) {
  for (const Bad& bad : {
           Bad{{"device"}, "unknown command 'device' — hint: did you mean 'devices'?"},
           Bad{{"start"}, "unknown command 'start' — hint: see dra-driver-sriov --help"},
           Bad{{"module", "verfy"}, "unknown command 'verfy' — hint: did you mean 'verify'?"},
           Bad{{"--nod-name", "x"},
               "unknown flag '--nod-name' — hint: did you mean '--node-name'?"},
           Bad{{"--node", "x"}, "unknown flag '--node' — hint: see dra-driver-sriov run --help"},
           Bad{{"devices", "--sysfsroot", "/x"},
               "unknown flag '--sysfsroot' — hint: did you mean '--sysfs-root'?"},
           Bad{{"devices", "-o", "xml"},
               "flag --output: 'xml' is not one of table wide json yaml — hint: see "
               "dra-driver-sriov devices --help"},
           Bad{{"devices", "eth0"},
               "'eth0' is not expected here — hint: see dra-driver-sriov devices --help"},
           Bad{{"run", "now"},
               "'now' is not expected here — hint: see dra-driver-sriov run --help"},
           Bad{{"claims", "a", "b"},
               "'b' is not expected here — hint: see dra-driver-sriov claims --help"},
           Bad{{"explain", "-o", "wide"},
               "flag --output: 'wide' is not one of table json yaml — hint: see dra-driver-sriov "
               "explain --help"},
           Bad{{"module", "verify"},
               "module verify: no module given — hint: name files or builtin modules, for example "
               "builtin:cdi"},
           Bad{{"version", "--abi=1"},
               "flag --abi: '1' is not one of true false — hint: see dra-driver-sriov version "
               "--help"},
           Bad{{"module", "list", "x"},
               "'x' is not expected here — hint: see dra-driver-sriov module --help"},
       }) {
    const auto command = parse(bad.arguments);
    ASSERT_FALSE(command) << bad.message;
    EXPECT_EQ(command.error().to_string(), bad.message);
  }
}

TEST(CommandLine, AFlagWithoutItsValueOrTwiceIsAnError) {
  EXPECT_FALSE(parse({"--node-name"}));
  EXPECT_FALSE(parse({"--node-name", "a", "--node-name", "b"}));
  EXPECT_FALSE(parse({"version", "--abi=1"}));
}

}  // namespace
}  // namespace drasriov::app
