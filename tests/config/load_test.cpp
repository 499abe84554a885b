// SPDX-License-Identifier: Apache-2.0
#include "host/config/load.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>

#include <cstdlib>
#include <fstream>
#include <set>

#include "host/config/settings.hpp"

namespace drasriov::config {
namespace {

class Load : public testing::Test {
 protected:
  Load() {
    std::string pattern = testing::TempDir() + "load-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    sources_.file = directory_ / "config.yaml";
  }
  ~Load() override { std::filesystem::remove_all(directory_); }

  void write(std::string_view text) { std::ofstream(sources_.file) << text; }

  std::filesystem::path directory_;
  Sources sources_;
};

TEST_F(Load, WithoutAFileTheDefaultsHold) {
  const auto loaded = load(sources_);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->driver_name, "sriovnetwork.openshift.io");
  EXPECT_EQ(loaded->namespace_, "dra-sriov-driver");
  EXPECT_EQ(loaded->cdi_root, "/var/run/cdi");
  EXPECT_EQ(loaded->kubelet_registrar_directory, "/var/lib/kubelet/plugins_registry");
  EXPECT_EQ(loaded->data_directory(), "/var/lib/kubelet/plugins/sriovnetwork.openshift.io");
  EXPECT_EQ(loaded->healthcheck_port, -1);
  EXPECT_EQ(loaded->metrics_port, -1);
  EXPECT_EQ(loaded->metrics_address, "127.0.0.1");
  EXPECT_EQ(loaded->default_interface_prefix, "vfnet");
  EXPECT_EQ(loaded->kube_api_qps, 5);
  EXPECT_EQ(loaded->kube_api_burst, 10);
  EXPECT_EQ(loaded->nri_plugin_name, "dra-driver-sriov");
  EXPECT_EQ(loaded->nri_plugin_index, "42");
  ASSERT_FALSE(loaded->modules.empty());
  EXPECT_EQ(loaded->modules.front().module, "builtin:discovery-sysfs");
}

TEST_F(Load, TheNriModuleIsCalledAsTheDriversSettingsSayUnlessItsOwnConfigDoes) {
  const auto config = [this] {
    const auto loaded = load(sources_);
    EXPECT_TRUE(loaded) << loaded.error().to_string();
    const auto found =
        std::ranges::find(loaded->modules, "builtin:runtime-nri", &ModuleEntry::module);
    return found == loaded->modules.end() ? "no such module" : found->config_json;
  };
  EXPECT_EQ(config(), R"({"pluginIndex":"42","pluginName":"dra-driver-sriov"})");
  sources_.environment = {{"NRI_PLUGIN_NAME", "acme"}, {"NRI_PLUGIN_IDX", "07"}};
  EXPECT_EQ(config(), R"({"pluginIndex":"07","pluginName":"acme"})");
  write(
      "modules:\n- {name: hooks, module: 'builtin:runtime-nri', config: {socket: /s, pluginName: "
      "own}}\n");
  EXPECT_EQ(config(), R"({"pluginIndex":"07","pluginName":"own","socket":"/s"})");
}

TEST_F(Load, AFileThatWasNamedMustBeThere) {
  sources_.file_required = true;
  const auto loaded = load(sources_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message(),
            "configuration: open " + sources_.file.native() + ": No such file or directory");
}

TEST_F(Load, AFileThatIsADirectoryIsAnErrorAlways) {
  std::filesystem::create_directory(sources_.file);
  EXPECT_FALSE(load(sources_));
}

TEST_F(Load, FlagsBeatEnvironmentBeatsFileBeatsDefaults) {
  write("nodeName: of-file\nnamespace: of-file\ncdiRoot: /of/file\n");
  sources_.environment = {{"NODE_NAME", "of-environment"}, {"NAMESPACE", "of-environment"}};
  sources_.flags = {{"node-name", "of-flag"}};
  const auto loaded = load(sources_);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->node_name, "of-flag");
  EXPECT_EQ(loaded->namespace_, "of-environment");
  EXPECT_EQ(loaded->cdi_root, "/of/file");
  EXPECT_EQ(loaded->default_interface_prefix, "vfnet");
}

TEST_F(Load, EveryNameOfTheContractIsThere) {
  sources_.environment = {{"NODE_NAME", "n"},
                          {"CDI_ROOT", "/cdi"},
                          {"KUBELET_REGISTRAR_DIRECTORY_PATH", "/r"},
                          {"KUBELET_PLUGINS_DIRECTORY_PATH", "/p"},
                          {"HEALTHCHECK_PORT", "0"},
                          {"DEFAULT_INTERFACE_PREFIX", "net"},
                          {"NAMESPACE", "ns"},
                          {"KUBECONFIG", "/kc"},
                          {"KUBE_API_QPS", "7.5"},
                          {"KUBE_API_BURST", "30"},
                          {"V", "5"},
                          {"LOG_FORMAT", "json"},
                          {"NRI_PLUGIN_NAME", "nri"},
                          {"NRI_PLUGIN_IDX", "10"}};
  const auto check = [](const Result<Configuration>& loaded) {
    ASSERT_TRUE(loaded) << loaded.error().to_string();
    EXPECT_EQ(loaded->node_name, "n");
    EXPECT_EQ(loaded->cdi_root, "/cdi");
    EXPECT_EQ(loaded->kubelet_registrar_directory, "/r");
    EXPECT_EQ(loaded->kubelet_plugins_directory, "/p");
    EXPECT_EQ(loaded->healthcheck_port, 0);
    EXPECT_EQ(loaded->default_interface_prefix, "net");
    EXPECT_EQ(loaded->namespace_, "ns");
    EXPECT_EQ(loaded->kubeconfig, "/kc");
    EXPECT_EQ(loaded->kube_api_qps, 7.5);
    EXPECT_EQ(loaded->kube_api_burst, 30);
    EXPECT_EQ(loaded->verbosity, 5);
    EXPECT_EQ(loaded->log_format, LogFormat::kJson);
    EXPECT_EQ(loaded->nri_plugin_name, "nri");
    EXPECT_EQ(loaded->nri_plugin_index, "10");
  };
  check(load(sources_));

  // The same by flags: each variable's name in lower case with dashes.
  for (auto& [name, value] : std::exchange(sources_.environment, {})) {
    std::string flag = name;
    for (char& c : flag)
      c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    sources_.flags.emplace(std::move(flag), value);
  }
  for (const auto& [flag, value] : sources_.flags)
    ASSERT_NE(find_setting_by_flag(flag), nullptr) << flag;
  check(load(sources_));
}

TEST_F(Load, AnEmptyVariableIsNotSet) {
  sources_.environment = {{"HEALTHCHECK_PORT", ""}, {"NODE_NAME", ""}};
  const auto loaded = load(sources_);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->healthcheck_port, -1);
}

TEST_F(Load, AWrongValueNamesItsSource) {
  sources_.environment = {{"HEALTHCHECK_PORT", "70000"}};
  EXPECT_EQ(
      load(sources_).error().message(),
      "environment variable HEALTHCHECK_PORT: '70000' is not a whole number from -1 to 65535");
  sources_.environment = {{"METRICS_PORT", "http"}};
  EXPECT_EQ(load(sources_).error().message(),
            "environment variable METRICS_PORT: 'http' is not a whole number from -1 to 65535");
  sources_.environment = {};
  sources_.flags = {{"cdi-root", "cdi"}};
  EXPECT_EQ(load(sources_).error().message(), "flag --cdi-root: 'cdi' is not an absolute path");
}

TEST_F(Load, ModulesInTheFileReplaceTheList) {
  write("modules: []\n");
  const auto loaded = load(sources_);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_TRUE(loaded->modules.empty());
}

TEST(Settings, NamesAreUniqueAndDefaultsPassTheirOwnCheck) {
  std::set<std::string_view> names;
  for (const Setting& setting : settings()) {
    EXPECT_TRUE(names.insert(setting.key).second) << setting.key;
    if (!setting.flag.empty()) {
      EXPECT_TRUE(names.insert(setting.flag).second || setting.flag == setting.key) << setting.flag;
    }
    EXPECT_FALSE(setting.help.empty()) << setting.key;
    Configuration configuration;
    const std::string value = setting.get(configuration);
    if (value.empty()) continue;
    EXPECT_TRUE(setting.set(configuration, value)) << setting.key << " = " << value;
    EXPECT_EQ(setting.get(configuration), value) << setting.key;
  }
}

}  // namespace
}  // namespace drasriov::config
