// SPDX-License-Identifier: Apache-2.0
//
// Each finding is found on a good machine with one fault planted, and nothing is found on the good machine.
#include "host/doctor/checks.hpp"

#include <gtest/gtest.h>

#include <linux/capability.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "host/doctor/report.hpp"
#include "tests/doctor/good_facts.hpp"

namespace drasriov::doctor {
namespace {

std::vector<Finding> findings_of(const Facts& facts) {
  std::vector<Finding> all;
  for (CheckResult& result : diagnose(facts))
    all.insert(all.end(), result.findings.begin(), result.findings.end());
  return all;
}

std::string text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    text += std::string(finding.id) + " " + std::string(severity_name(finding.severity)) + ": " +
            finding.problem + " | " + finding.check + " | " + finding.fix + "\n";
  return text;
}

Directory& directory(Facts& facts, std::string_view name) {
  return *std::ranges::find(facts.directories, name, &Directory::name);
}

TEST(Checks, AGoodMachineHasNoFindings) {
  EXPECT_EQ(text_of(findings_of(good_facts())), "");
  EXPECT_EQ(worst(diagnose(good_facts())), Severity::kOk);
}

TEST(Checks, CapabilitiesForNetworksAreOnlyMissedWhereTheDriverAttachesThem) {
  // What the chart gives with charts/dra-driver-sriov/examples/vfio-minimal.yaml.
  Facts facts = good_facts();
  facts.permissions.capabilities =
      1ULL << CAP_NET_ADMIN | 1ULL << CAP_SYS_MODULE | 1ULL << CAP_SYS_PTRACE;
  facts.setup.uses_netconf = false;
  EXPECT_EQ(text_of(findings_of(facts)), "");
  facts.setup.uses_netconf = true;
  EXPECT_EQ(worst(diagnose(facts)), Severity::kError);
}

struct Fault {
  const char* name;  ///< of the test
  const char* id;
  Severity severity;
  const char* says;  ///< in problem, check or fix
  std::function<void(Facts&)> plant;
};

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.name;
}

const std::vector<Fault>& faults() {
  using S = Severity;
  static const std::vector<Fault> all = {
      {"SysUnreadable", "root-unreadable", S::kError, "roots.sys /sys: Permission denied",
       [](Facts& f) {
         directory(f, "roots.sys").readable = false;
         directory(f, "roots.sys").error = "Permission denied";
       }},
      {"NoNetnsYet", "root-unreadable", S::kInfo, "roots.netns",
       [](Facts& f) {
         directory(f, "roots.netns").exists = directory(f, "roots.netns").readable = false;
       }},
      {"NetnsUnreadable", "root-unreadable", S::kWarning, "roots.netns",
       [](Facts& f) { directory(f, "roots.netns").readable = false; }},
      {"HostHidden", "host-files-hidden", S::kInfo, "--host-root",
       [](Facts& f) {
         f.host_visible = false;
         f.runtime = {};
       }},
      {"NoNetAdmin", "capability-missing", S::kError, "CAP_NET_ADMIN",
       [](Facts& f) { f.permissions.capabilities &= ~(1ULL << CAP_NET_ADMIN); }},
      {"NoSysAdmin", "capability-missing", S::kError, "CAP_SYS_ADMIN",
       [](Facts& f) { f.permissions.capabilities &= ~(1ULL << CAP_SYS_ADMIN); }},
      {"NoSysModule", "capability-missing", S::kInfo, "CAP_SYS_MODULE",
       [](Facts& f) { f.permissions.capabilities &= ~(1ULL << CAP_SYS_MODULE); }},
      {"FewInotifyInstances", "limits-low", S::kWarning, "inotify instances of a user is 127",
       [](Facts& f) { f.permissions.inotify_instances = 127; }},
      {"FewOpenFiles", "limits-low", S::kWarning, "open files of a process is 256",
       [](Facts& f) { f.permissions.open_files = 256; }},
      {"IommuOffOnIntel", "iommu-off", S::kWarning, "add intel_iommu=on",
       [](Facts& f) {
         f.kernel.iommu_groups = 0;
         f.kernel.command_line = "quiet";
       }},
      {"IommuOffByParameter", "iommu-off", S::kWarning, "remove iommu=off",
       [](Facts& f) {
         f.kernel.iommu_groups = 0;
         f.kernel.cpu_vendor = "AuthenticAMD";
         f.kernel.command_line = "iommu=off";
       }},
      {"IommuOffWithoutBinding", "iommu-off", S::kInfo, "no IOMMU groups",
       [](Facts& f) {
         f.kernel.iommu_groups = 0;
         f.setup.uses_binding = false;
       }},
      {"NoIommuMode", "noiommu-mode", S::kWarning, "no-IOMMU mode",
       [](Facts& f) { f.kernel.noiommu_mode = true; }},
      {"NoVfioPci", "vfio-module-missing", S::kWarning, "kernel 6.12.95 has no module vfio_pci",
       [](Facts& f) { f.kernel.modules[1].loadable = false; }},
      {"ModulesNotListed", "vfio-module-missing", S::kInfo, "depmod",
       [](Facts& f) { f.kernel.modules_listed = false; }},
      {"NoDevice", "no-sriov-device", S::kWarning, "SR-IOV",
       [](Facts& f) {
         f.pfs.clear();
         f.vfs.clear();
       }},
      {"NoVfsAtAll", "pf-without-vfs", S::kWarning, "0000:11:00.0 can have 7 VFs",
       [](Facts& f) {
         f.pfs[0].vfs = 0;
         f.vfs.clear();
       }},
      {"OnePfWithoutVfs", "pf-without-vfs", S::kInfo, "0000:41:00.0",
       [](Facts& f) {
         f.pfs.push_back({"0000:41:00.0", "igb", 7, 0, true});
       }},
      {"AutoprobeOff", "autoprobe-off", S::kInfo, "sriov_drivers_autoprobe",
       [](Facts& f) { f.pfs[0].autoprobe = false; }},
      {"OverrideNotBound", "vf-driver-unexpected", S::kWarning,
       "driver_override vfio-pci and is bound to no driver",
       [](Facts& f) {
         f.claims.clear();
         f.vfs[1].driver.clear();
       }},
      {"StrangeDriver", "vf-driver-unexpected", S::kWarning, "pci-stub",
       [](Facts& f) {
         f.vfs[0] = {"0000:11:10.0", "0000:11:00.0", "pci-stub", "", false};
       }},
      {"UnboundVf", "vf-driver-unexpected", S::kInfo, "no driver is bound to 0000:11:10.0",
       [](Facts& f) {
         f.vfs[0] = {"0000:11:10.0", "0000:11:00.0", "", "", false};
       }},
      {"NoRuntime", "runtime-not-found", S::kWarning, "containerd",
       [](Facts& f) { f.runtime = {}; }},
      {"BadConfig", "runtime-config-unreadable", S::kWarning, "config.toml: line 3",
       [](Facts& f) { f.runtime.files[0].error = "line 3: expected '='"; }},
      {"NriSwitchedOff", "nri-disabled", S::kError, "disable = false",
       [](Facts& f) { f.runtime.nri_enabled = false; }},
      {"NriOffByDefault", "nri-disabled", S::kError, "[plugins.\"io.containerd.nri.v1.nri\"]",
       [](Facts& f) {
         f.runtime.version = "containerd://1.7.27";
         f.runtime.cdi_enabled = true;
       }},
      {"NriOffByDefaultInCrio", "nri-disabled", S::kError, "enable_nri = true",
       [](Facts& f) {
         f.runtime.name = "cri-o";
         f.runtime.version = "cri-o://1.29.1";
       }},
      {"NriUnknown", "nri-disabled", S::kError, "as far as can be seen",
       [](Facts& f) {
         f.runtime.version.clear();
         f.runtime.cdi_enabled = true;
         f.runtime.nri_socket_exists = false;
       }},
      {"NriOffAndNotNeeded", "nri-disabled", S::kInfo, "if a claim names a network attachment",
       [](Facts& f) {
         f.runtime.nri_enabled = false;
         f.setup.uses_hooks = false;
       }},
      {"NoNriSocket", "nri-socket-missing", S::kError, "ls -l /var/run/nri/nri.sock",
       [](Facts& f) { f.runtime.nri_socket_exists = false; }},
      {"NriTimeoutDefault", "nri-timeout-short", S::kWarning,
       "plugin_request_timeout = \"10s\", then systemctl restart containerd",
       [](Facts& f) { f.runtime.nri_request_timeout_ms.reset(); }},
      {"NriTimeoutShort", "nri-timeout-short", S::kWarning, "waits 9999 ms",
       [](Facts& f) { f.runtime.nri_request_timeout_ms = 9'999; }},
      {"CdiSwitchedOff", "cdi-disabled", S::kError, "enable_cdi = true",
       [](Facts& f) { f.runtime.cdi_enabled = false; }},
      {"CdiUnknown", "cdi-disabled", S::kWarning, "unknown version",
       [](Facts& f) { f.runtime.version.clear(); }},
      {"CdiElsewhere", "cdi-directory-not-read", S::kError, "from /etc/cdi, not from cdiRoot",
       [](Facts& f) { f.runtime.cdi_directories = {"/etc/cdi"}; }},
      {"HookDoesNotRun", "hook-not-runnable", S::kError,
       "dra-driver-sriov-hook: Permission denied; containers",
       [](Facts& f) {
         f.hook.runs = false;
         f.hook.error = "Permission denied";
       }},
      {"NoRegistry", "kubelet-directory-missing", S::kError, "plugins_registry",
       [](Facts& f) { directory(f, "kubeletRegistrarDirectory").exists = false; }},
      {"OtherRootDir", "kubelet-directory-differs", S::kError, "/data/kubelet/plugins_registry",
       [](Facts& f) { f.kubelet.root_directory = "/data/kubelet"; }},
      {"NoKubelet", "kubelet-not-running", S::kWarning, "systemctl status kubelet",
       [](Facts& f) { f.kubelet.running = false; }},
      {"OldKubelet", "kubelet-too-old", S::kError, "v1.33.9",
       [](Facts& f) { f.kubelet.version = "v1.33.9"; }},
      {"GateOff", "dra-disabled", S::kError, "DynamicResourceAllocation",
       [](Facts& f) { f.kubelet.dra_gate = false; }},
      {"LongPath", "socket-path-too-long", S::kError, "107 bytes",
       [](Facts& f) { f.setup.data_directory += std::string(60, 'x'); }},
      {"ReadOnlyPlugins", "state-not-writable", S::kError, "Read-only file system",
       [](Facts& f) {
         directory(f, "kubeletPluginsDirectory").writable = false;
         directory(f, "kubeletPluginsDirectory").error = "Read-only file system";
         directory(f, "data directory").exists = false;
       }},
      {"ReadOnlyCdi", "state-not-writable", S::kError, "/var/run/cdi",
       [](Facts& f) { directory(f, "cdiRoot").writable = false; }},
      {"LittleSpace", "disk-space-low", S::kWarning, "2048 KiB free",
       [](Facts& f) { directory(f, "data directory").free_bytes = 2U << 20U; }},
      {"NoSpace", "disk-space-low", S::kError, "0 KiB free",
       [](Facts& f) { directory(f, "data directory").free_bytes = 0; }},
      {"FewInodes", "inodes-low", S::kWarning, "1023 inodes",
       [](Facts& f) { directory(f, "data directory").free_inodes = 1'023; }},
      {"ModuleRefused", "module-refused", S::kError, "dra-driver-sriov module verify /m/cdi.so",
       [](Facts& f) {
         f.modules[0].passed = false;
         f.modules[0].problem = "load: no query function";
       }},
      {"OptionalModuleRefused", "module-refused", S::kWarning, "cdi",
       [](Facts& f) { f.modules[0].passed = f.modules[0].required = false; }},
      {"Quarantined", "claim-quarantined", S::kWarning, "quarantine/u1.reason",
       [](Facts& f) { f.claims[0].quarantined = true; }},
      {"Damaged", "claim-record-damaged", S::kError, "checksum",
       [](Facts& f) { f.claims[0].damage = "checksum is wrong"; }},
      {"Undoing", "claim-undo-stuck", S::kWarning, "EBUSY",
       [](Facts& f) {
         f.claims[0].state = "Undoing";
         f.claims[0].last_error = "EBUSY";
       }},
      {"Stale", "claim-of-earlier-boot", S::kInfo, "ns/c1",
       [](Facts& f) { f.claims[0].stale = true; }},
      {"Down", "driver-not-running", S::kInfo, "owner.lock", [](Facts& f) { f.instances = {}; }},
      {"TwoDrivers", "second-instance", S::kWarning, "4711, 4712",
       [](Facts& f) {
         f.instances.processes = {4711, 4712};
       }},
      {"NoNodeName", "node-missing", S::kError, "set NODE_NAME",
       [](Facts& f) { f.setup.node_name.clear(); }},
      {"NoNodeObject", "node-missing", S::kError, "kubectl get node worker-1",
       [](Facts& f) { f.cluster.access[0].code = "NOT_FOUND"; }},
      {"Forbidden", "api-access-denied", S::kError, "ClusterRole",
       [](Facts& f) { f.cluster.access[1].code = "PERMISSION_DENIED"; }},
      {"ApiDown", "api-unreachable", S::kError, "get resourceclaims: no connection",
       [](Facts& f) {
         f.cluster.access[1] = {"get resourceclaims", "UNAVAILABLE", "no connection"};
       }},
      {"FilterElsewhere", "filter-in-other-namespace", S::kWarning, "default/f",
       [](Facts& f) { f.cluster.filters_elsewhere = {"default/f"}; }},
  };
  return all;
}

class Planted : public testing::TestWithParam<Fault> {};

TEST_P(Planted, IsFoundAndNothingElse) {
  Facts facts = good_facts();
  GetParam().plant(facts);
  const auto findings = findings_of(facts);
  ASSERT_FALSE(findings.empty());
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.id, GetParam().id) << text_of(findings);
    EXPECT_EQ(finding.severity, GetParam().severity) << text_of(findings);
    EXPECT_FALSE(finding.problem.empty());
    EXPECT_FALSE(finding.check.empty());
    EXPECT_FALSE(finding.fix.empty());
  }
  EXPECT_NE(text_of(findings).find(GetParam().says), std::string::npos) << text_of(findings);
}

INSTANTIATE_TEST_SUITE_P(Faults, Planted, testing::ValuesIn(faults()),
                         [](const auto& planted) { return std::string(planted.param.name); });

TEST(Checks, EveryIdHasAPlantedFault) {
  std::set<std::string_view> planted;
  for (const Fault& fault : faults()) planted.insert(fault.id);
  const auto ids = finding_ids();
  EXPECT_EQ(planted, std::set<std::string_view>(ids.begin(), ids.end()));
}

TEST(Checks, WhatIsNotKnownIsSkippedAndNotOk) {
  Facts facts = good_facts();
  facts.host_visible = false;
  std::set<std::string_view> skipped;
  for (const CheckResult& result : diagnose(facts))
    if (result.skipped) skipped.insert(result.name);
  EXPECT_EQ(skipped,
            (std::set<std::string_view>{"kernel modules", "container runtime", "NRI", "CDI"}));
  EXPECT_NE(format_text(diagnose(facts)).find("skipped  NRI\n"), std::string::npos);
  facts.host_visible = true;
  for (const CheckResult& result : diagnose(facts)) EXPECT_FALSE(result.skipped) << result.name;
}

TEST(Checks, AHeldVfIsNotJudgedByItsDriver) {
  Facts facts = good_facts();
  facts.vfs[1].driver = "pci-stub";  // 0000:11:10.2, of claim u1
  EXPECT_EQ(text_of(findings_of(facts)), "");
}

TEST(Checks, AVfInAPodIsNotJudgedByItsHiddenInterface) {
  Facts facts = good_facts();
  facts.vfs.push_back({"0000:11:10.4", "0000:11:00.0", "igbvf", "", false});
  EXPECT_EQ(text_of(findings_of(facts)), "");
}

TEST(Checks, TheRunDirectoryHasTwoNames) {
  Facts facts = good_facts();
  facts.runtime.cdi_directories = {"/run/cdi"};
  EXPECT_EQ(text_of(findings_of(facts)), "");
}

// So it is in the pod of the chart.
TEST(Checks, WhatLiesAboveTheDataDirectoryNeedNotBeWritable) {
  Facts facts = good_facts();
  directory(facts, "kubeletPluginsDirectory").writable = false;
  EXPECT_EQ(text_of(findings_of(facts)), "");
}

TEST(Checks, ADirectoryThatTheDriverWillMakeIsNoFinding) {
  Facts facts = good_facts();
  for (const char* name : {"data directory", "cdiRoot"}) {
    Directory missing;
    missing.name = name;
    missing.use = DirectoryUse::kState;
    missing.error = "No such file or directory";
    directory(facts, name) = missing;
  }
  EXPECT_EQ(text_of(findings_of(facts)), "");
}

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(Pages, EachIdHasAPageAndEachPageAnId) {
  std::set<std::string> pages;
  for (const auto& entry : std::filesystem::directory_iterator(DRASRIOV_TROUBLESHOOTING_DIR))
    if (entry.path().filename() != "README.md") pages.insert(entry.path().filename().native());
  std::set<std::string> expected;
  const std::string index =
      content(std::filesystem::path(DRASRIOV_TROUBLESHOOTING_DIR) / "README.md");
  for (const std::string_view id : finding_ids()) {
    const std::string file = std::string(id) + ".md";
    expected.insert(file);
    EXPECT_NE(index.find("](" + file + ")"), std::string::npos) << file << " is not in README.md";
    const std::string page = content(std::filesystem::path(DRASRIOV_TROUBLESHOOTING_DIR) / file);
    EXPECT_NE(page.find("\n# " + std::string(id) + "\n"), std::string::npos) << file;
    std::size_t at = 0;
    for (const char* heading : {"\n## Problem\n\n", "\n## Check\n\n", "\n## Fix\n\n"}) {
      at = page.find(heading, at);
      ASSERT_NE(at, std::string::npos) << file << " lacks" << heading;
      at += std::string_view(heading).size();
      EXPECT_NE(page[at], '#') << file << ": empty section";
    }
  }
  EXPECT_EQ(pages, expected);
}

TEST(Report, TextAndJsonSayTheSame) {
  Facts facts = good_facts();
  facts.kubelet.version = "v1.33.9";
  const auto results = diagnose(facts);
  const std::string text = format_text(results);
  EXPECT_NE(text.find("error    kubelet\n         kubelet-too-old (error): kubelet is v1.33.9"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("           see:   docs/troubleshooting/kubelet-too-old.md\n"),
            std::string::npos);
  EXPECT_NE(text.find("ok       NRI\n"), std::string::npos);
  const auto json = nlohmann::json::parse(format_json(results));
  EXPECT_EQ(json["severity"], "error");
  EXPECT_EQ(json["checks"].size(), results.size());
  const auto kubelet = std::ranges::find_if(
      json["checks"], [](const auto& check) { return check["name"] == "kubelet"; });
  ASSERT_NE(kubelet, json["checks"].end());
  EXPECT_EQ((*kubelet)["findings"][0]["id"], "kubelet-too-old");
  EXPECT_EQ((*kubelet)["findings"][0]["page"], "docs/troubleshooting/kubelet-too-old.md");
}

TEST(FactsJson, RecordedFactsAreDiagnosedAsTheMachineWas) {
  for (const Fault& fault : faults()) {
    Facts facts = good_facts();
    fault.plant(facts);
    const auto again = facts_from_json(nlohmann::json::parse(facts_to_json(facts).dump()));
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(text_of(findings_of(*again)), text_of(findings_of(facts))) << fault.name;
  }
}

TEST(FactsJson, AnotherFormatIsRefused) {
  auto json = facts_to_json(good_facts());
  json["format"] = 2;
  EXPECT_EQ(facts_from_json(json).error().code(), Code::kInvalidArgument);
  json.erase("format");
  EXPECT_FALSE(facts_from_json(json));
  EXPECT_FALSE(facts_from_json(nlohmann::json::array()));
  EXPECT_FALSE(facts_from_json({{"format", 1}, {"pfs", "none"}}));
}

}  // namespace
}  // namespace drasriov::doctor
