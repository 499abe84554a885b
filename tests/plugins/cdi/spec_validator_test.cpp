// SPDX-License-Identifier: Apache-2.0
#include "spec_validator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

namespace drasriov::cdi {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kCheckedKind = "sriov.example.io/vf";

std::string spec(std::string_view version, std::string_view devices, std::string_view rest = "",
                 std::string_view kind = kCheckedKind) {
  return R"({"cdiVersion":")" + std::string(version) + R"(","kind":")" + std::string(kind) +
         R"(","devices":)" + std::string(devices) + std::string(rest) + "}";
}

std::string with_edits(std::string_view version, std::string_view edits) {
  return spec(version, R"([{"name":"vf0","containerEdits":)" + std::string(edits) + "}]");
}

/// Empty when accepted.
std::string complaint(std::string_view text, std::string_view kind = kCheckedKind) {
  const sdk::Status checked = check_spec(text, kind);
  return checked ? "" : checked.error().message();
}

TEST(SpecValidator, AcceptsTheSampleThatTheGoReaderAccepts) {
  EXPECT_EQ(complaint(R"({"cdiVersion":"0.5.0","kind":"sriov.example.io/vf","devices":[)"
                      R"({"name":"0f0a1c52-77aa-4f3e-9b0e-2f6f1f0d3c11-vf-0000-03-02-0",)"
                      R"("containerEdits":{"env":["SRIOV_PCI_0=0000:03:02.0"],"deviceNodes":[)"
                      R"({"path":"/dev/vfio/vfio","type":"c","permissions":"rw"},)"
                      R"({"path":"/dev/vfio/42","type":"c","permissions":"rw"}]}}]})"),
            "");
}

TEST(SpecValidator, AcceptsEveryKeyOfTheSpecification) {
  EXPECT_EQ(
      complaint(spec(
          "1.1.0",
          R"([{"name":"vf0","annotations":{"example.com/a":"b"},"containerEdits":{"env":["A="],)"
          R"("deviceNodes":[{"path":"/dev/a","hostPath":"/dev/b","type":"c","major":1,"minor":3,)"
          R"("fileMode":438,"permissions":"rwm","uid":0,"gid":4294967295}],)"
          R"("netDevices":[{"hostInterfaceName":"eth2","name":"net1"}],)"
          R"("mounts":[{"hostPath":"/a","containerPath":"/b","options":["ro"],"type":"bind"}],)"
          R"("hooks":[{"hookName":"createRuntime","path":"/h","args":["h"],"env":["B=c"],"timeout":5}],)"
          R"("intelRdt":{"closID":"a","l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=70",)"
          R"("schemata":["MB:0=70"],"enableMonitoring":true},"additionalGids":[36]}}])",
          R"(,"annotations":{"Key":"value"},"containerEdits":{})")),
      "");
}

struct Row {
  const char* name;
  std::string text;
  const char* message;  ///< what follows "CDI spec: "
  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class SpecValidatorRefuses : public ::testing::TestWithParam<Row> {};

TEST_P(SpecValidatorRefuses, WithPathAndRule) {
  const sdk::Status checked = check_spec(GetParam().text, kCheckedKind);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(checked.error().message(), std::string("CDI spec: ") + GetParam().message);
  EXPECT_THAT(checked.error().hint(), HasSubstr("nothing was written"));
}

const auto& row_name = [](const auto& row) { return row.param.name; };

INSTANTIATE_TEST_SUITE_P(
    Document, SpecValidatorRefuses,
    ::testing::Values(
        Row{"Empty", "", "not valid JSON at byte 1"},
        Row{"Truncated", R"({"cdiVersion":)", "not valid JSON at byte 15"},
        Row{"Trailing", "{} {}", "not valid JSON at byte 4"},
        Row{"NotUtf8", "{\"kind\":\"\xff\"}", "not valid JSON at byte 10"},
        Row{"NotAnObject", "[]", "the document is not an object"},
        Row{"Nothing", "{}", "cdiVersion is missing"},
        Row{"NoKind", R"({"cdiVersion":"0.3.0","devices":[]})",
            "devices is empty: newer runtimes want at least one device"},
        Row{"Null", R"({"cdiVersion":null})", "cdiVersion is not a string"},
        Row{"UnknownKey", R"({"CdiVersion":"0.3.0"})",
            "CdiVersion is not a key of CDI: runtimes refuse unknown keys"},
        Row{"OtherKind", R"({"kind":"other.example.io/vf"})",
            R"(kind is "other.example.io/vf", but the spec is written for "sriov.example.io/vf")"},
        Row{"DuplicateKey", R"({"kind":"sriov.example.io/vf","kind":"sriov.example.io/vf"})",
            R"(the key "kind" stands twice in one object)"},
        Row{"DuplicateKeyDeep",
            R"({"devices":[{"name":"a","containerEdits":{"env":["A=b"],"env":["A=c"]}}]})",
            R"(the key "env" stands twice in one object)"},
        Row{"EditsAsArray",
            spec("0.3.0", R"([{"name":"a","containerEdits":{"env":["A=b"]}}])",
                 R"(,"containerEdits":[])"),
            "containerEdits is not an object"},
        Row{"AnnotationKey", R"({"annotations":{"a b":"c"}})",
            R"(annotations has the key "a b", which is not a qualified name)"},
        Row{"AnnotationPrefix", R"({"annotations":{"-x/a":"c"}})",
            R"(annotations has the key "-x/a", which is not a qualified name)"},
        Row{"AnnotationValue", R"({"annotations":{"a":1}})", "annotations.a is not a string"},
        Row{"AnnotationSize", R"({"annotations":{"a":")" + std::string(256 * 1024, 'x') + R"("}})",
            "annotations hold more than 256 KiB"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Devices, SpecValidatorRefuses,
    ::testing::Values(
        Row{"NoName", spec("0.3.0", R"([{"containerEdits":{"env":["A=b"]}}])"),
            "devices[0].name is missing"},
        Row{"NoEdits", spec("0.3.0", R"([{"name":"a"}])"), "devices[0].containerEdits is missing"},
        Row{"EmptyEdits", spec("0.3.0", R"([{"name":"a","containerEdits":{}}])"),
            "devices[0].containerEdits is empty: runtimes refuse a device without edits"},
        Row{"EmptyLists",
            spec("0.3.0", R"([{"name":"a","containerEdits":{"env":[],"mounts":[]}}])"),
            "devices[0].containerEdits is empty: runtimes refuse a device without edits"},
        Row{"Twice",
            spec("0.3.0", R"([{"name":"a","containerEdits":{"env":["A=b"]}},)"
                          R"({"name":"a","containerEdits":{"env":["A=b"]}}])"),
            R"(devices[1].name "a" stands twice)"},
        Row{"EmptyName", spec("0.3.0", R"([{"name":""}])"),
            R"(devices[0].name "" is not a CDI device name)"},
        Row{"NameEnd", spec("0.3.0", R"([{"name":"a-"}])"),
            R"(devices[0].name "a-" is not a CDI device name)"},
        Row{"NameStart", spec("0.3.0", R"([{"name":":a"}])"),
            R"(devices[0].name ":a" is not a CDI device name)"},
        Row{"NameSign", spec("0.3.0", R"([{"name":"a=b"}])"),
            R"(devices[0].name "a=b" is not a CDI device name)"},
        Row{"UnknownKey", spec("0.3.0", R"([{"name":"a","edits":{}}])"),
            "devices[0].edits is not a key of CDI: runtimes refuse unknown keys"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Edits, SpecValidatorRefuses,
    ::testing::Values(
        Row{"Unknown", with_edits("0.3.0", R"({"additionalGIDs":[1]})"),
            "devices[0].containerEdits.additionalGIDs is not a key of CDI: runtimes refuse unknown "
            "keys"},
        Row{"EnvWithoutEquals", with_edits("0.3.0", R"({"env":["A=b","A"]})"),
            R"(devices[0].containerEdits.env[1] "A" is not of the form NAME=value)"},
        Row{"EnvWithoutName", with_edits("0.3.0", R"({"env":["=b"]})"),
            R"(devices[0].containerEdits.env[0] "=b" is not of the form NAME=value)"},
        Row{"EnvNul", with_edits("0.3.0", R"({"env":["A=\u0000"]})"),
            "devices[0].containerEdits.env[0] holds a NUL character, which no container runtime "
            "can pass on"},
        Row{"EnvNumber", with_edits("0.3.0", R"({"env":[1]})"),
            "devices[0].containerEdits.env[0] is not a string"},
        Row{"EnvObject", with_edits("0.3.0", R"({"env":{}})"),
            "devices[0].containerEdits.env is not an array"},
        Row{"NodePath", with_edits("0.3.0", R"({"deviceNodes":[{"hostPath":"/dev/a"}]})"),
            "devices[0].containerEdits.deviceNodes[0].path is missing"},
        Row{"NodeEmptyPath", with_edits("0.3.0", R"({"deviceNodes":[{"path":""}]})"),
            "devices[0].containerEdits.deviceNodes[0].path is empty"},
        Row{"NodeType", with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","type":"cb"}]})"),
            R"(devices[0].containerEdits.deviceNodes[0].type "cb" is none of b, c, u, p)"},
        Row{"NodePermissions",
            with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","permissions":"none"}]})"),
            R"(devices[0].containerEdits.deviceNodes[0].permissions "none" has other letters than r, w, m)"},
        Row{"NodeMajorText", with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","major":"1"}]})"),
            "devices[0].containerEdits.deviceNodes[0].major is not a 64-bit integer"},
        Row{"NodeMajorFloat", with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","major":1.0}]})"),
            "devices[0].containerEdits.deviceNodes[0].major is not a 64-bit integer"},
        Row{"NodeMinorLarge",
            with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","minor":9223372036854775808}]})"),
            "devices[0].containerEdits.deviceNodes[0].minor is not a 64-bit integer"},
        Row{"NodeModeNegative",
            with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","fileMode":-1}]})"),
            "devices[0].containerEdits.deviceNodes[0].fileMode is not an unsigned 32-bit integer"},
        Row{"NodeUidLarge",
            with_edits("0.3.0", R"({"deviceNodes":[{"path":"/a","uid":4294967296}]})"),
            "devices[0].containerEdits.deviceNodes[0].uid is not an unsigned 32-bit integer"},
        Row{"MountHostPath", with_edits("0.3.0", R"({"mounts":[{"containerPath":"/b"}]})"),
            "devices[0].containerEdits.mounts[0].hostPath is missing"},
        Row{"MountContainerPath", with_edits("0.3.0", R"({"mounts":[{"hostPath":"/b"}]})"),
            "devices[0].containerEdits.mounts[0].containerPath is missing"},
        Row{"MountOption", with_edits("0.3.0", R"({"mounts":[{"options":["ro",1]}]})"),
            "devices[0].containerEdits.mounts[0].options[1] is not a string"},
        Row{"HookName",
            with_edits("0.3.0", R"({"hooks":[{"hookName":"createruntime","path":"/h"}]})"),
            R"(devices[0].containerEdits.hooks[0].hookName "createruntime" is not an OCI hook)"},
        Row{"HookPath", with_edits("0.3.0", R"({"hooks":[{"hookName":"poststop","path":"h"}]})"),
            "devices[0].containerEdits.hooks[0].path is not an absolute path"},
        Row{"HookEnv", with_edits("0.3.0", R"({"hooks":[{"env":["A"]}]})"),
            R"(devices[0].containerEdits.hooks[0].env[0] "A" is not of the form NAME=value)"},
        Row{"HookTimeout", with_edits("0.3.0", R"({"hooks":[{"timeout":0}]})"),
            "devices[0].containerEdits.hooks[0].timeout is not a number of seconds above 0"},
        Row{"Gid", with_edits("0.3.0", R"({"additionalGids":["36"]})"),
            "devices[0].containerEdits.additionalGids[0] is not an unsigned 32-bit integer"},
        Row{"RdtClass", with_edits("0.3.0", R"({"intelRdt":{"closID":".."}})"),
            "devices[0].containerEdits.intelRdt.closID is not the name of a resctrl group"},
        Row{"RdtRemoved", with_edits("0.7.0", R"({"intelRdt":{"enableCMT":true}})"),
            "devices[0].containerEdits.intelRdt.enableCMT was removed in CDI 1.1.0: newer runtimes "
            "refuse it"},
        Row{"RdtMonitoring", with_edits("0.7.0", R"({"intelRdt":{"enableMonitoring":1}})"),
            "devices[0].containerEdits.intelRdt.enableMonitoring is neither true nor false"},
        Row{"NetDeviceName", with_edits("1.1.0", R"({"netDevices":[{"hostInterfaceName":"a"}]})"),
            "devices[0].containerEdits.netDevices[0].name is missing"},
        Row{"NetDeviceHostTwice",
            with_edits(
                "1.1.0",
                R"({"netDevices":[{"hostInterfaceName":"a","name":"b"},{"hostInterfaceName":"a","name":"c"}]})"),
            R"(devices[0].containerEdits.netDevices[1].hostInterfaceName "a" stands twice)"},
        Row{"NetDeviceNameTwice",
            with_edits(
                "1.1.0",
                R"({"netDevices":[{"hostInterfaceName":"a","name":"b"},{"hostInterfaceName":"c","name":"b"}]})"),
            R"(devices[0].containerEdits.netDevices[1].name "b" stands twice)"},
        Row{"SpecLevel",
            spec("0.3.0", R"([{"name":"a","containerEdits":{"env":["A=b"]}}])",
                 R"(,"containerEdits":{"env":["A"]})"),
            R"(containerEdits.env[0] "A" is not of the form NAME=value)"}),
    row_name);

// ---- the version rule ----

struct VersionRow {
  const char* name;
  const char* version;
  const char* edits;    ///< at device level, and again at spec level
  const char* because;  ///< below containerEdits, empty: nothing special
  friend void PrintTo(const VersionRow& row, std::ostream* out) { *out << row.name; }
};

class SpecValidatorVersion : public ::testing::TestWithParam<VersionRow> {
 protected:
  /// The document accepts exactly the row's version, and says why not another one.
  void expect_only(auto&& document, const std::string& place) {
    for (const std::string_view version :
         {"0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0",
          "1.2.0", "v0.3.0", ""}) {
      const std::string because =
          *GetParam().because == '\0' ? "" : " because of " + place + GetParam().because;
      const std::string expected = version == GetParam().version
                                       ? ""
                                       : "CDI spec: cdiVersion is \"" + std::string(version) +
                                             "\": the lowest version that its contents allow is " +
                                             GetParam().version + because +
                                             ", and runtimes refuse newer or wrong ones";
      EXPECT_EQ(complaint(document(version)), expected);
    }
  }
};

TEST_P(SpecValidatorVersion, AtDeviceLevel) {
  expect_only([](std::string_view version) { return with_edits(version, GetParam().edits); },
              "devices[0].containerEdits");
}

TEST_P(SpecValidatorVersion, AtSpecLevel) {
  expect_only(
      [](std::string_view version) {
        return spec(version, R"([{"name":"vf0","containerEdits":{"env":["A=b"]}}])",
                    std::string(R"(,"containerEdits":)") + GetParam().edits);
      },
      "containerEdits");
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SpecValidatorVersion,
    ::testing::Values(
        VersionRow{"Env", "0.3.0", R"({"env":["A=b"]})", ""},
        VersionRow{"EmptyHostPath", "0.3.0", R"({"deviceNodes":[{"path":"/a","hostPath":""}]})",
                   ""},
        VersionRow{"EmptyMountType", "0.3.0",
                   R"({"mounts":[{"hostPath":"/a","containerPath":"/b","type":""}]})", ""},
        VersionRow{"NoGids", "0.3.0", R"({"env":["A=b"],"additionalGids":[]})", ""},
        VersionRow{"MountType", "0.4.0",
                   R"({"mounts":[{"hostPath":"/a","containerPath":"/b","type":"bind"}]})",
                   ".mounts[0].type"},
        VersionRow{"HostPath", "0.5.0", R"({"deviceNodes":[{"path":"/a","hostPath":"/b"}]})",
                   ".deviceNodes[0].hostPath"},
        VersionRow{"Gids", "0.7.0", R"({"additionalGids":[36]})", ".additionalGids"},
        VersionRow{"Rdt", "0.7.0", R"({"intelRdt":{"closID":"/","enableMonitoring":false}})",
                   ".intelRdt"},
        VersionRow{"RdtMonitoring", "1.1.0", R"({"intelRdt":{"enableMonitoring":true}})",
                   ".intelRdt.enableMonitoring"},
        VersionRow{"RdtSchemata", "1.1.0", R"({"intelRdt":{"schemata":["MB:0=70"]}})",
                   ".intelRdt.schemata"},
        VersionRow{"NetDevice", "1.1.0", R"({"netDevices":[{"hostInterfaceName":"a","name":"b"}]})",
                   ".netDevices"}),
    row_name);

TEST(SpecValidator, AnnotationsNeedSix) {
  constexpr std::string_view kDevice = R"([{"name":"a","containerEdits":{"env":["A=b"]}}])";
  EXPECT_EQ(complaint(spec("0.3.0", kDevice, R"(,"annotations":{})")), "");
  EXPECT_THAT(complaint(spec("0.3.0", kDevice, R"(,"annotations":{"a":"b"})")),
              HasSubstr("is 0.6.0 because of annotations"));
  EXPECT_EQ(complaint(spec("0.6.0", kDevice, R"(,"annotations":{"a":"b"})")), "");
  const std::string on_device =
      R"([{"name":"a","annotations":{"a":"b"},"containerEdits":{"env":["A=b"]}}])";
  EXPECT_THAT(complaint(spec("0.3.0", on_device)),
              HasSubstr("is 0.6.0 because of devices[0].annotations"));
  EXPECT_EQ(complaint(spec("0.6.0", on_device)), "");
}

TEST(SpecValidator, NamesDecideTheVersionToo) {
  const auto named = [](std::string_view version, std::string_view name) {
    return spec(version,
                R"([{"name":")" + std::string(name) + R"(","containerEdits":{"env":["A=b"]}}])");
  };
  EXPECT_EQ(complaint(named("0.3.0", "a")), "") << "a device name of one character is fine";
  EXPECT_EQ(complaint(named("0.3.0", "a:b_c.d-9")), "");
  EXPECT_THAT(complaint(named("0.3.0", "9")), HasSubstr("is 0.5.0 because of devices[0].name"));
  EXPECT_EQ(complaint(named("0.5.0", "9")), "");

  constexpr std::string_view kDotted = "sriov.example.io/v.f";
  const auto of_kind = [&](std::string_view version) {
    return complaint(
        spec(version, R"([{"name":"a","containerEdits":{"env":["A=b"]}}])", "", kDotted), kDotted);
  };
  EXPECT_THAT(of_kind("0.3.0"), HasSubstr("is 0.6.0 because of kind"));
  EXPECT_EQ(of_kind("0.6.0"), "");
}

TEST(SpecValidator, Kinds) {
  for (const std::string_view kind :
       {"sriovnetwork.openshift.io/vf", "ab/cd", "A.b/c_d", "example.com/v.f"}) {
    EXPECT_TRUE(check_kind(kind).ok()) << kind;
  }
  for (const std::string_view kind :
       {"", "/", "vf", "example.com", "example.com/", "/vf", "a/vf", "example.com/v", "9a/vf",
        "example.com/9f", "example.com-/vf", "example.com/vf/x", "example.com/v=f", "exa mple/vf",
        ".example/vf", "../vf"}) {
    const sdk::Status checked = check_kind(kind);
    ASSERT_FALSE(checked.ok()) << kind;
    EXPECT_EQ(checked.error().message(),
              "\"" + std::string(kind) + "\" is not a CDI kind <vendor>/<class>");
  }
  EXPECT_TRUE(check_kind(std::string(253, 'a') + "/" + std::string(63, 'b')).ok());
  EXPECT_FALSE(check_kind(std::string(254, 'a') + "/vf").ok());
  EXPECT_FALSE(check_kind("example.com/" + std::string(64, 'b')).ok());
}

}  // namespace
}  // namespace drasriov::cdi
