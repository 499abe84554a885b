// SPDX-License-Identifier: Apache-2.0
//
// The configuration file: what it may say, and for everything that it may not the whole sentence
// that the operator reads.
#include <gtest/gtest.h>

#include <string>

#include "host/config/load.hpp"

namespace drasriov::config {
namespace {

const Environment kEnvironment = {{"NODE_NAME", "worker-1"}};

Status read_text(Configuration& configuration, std::string_view text) {
  return apply_file(configuration, text, "c.yaml", kEnvironment);
}

TEST(ConfigFile, EmptyMeansDefaults) {
  for (const char* text : {"", "# nothing but a comment\n", "---\n", "{}\n"}) {
    Configuration configuration;
    const auto applied = read_text(configuration, text);
    EXPECT_TRUE(applied) << text << ": " << applied.error().to_string();
    EXPECT_EQ(configuration.driver_name, "sriovnetwork.openshift.io");
  }
}

TEST(ConfigFile, ReadsEverySetting) {
  Configuration c;
  const auto applied = read_text(c, R"(
driverName: sriov.example.com
nodeName: ${NODE_NAME}
namespace: filters
cluster: dir:/srv/cluster/
kubeconfig: /etc/kubeconfig
kubeApiQps: 2.5
kubeApiBurst: 20
advertise: filtered
roots: {sys: /captured/sys, dev: /captured/dev, proc: /captured/proc, netns: /captured/netns}
kubeletPluginsDirectory: /k/plugins/
kubeletRegistrarDirectory: /k/registry
cdiRoot: /k/../cdi
moduleDirectory: /opt/modules
hookDir: /opt/hooks/
healthcheckPort: 51515
healthcheckAddress: "::"
metricsPort: 51517
metricsAddress: 192.0.2.1
defaultInterfacePrefix: net
nriPluginName: sriov
nriPluginIndex: 07
netAttachDefNamespaces: [shared, "*"]
verbosity: 6
logFormat: json
insecureDev: true
modules:
- name: discovery-sysfs
  module: builtin:discovery-sysfs
- name: acme-bind
  module: /opt/acme-bind.so
  enabled: false
  capabilities: [binding/1, com.acme.thing/2]
  failurePolicy: Ignore
  sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  config: {node: "${NODE_NAME}", depth: [1, 0x10, 2.5, true, null, "1", ~], flag: yes}
)");
  ASSERT_TRUE(applied) << applied.error().to_string();
  EXPECT_EQ(c.driver_name, "sriov.example.com");
  EXPECT_EQ(c.node_name, "worker-1");
  EXPECT_EQ(c.namespace_, "filters");
  EXPECT_EQ(c.cluster_directory, "/srv/cluster");
  EXPECT_EQ(c.kubeconfig, "/etc/kubeconfig");
  EXPECT_EQ(c.kube_api_qps, 2.5);
  EXPECT_EQ(c.kube_api_burst, 20);
  EXPECT_EQ(c.advertise, Advertise::kFiltered);
  EXPECT_EQ(c.roots.sys, "/captured/sys");
  EXPECT_EQ(c.roots.dev, "/captured/dev");
  EXPECT_EQ(c.roots.proc, "/captured/proc");
  EXPECT_EQ(c.roots.netns, "/captured/netns");
  EXPECT_EQ(c.kubelet_plugins_directory, "/k/plugins");
  EXPECT_EQ(c.data_directory(), "/k/plugins/sriov.example.com");
  EXPECT_EQ(c.kubelet_registrar_directory, "/k/registry");
  EXPECT_EQ(c.cdi_root, "/cdi");
  EXPECT_EQ(c.module_directory, "/opt/modules");
  EXPECT_EQ(c.effective_hook_directory(), "/opt/hooks");
  EXPECT_EQ(c.healthcheck_port, 51515);
  EXPECT_EQ(c.healthcheck_address, "::");
  EXPECT_EQ(c.metrics_port, 51517);
  EXPECT_EQ(c.metrics_address, "192.0.2.1");
  EXPECT_EQ(c.default_interface_prefix, "net");
  EXPECT_EQ(c.nri_plugin_name, "sriov");
  EXPECT_EQ(c.nri_plugin_index, "07");
  EXPECT_EQ(c.net_attach_def_namespaces, (std::vector<std::string>{"shared", "*"}));
  EXPECT_EQ(c.verbosity, 6);
  EXPECT_EQ(c.log_format, LogFormat::kJson);
  EXPECT_TRUE(c.insecure_dev);
  ASSERT_EQ(c.modules.size(), 2U);
  EXPECT_EQ(c.modules[0].name, "discovery-sysfs");
  EXPECT_TRUE(c.modules[0].enabled);
  EXPECT_EQ(c.modules[0].failure_policy, FailurePolicy::kFail);
  EXPECT_EQ(c.modules[0].config_json, "{}");
  EXPECT_EQ(c.modules[1].module, "/opt/acme-bind.so");
  EXPECT_FALSE(c.modules[1].enabled);
  EXPECT_EQ(c.modules[1].capabilities, (std::vector<std::string>{"binding/1", "com.acme.thing/2"}));
  EXPECT_EQ(c.modules[1].failure_policy, FailurePolicy::kIgnore);
  EXPECT_EQ(c.modules[1].sha256.substr(0, 8), "01234567");
  // "yes" is a text in YAML 1.2; quoted numbers stay texts.
  EXPECT_EQ(c.modules[1].config_json,
            R"({"depth":[1,16,2.5,true,null,"1",null],"flag":"yes","node":"worker-1"})");
}

struct Bad {
  const char* name;
  const char* text;
  const char* message;
};

class BadConfigFile : public testing::TestWithParam<Bad> {};

TEST_P(BadConfigFile, SaysWhereAndWhatToDo) {
  Configuration configuration;
  const auto applied = read_text(configuration, GetParam().text);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().to_string(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadConfigFile,
    testing::Values(
        Bad{"UnknownKey", "nodeName: a\ndrivername: x\n",
            "c.yaml:2:1: unknown key 'drivername' — hint: did you mean 'driverName'?"},
        Bad{"UnknownKeyLikeNothing", "roots:\n  usr: /\n",
            "c.yaml:2:3: unknown key 'usr' in roots — hint: known are sys dev proc netns"},
        Bad{"FlagNameAsKey", "v: 1\n",
            "c.yaml:1:1: unknown key 'v' — hint: known are roots modules netAttachDefNamespaces "
            "driverName nodeName namespace cluster kubeconfig kubeApiQps kubeApiBurst advertise "
            "kubeletPluginsDirectory kubeletRegistrarDirectory cdiRoot moduleDirectory hookDir "
            "healthcheckPort healthcheckAddress metricsPort metricsAddress defaultInterfacePrefix "
            "nriPluginName nriPluginIndex verbosity logFormat insecureDev"},
        Bad{"SameKeyTwice", "verbosity: 1\nnodeName: a\nverbosity: 2\n",
            "c.yaml:3:1: key 'verbosity' stands twice"},
        Bad{"TwoDocuments", "verbosity: 1\n---\nverbosity: 2\n",
            "c.yaml: holds 2 YAML documents, expected one — hint: remove the '---' lines"},
        Bad{"NotYaml", "a: [1, 2\nb: 3\n",
            "c.yaml:2:2: not YAML: end of sequence flow not found — hint: check indentation and "
            "quotes there"},
        Bad{"ListAtTop", "- name: cdi\n", "c.yaml:1:1: the file is a list, expected a map"},
        Bad{"MapForText", "nodeName: {a: b}\n",
            "c.yaml:1:11: nodeName is a map, expected a single value"},
        Bad{"NothingForText", "verbosity: 1\nnodeName:\n",
            "c.yaml:2:1: nodeName is nothing, expected a single value — hint: remove the key to "
            "get its default"},
        Bad{"QuotedNumber", "healthcheckPort: \"51515\"\n",
            "c.yaml:1:18: healthcheckPort is a quoted text, expected a number — hint: remove the "
            "quotes"},
        Bad{"TextForNumber", "healthcheckPort: off\n",
            "c.yaml:1:18: healthcheckPort: 'off' is not a whole number from -1 to 65535"},
        Bad{"PortOutOfRange", "metricsPort: 65536\n",
            "c.yaml:1:14: metricsPort: '65536' is not a whole number from -1 to 65535"},
        Bad{"AddressWithPort", "metricsAddress: \"[::1]\"\n",
            "c.yaml:1:17: metricsAddress: '[::1]' is not an address to listen on — hint: for "
            "example "
            "127.0.0.1, 0.0.0.0 or ::"},
        Bad{"NumberOutOfRange", "verbosity: 10\n",
            "c.yaml:1:12: verbosity: '10' is not a whole number from 0 to 9"},
        Bad{"NotANumber", "kubeApiQps: 0\n",
            "c.yaml:1:13: kubeApiQps: '0' is not a number above 0"},
        Bad{"TextForBoolean", "insecureDev: yes\n",
            "c.yaml:1:14: insecureDev: 'yes' is not true or false"},
        Bad{"DriverName", "driverName: Sriov_Network\n",
            "c.yaml:1:13: driverName: 'Sriov_Network' is not a driver name — hint: a DNS subdomain "
            "name of at most 63 "
            "characters, for example sriovnetwork.openshift.io"},
        Bad{"NodeName", "nodeName: Node/1\n",
            "c.yaml:1:11: nodeName: 'Node/1' is not a DNS subdomain name — hint: lower-case "
            "letters, digits, '-' and "
            "'.', for example node-1"},
        Bad{"Cluster", "cluster: etcd\n", "c.yaml:1:10: cluster: 'etcd' is not kube or dir:PATH"},
        Bad{"RelativeClusterDirectory", "cluster: dir:here\n",
            "c.yaml:1:10: cluster: 'here' is not an absolute path — hint: begin it with '/': the "
            "driver has no "
            "directory of its own to start from"},
        Bad{"Advertise", "advertise: none\n",
            "c.yaml:1:12: advertise: 'none' is not one of all filtered"},
        Bad{"NriIndex", "nriPluginIndex: 7\n",
            "c.yaml:1:17: nriPluginIndex: '7' is not an NRI plugin index — hint: two digits, for "
            "example 42: NRI calls "
            "plugins in that order"},
        Bad{"InterfacePrefix", "defaultInterfacePrefix: averylongprefix\n",
            "c.yaml:1:25: defaultInterfacePrefix: 'averylongprefix' is not a prefix of interface "
            "names — hint: 1-12 "
            "characters without '/', ':' or white space"},
        Bad{"UnsetVariable", "nodeName: ${NODENAME}\n",
            "c.yaml:1:11: nodeName: environment variable 'NODENAME' is not set — hint: set it for "
            "the driver's "
            "container, or write $${ where ${ itself is meant"},
        Bad{"NamespaceList", "netAttachDefNamespaces: shared\n",
            "c.yaml:1:25: netAttachDefNamespaces is a single value, expected a list"},
        Bad{"NamespaceName", "netAttachDefNamespaces: [a, B]\n",
            "c.yaml:1:29: netAttachDefNamespaces: 'B' is not the name of a namespace — hint: a DNS "
            "label, or '*' for any "
            "namespace"},
        Bad{"RelativeRoot", "roots: {sys: sys}\n",
            "c.yaml:1:14: roots.sys: 'sys' is not an absolute path — hint: begin it with '/': the "
            "driver has no "
            "directory of its own to start from"}),
    [](const auto& bad) { return bad.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Modules, BadConfigFile,
    testing::Values(
        Bad{"ModulesAsMap", "modules: {cdi: {}}\n",
            "c.yaml:1:10: modules is a map, expected a list — hint: begin every module with '- "
            "name: …'"},
        Bad{"ModuleAsText", "modules: [cdi]\n",
            "c.yaml:1:11: an entry of modules is a single value, expected a map — hint: for "
            "example {name: cdi, module: "
            "builtin:cdi}"},
        Bad{"UnknownKeyInModule", "modules:\n- name: cdi\n  modul: builtin:cdi\n",
            "c.yaml:3:3: unknown key 'modul' in this module — hint: did you mean 'module'?"},
        Bad{"NoName", "modules:\n- module: builtin:cdi\n",
            "c.yaml:2:3: a module has no name — hint: add name: …"},
        Bad{"NoFile", "modules:\n- name: cdi\n",
            "c.yaml:2:3: module cdi names no file — hint: add module: builtin:NAME or an absolute "
            "path"},
        Bad{"SameNameTwice",
            "modules:\n- {name: a, module: builtin:cdi}\n- {name: a, module: /x.so}\n",
            "c.yaml:3:3: module name 'a' is taken by the entry at 2:3 — hint: two instances of one "
            "module need two "
            "names"},
        Bad{"BadName", "modules:\n- {name: a/b, module: builtin:cdi}\n",
            "c.yaml:2:10: module name 'a/b' is not a DNS label — hint: 1-63 lower-case letters, "
            "digits and '-', a letter "
            "or digit at both ends"},
        Bad{"RelativePath", "modules:\n- {name: a, module: modules/a.so}\n",
            "c.yaml:2:21: module 'modules/a.so' is neither builtin:NAME nor an absolute path — "
            "hint: a file is never "
            "searched for: give its whole path, for example "
            "/opt/dra-driver-sriov/modules/acme-bind/acme-bind.so"},
        Bad{"BuiltinTraversal", "modules:\n- {name: a, module: 'builtin:../a'}\n",
            "c.yaml:2:21: module 'builtin:../a' is neither builtin:NAME nor an absolute path — "
            "hint: a file is never "
            "searched for: give its whole path, for example "
            "/opt/dra-driver-sriov/modules/acme-bind/acme-bind.so"},
        Bad{"Sha256", "modules:\n- {name: a, module: /a.so, sha256: ABC}\n",
            "c.yaml:2:36: sha256: 'ABC' is not 64 lower-case hexadecimal digits — hint: take them "
            "from sha256sum FILE"},
        Bad{"Capability", "modules:\n- {name: a, module: /a.so, capabilities: [binding]}\n",
            "c.yaml:2:43: capability 'binding' is not of the form id/N — hint: for example "
            "binding/1"},
        Bad{"FailurePolicy", "modules:\n- {name: a, module: /a.so, failurePolicy: ignore}\n",
            "c.yaml:2:43: failurePolicy: 'ignore' is not one of Fail Ignore — hint: Fail: the "
            "driver does not start "
            "without the module; Ignore: it starts and warns"},
        Bad{"Enabled", "modules:\n- {name: a, module: /a.so, enabled: \"true\"}\n",
            "c.yaml:2:37: enabled: 'true' is not true or false"},
        Bad{"ConfigAsText", "modules:\n- {name: a, module: /a.so, config: x}\n",
            "c.yaml:2:36: config is a single value, expected a map"},
        Bad{"ConfigKeyTwice",
            "modules:\n- name: a\n  module: /a.so\n  config:\n    b: 1\n    b: 2\n",
            "c.yaml:6:5: key 'b' stands twice"},
        Bad{"ConfigTag", "modules:\n- name: a\n  module: /a.so\n  config: {b: !!binary aGk=}\n",
            "c.yaml:4:15: tag tag:yaml.org,2002:binary is not supported — hint: remove the tag"},
        Bad{"ConfigNoJsonNumber", "modules:\n- {name: a, module: /a.so, config: {b: .inf}}\n",
            "c.yaml:2:40: .inf has no form in JSON"}),
    [](const auto& bad) { return bad.param.name; });

TEST(ConfigFile, AnAliasOfItselfEnds) {
  Configuration configuration;
  const auto applied =
      read_text(configuration, "modules:\n- {name: a, module: /a.so, config: &x {b: *x}}\n");
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().message().find("nested deeper than 64 levels"), std::string::npos)
      << applied.error().message();
}

TEST(ConfigFile, AliasesDoNotMultiplyWithoutLimit) {
  std::string text =
      "modules:\n- name: a\n  module: /a.so\n  config:\n    l0: &l0 [x, x, x, x, x, x, x, x, x, "
      "x]\n";
  for (int level = 1; level < 12; ++level) {
    const std::string below = "*l" + std::to_string(level - 1);
    text += "    l" + std::to_string(level) + ": &l" + std::to_string(level) + " [" + below;
    for (int i = 1; i < 10; ++i) text += ", " + below;
    text += "]\n";
  }
  Configuration configuration;
  const auto applied = read_text(configuration, text);
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().message().find("more than 100000 values"), std::string::npos)
      << applied.error().message();
}

}  // namespace
}  // namespace drasriov::config
