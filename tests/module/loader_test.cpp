// SPDX-License-Identifier: Apache-2.0
//
// Module files through the real dynamic linker: what a correct module gives, and the exact sentence
// that an operator reads for every broken one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <thread>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "host/base/durable_file.hpp"
#include "host/base/encoding.hpp"
#include "host/module/module_registry.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::module {
namespace {

using config::FailurePolicy;
using config::ModuleEntry;
using telemetry::KeptLog;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    std::string name = (std::filesystem::temp_directory_path() / "drasriov-loader-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~LoaderTest() override { std::filesystem::remove_all(directory_); }

  /// The fixture as a file of its own, as an installation would have it. Load only one under each
  /// name: nothing is ever unloaded, and the dynamic linker goes by the name.
  [[nodiscard]] std::string install(const std::string& fixture,
                                    const std::string& as = "module.so") const {
    const auto target = directory_ / as;
    std::filesystem::copy_file(fixture, target, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::permissions(target, std::filesystem::perms(0644));
    return target;
  }

  [[nodiscard]] static ModuleEntry entry(const std::string& module) {
    return {.name = "acme", .module = module};
  }

  [[nodiscard]] auto load(std::vector<ModuleEntry> entries) {
    return ModuleRegistry::load(entries, services_, options_);
  }

  /// The sentence for an entry that cannot be loaded, with the directory written as "$DIR".
  [[nodiscard]] std::string refusal(std::vector<ModuleEntry> entries) {
    auto registry = load(std::move(entries));
    if (registry) return "it was loaded";
    std::string text = registry.error().to_string();
    for (auto at = text.find(directory_); at != std::string::npos; at = text.find(directory_)) {
      text.replace(at, directory_.native().size(), "$DIR");
    }
    return text;
  }
  [[nodiscard]] std::string refusal(const std::string& fixture) {
    return refusal(std::vector{entry(install(fixture))});
  }

  std::filesystem::path directory_;
  KeptLog log_;
  telemetry::Metrics metrics_{log_};
  HostServices services_{MachinePaths{}, log_, metrics_};
  LoadOptions options_;
};

class LoaderOfTest : public LoaderTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(LoaderOfTest, LoadsAModuleAndCallsIt) {
  const auto registry = load({entry(install(GetParam()))});
  ASSERT_TRUE(registry) << registry.error().to_string();
  ASSERT_TRUE((*registry)->start());
  ASSERT_EQ((*registry)->modules().discovery.size(), 1U);
  auto scan = (*registry)->modules().discovery[0]->scan({.id = "scan/1"});
  ASSERT_TRUE(scan) << scan.error().to_string();
  ASSERT_EQ(scan->devices.size(), 1U);
  EXPECT_EQ(scan->devices[0].name, "acme");
  EXPECT_EQ(scan->devices[0].module, "acme");
  const auto lines = log_.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].text, "scanning module=acme call=scan/1");
}

INSTANTIATE_TEST_SUITE_P(Headers, LoaderOfTest,
                         ::testing::Values(DRASRIOV_FIXTURE_GOOD_PATH,
                                           DRASRIOV_FIXTURE_ABI_1_0_PATH),
                         [](const auto& tested) { return tested.index == 0 ? "Today" : "Abi1_0"; });

TEST_F(LoaderTest, SeveralInstancesOfOneModule) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  const auto registry =
      load({{.name = "first", .module = module}, {.name = "second", .module = module}});
  ASSERT_TRUE(registry) << registry.error().to_string();
  ASSERT_TRUE((*registry)->start());
  const auto& discovery = (*registry)->modules().discovery;
  ASSERT_EQ(discovery.size(), 2U);
  EXPECT_EQ(discovery[0]->scan({})->devices.at(0).name, "first");
  EXPECT_EQ(discovery[1]->scan({})->devices.at(0).name, "second");
}

TEST_F(LoaderTest, ADisabledEntryIsNotEvenOpened) {
  const auto registry = load({{.name = "acme", .module = "/nowhere.so", .enabled = false}});
  ASSERT_TRUE(registry);
  EXPECT_EQ((*registry)->states().at(0).phase, ModuleState::Phase::kDisabled);
  EXPECT_TRUE((*registry)->modules().discovery.empty());
}

// --- the file ----------------------------------------------------------------------------------

TEST_F(LoaderTest, RelativePath) {
  EXPECT_EQ(refusal({entry("module.so")}),
            "module acme: module file module.so: the path is not absolute — hint: write the whole "
            "path, or "
            "builtin:NAME for a module that comes with the driver");
}

TEST_F(LoaderTest, MissingFile) {
  EXPECT_EQ(refusal({entry(directory_ / "gone.so")}),
            "module acme: module file $DIR/gone.so: open: No such file or directory — hint: check "
            "the path, and that "
            "the image or volume that brings the module is mounted");
}

TEST_F(LoaderTest, NoRegularFile) {
  EXPECT_EQ(refusal({entry(directory_)}),
            "module acme: module file $DIR: it is a directory, not a regular file — hint: give the "
            "module's .so file");
  ASSERT_EQ(::mkfifo((directory_ / "pipe.so").c_str(), 0600), 0);
  EXPECT_EQ(refusal({entry(directory_ / "pipe.so")}),
            "module acme: module file $DIR/pipe.so: it is a pipe, not a regular file — hint: give "
            "the module's .so "
            "file");
}

TEST_F(LoaderTest, WorldWritableFile) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  ASSERT_EQ(::chmod(module.c_str(), 0646), 0);
  EXPECT_EQ(refusal({entry(module)}),
            "module acme: module file $DIR/module.so: it is writable by others (mode 0646) — hint: "
            "chmod go-w "
            "$DIR/module.so (for development --insecure-dev accepts it)");
  ASSERT_EQ(::chmod(module.c_str(), 0664), 0);
  EXPECT_THAT(refusal({entry(module)}), HasSubstr("it is writable by its group (mode 0664)"));
}

TEST_F(LoaderTest, WorldWritableParent) {
  std::filesystem::create_directories(directory_ / "open/inner");
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH, "open/inner/module.so");
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 0777), 0);
  EXPECT_EQ(refusal({entry(module)}),
            "module acme: module file $DIR/open/inner/module.so: directory $DIR/open is writable "
            "by others (mode 0777) "
            "— hint: chmod go-w $DIR/open (for development --insecure-dev accepts it)");
  // A sticky directory lets nobody replace what others own in it: this is how /tmp passes.
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 01777), 0);
  EXPECT_TRUE(load({entry(module)}));
}

TEST_F(LoaderTest, ASymbolicLinkIsJudgedByBothItsEnds) {
  std::filesystem::create_directories(directory_ / "open");
  std::filesystem::create_directories(directory_ / "closed");
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH, "closed/module.so");
  std::filesystem::create_symlink(module, directory_ / "open/module.so");
  EXPECT_TRUE(load({entry(directory_ / "open/module.so")}));
  ASSERT_EQ(::chmod((directory_ / "open").c_str(), 0777), 0);
  EXPECT_THAT(refusal({entry(directory_ / "open/module.so")}),
              HasSubstr("directory $DIR/open is writable by others"));
}

TEST_F(LoaderTest, ForeignOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  ASSERT_EQ(::chown(module.c_str(), 4711, 0), 0);
  EXPECT_EQ(
      refusal({entry(module)}),
      "module acme: module file $DIR/module.so: it is owned by uid 4711, neither root nor uid 0 "
      "that the driver "
      "runs as — hint: chown root $DIR/module.so (for development --insecure-dev accepts it)");
}

TEST_F(LoaderTest, InsecureDevRelaxesOwnershipAndSaysSo) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  ASSERT_EQ(::chmod(module.c_str(), 0666), 0);
  options_.files.insecure_dev = true;
  ASSERT_TRUE(load({entry(module)}));
  EXPECT_TRUE(
      log_.contains("it is writable by others (mode 0666), accepted because of --insecure-dev"));

  // Ownership only: the pin holds.
  auto pinned = entry(module);
  pinned.sha256 = std::string(64, '0');
  EXPECT_THAT(refusal({pinned}), HasSubstr("the configuration pins"));
}

TEST_F(LoaderTest, WrongChecksum) {
  auto pinned = entry(install(DRASRIOV_FIXTURE_GOOD_PATH));
  const std::string actual = sha256_hex(*read_file(pinned.module));
  pinned.sha256 = std::string(64, 'a');
  EXPECT_EQ(refusal({pinned}),
            "module acme: module file $DIR/module.so: its SHA-256 is " + actual +
                ", the configuration pins " + pinned.sha256 +
                " — hint: install the pinned file, or review the new one and change sha256 of the "
                "module");
  pinned.sha256 = actual;
  std::ranges::transform(pinned.sha256, pinned.sha256.begin(),
                         [](unsigned char c) { return std::toupper(c); });
  EXPECT_TRUE(load({pinned}));
}

TEST_F(LoaderTest, NoElfFile) {
  std::ofstream(directory_ / "script.so") << "#!/bin/sh\necho no\n";
  EXPECT_EQ(refusal({entry(directory_ / "script.so")}),
            "module acme: module file $DIR/script.so: it is no ELF file — hint: give the shared "
            "object that "
            "drasriov_add_module() built");
}

TEST_F(LoaderTest, TruncatedElf) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  std::filesystem::resize_file(module, 2000);
  EXPECT_EQ(refusal({entry(module)}),
            "module acme: module file $DIR/module.so: the ELF file is damaged: a segment reaches "
            "beyond its end — hint: "
            "copy the file again, or build it again");
}

TEST_F(LoaderTest, OtherMachine) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  std::fstream file(module, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(18);  // e_machine
  file.put(static_cast<char>(243));
  file.put(0);
  file.close();
  EXPECT_EQ(refusal({entry(module)}),
            "module acme: module file $DIR/module.so: it is for riscv, this host is " +
                machine_name(host_machine()) +
                " — hint: install the module's build for this architecture");
}

// --- the note ----------------------------------------------------------------------------------

TEST_F(LoaderTest, NoNote) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_NO_NOTE_PATH),
            "module acme: module file $DIR/module.so: it has no note .note.drasriov, so it is no "
            "module — hint: build it "
            "with drasriov_add_module(), which writes the note");
}

TEST_F(LoaderTest, DamagedNote) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_DAMAGED_NOTE_PATH),
            "module acme: module file $DIR/module.so: its manifest note is damaged: its payload is "
            "no JSON object — "
            "hint: build the module again with drasriov_add_module() of a released SDK");
}

TEST_F(LoaderTest, WrongMajor) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_WRONG_MAJOR_PATH),
            "module acme: module file $DIR/module.so: it was built for module ABI 2.0, this host "
            "has 1.0 — hint: use a "
            "newer dra-driver-sriov, or the vendor's build for ABI 1");
}

TEST_F(LoaderTest, NewerMinimum) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_NEWER_MINIMUM_PATH),
            "module acme: module file $DIR/module.so: it needs a host with module ABI 1.7 or "
            "newer, this host has 1.0 — "
            "hint: use a newer dra-driver-sriov, or an older version of the module");
}

TEST_F(LoaderTest, OtherSanitizer) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_OTHER_SANITIZER_PATH),
            "module acme: module file $DIR/module.so: it was built with sanitizer memory, this "
            "host with " +
                std::string(DRASRIOV_SANITIZER) +
                ": the mixture aborts or hides errors — hint: build module and host with the same "
                "DRASRIOV_SANITIZE");
}

TEST_F(LoaderTest, OtherName) {
  options_.files.builtin_directory = directory_;
  (void)install(DRASRIOV_FIXTURE_GOOD_PATH, "discovery-sysfs.so");
  EXPECT_EQ(refusal({entry("builtin:discovery-sysfs")}),
            "module acme: module file $DIR/discovery-sysfs.so: it is module fixture, the "
            "configuration expects "
            "discovery-sysfs — hint: restore the driver's own file, or give the vendor's by its "
            "absolute path");
  (void)install(DRASRIOV_FIXTURE_GOOD_PATH, "fixture.so");
  EXPECT_TRUE(load({entry("builtin:fixture")}));
}

TEST_F(LoaderTest, ABuiltinNameIsNoPath) {
  EXPECT_EQ(refusal({entry("builtin:../../tmp/evil")}),
            "module acme: \"builtin:../../tmp/evil\" names no builtin module — hint: write "
            "builtin:NAME, or the absolute "
            "path of a file");
}

TEST_F(LoaderTest, MissingCapability) {
  auto expecting = entry(install(DRASRIOV_FIXTURE_GOOD_PATH));
  expecting.capabilities = {"discovery/1", "cdi/1", "netconf/1"};
  EXPECT_EQ(refusal({expecting}),
            "module acme: module file $DIR/module.so: the configuration expects cdi/1 and "
            "netconf/1, the module offers "
            "only discovery/1 — hint: choose the right module file, or correct capabilities of the "
            "module");
}

// --- the table and the instance ------------------------------------------------------------------

TEST_F(LoaderTest, DeclinesToServe) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_DECLINES_PATH),
            "module acme: module file $DIR/module.so: it declines to serve a host with module ABI "
            "1.0 — hint: see the "
            "module's release notes for the hosts that it supports");
}

TEST_F(LoaderTest, NoQueryFunction) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_NO_QUERY_PATH),
            "module acme: module file $DIR/module.so: it does not export drasriov_module_query_v1 "
            "— hint: use "
            "DRASRIOV_EXPORT_MODULE once in the module's sources");
}

TEST_F(LoaderTest, UnresolvedSymbol) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_UNRESOLVED_PATH),
            "module acme: module file $DIR/module.so: the dynamic linker refuses it: "
            "$DIR/module.so: undefined symbol: "
            "drasriov_fixture_nowhere — hint: install the library or version that it names, or "
            "link the module against "
            "what this system has");
}

TEST_F(LoaderTest, ShortTable) {
  EXPECT_EQ(
      refusal(DRASRIOV_FIXTURE_SHORT_TABLE_PATH),
      "module acme: module file $DIR/module.so: its module table has struct_size 64, less than the "
      "mandatory "
      "members of ABI 1.0 take (120) — hint: set struct_size to sizeof(drasriov_module_table)");
}

TEST_F(LoaderTest, NullMandatoryMember) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_NULL_CREATE_PATH),
            "module acme: module file $DIR/module.so: mandatory member create of its module table "
            "is null — hint: set it; "
            "module.h lists the mandatory members");
}

TEST_F(LoaderTest, NullMandatoryMemberOfACapability) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_NULL_SCAN_PATH),
            "module acme: mandatory member scan of capability discovery/1 is null or outside "
            "struct_size — hint: set it; "
            "discovery.h lists the mandatory members");
}

TEST_F(LoaderTest, NoteAndTableDisagree) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_OTHER_VERSION_PATH),
            "module acme: module file $DIR/module.so: its table says version 1.2.4, its note 1.2.3 "
            "— hint: build the "
            "module again from a clean tree; both come from drasriov_add_module()");
}

TEST_F(LoaderTest, NoteListsMoreThanTheInstanceHas) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_MORE_IN_NOTE_PATH),
            "module acme: its note lists capability cdi/1, but get_capability does not have it — "
            "hint: list in "
            "drasriov_add_module() exactly what the module offers");
}

TEST_F(LoaderTest, ThrowsInCreate) {
  EXPECT_EQ(refusal(DRASRIOV_FIXTURE_THROWS_PATH),
            "module acme: create threw an exception: no colour — hint: report it to the module's "
            "vendor: no exception "
            "may leave a module");
}

TEST_F(LoaderTest, BadConfigKey) {
  auto configured = entry(install(DRASRIOV_FIXTURE_GOOD_PATH));
  configured.config_json = R"({"color":"red"})";
  EXPECT_EQ(refusal({configured}),
            "module acme: config: unknown key \"color\" — hint: did you mean \"colour\"? allowed "
            "keys: colour");
  configured.config_json = R"({"colour":7})";
  EXPECT_EQ(refusal({configured}), "module acme: config.colour: must be string, not integer 7");
}

TEST_F(LoaderTest, IgnoreStartsWithoutTheModule) {
  const std::string good = install(DRASRIOV_FIXTURE_GOOD_PATH, "good.so");
  const std::string bad = install(DRASRIOV_FIXTURE_NO_NOTE_PATH, "bad.so");
  const auto registry =
      load({{.name = "acme", .module = bad, .failure_policy = FailurePolicy::kIgnore},
            {.name = "good", .module = good}});
  ASSERT_TRUE(registry) << registry.error().to_string();
  ASSERT_EQ((*registry)->states().size(), 2U);
  EXPECT_EQ((*registry)->states()[0].phase, ModuleState::Phase::kFailed);
  EXPECT_THAT((*registry)->states()[0].error->message(), HasSubstr("it has no note"));
  EXPECT_EQ((*registry)->states()[1].phase, ModuleState::Phase::kLoaded);
  EXPECT_EQ((*registry)->modules().discovery.size(), 1U);
  EXPECT_TRUE(log_.contains(
      "starting without module acme (failurePolicy Ignore): module acme: module file"));
}

// --- bad behaviour while it runs -----------------------------------------------------------------

TEST_F(LoaderTest, SleepsPastItsDeadline) {
  const auto registry = load({entry(install(DRASRIOV_FIXTURE_SLOW_SCAN_PATH))});
  ASSERT_TRUE(registry);
  ASSERT_TRUE((*registry)->start());
  // The result is used: what it says is true, only late.
  const auto scan = (*registry)->modules().discovery[0]->scan(
      {.deadline = Deadline::after(std::chrono::milliseconds(10)), .id = "scan/7"});
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->devices.size(), 1U);
  const auto lines = log_.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1].level, telemetry::Level::kWarning);
  EXPECT_THAT(
      lines[1].text,
      MatchesRegex("module acme: scan returned [0-9]+ ms after its deadline — hint: report it to "
                   "the module's vendor: it must watch call_deadline_ns module=acme "
                   "call=scan/7"));
}

TEST_F(LoaderTest, LeaksAThread) {
  // ThreadSanitizer starts a thread of its own with the first of the program: not the module's.
  std::thread([] {}).join();
  {
#ifdef __SANITIZE_ADDRESS__
    const __lsan::ScopedDisabler instance_is_kept_for_its_thread;
#endif
    const auto registry = load({entry(install(DRASRIOV_FIXTURE_LEAKS_THREAD_PATH))});
    ASSERT_TRUE(registry);
    ASSERT_TRUE((*registry)->start());
  }
  const auto lines = log_.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].level, telemetry::Level::kError);
  EXPECT_THAT(
      lines[0].text,
      MatchesRegex("module acme: 1 of its threads still run after stop \\(thread [0-9]+\\): it is "
                   "not destroyed — hint: report it to the module's vendor: stop must join every "
                   "thread module=acme"));
}

TEST_F(LoaderTest, AStuckStopIsNamedWhileItIsStuck) {
  const auto registry = load({entry(install(DRASRIOV_FIXTURE_SLOW_STOP_PATH))});
  ASSERT_TRUE(registry);
  ASSERT_TRUE((*registry)->start());
  std::vector<std::string> stuck;
  (*registry)->stop(std::chrono::milliseconds(20),
                    [&](const std::string& instance) { stuck.push_back(instance); });
  EXPECT_THAT(stuck, ElementsAre("acme"));
  EXPECT_TRUE(log_.contains(
      "module acme: stop has not returned for 20 ms — hint: report it to the module's vendor"));
}

TEST_F(LoaderTest, AReplacedFileIsSeen) {
  const std::string module = install(DRASRIOV_FIXTURE_GOOD_PATH);
  const auto file = ModuleFile::open(module, {});
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->unchanged());
  (void)install(DRASRIOV_FIXTURE_NO_NOTE_PATH, "new.so");
  std::filesystem::rename(directory_ / "new.so", module);
  ASSERT_FALSE(file->unchanged());
  EXPECT_THAT(file->unchanged().error().message(),
              HasSubstr("it was replaced while it was being loaded"));
}

}  // namespace
}  // namespace drasriov::module
