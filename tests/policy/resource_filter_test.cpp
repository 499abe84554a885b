// SPDX-License-Identifier: Apache-2.0
#include "host/policy/resource_filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::policy {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kDriver = "sriovnetwork.openshift.io";

json object_with_spec(const char* spec) {
  return {{"apiVersion", "sriovnetwork.openshift.io/v1alpha1"},
          {"kind", "SriovResourceFilter"},
          {"metadata",
           {{"namespace", "ns"},
            {"name", "f"},
            {"uid", "u-1"},
            {"creationTimestamp", "2026-01-02T15:04:05Z"}}},
          {"spec", json::parse(spec)}};
}

TEST(DecodeResourceFilter, WholeObject) {
  const auto filter = decode_resource_filter(object_with_spec(R"({
    "nodeSelector": {"kubernetes.io/hostname": "n1"},
    "configs": [
      {"resourceName": "eth0_resource", "resourceFilters": [
        {"vendors": ["8086"], "devices": ["10ed"], "pciAddresses": ["0000:08:00.2"], "pfNames": ["eth0"],
         "rootDevices": ["0000:00:01.0"], "numaNodes": ["0", "-1"], "drivers": ["vfio-pci"]},
        {"pfNames": null}]},
      {"resourceName": "rest"}]})"),
                                             kDriver);
  ASSERT_TRUE(filter.ok()) << filter.error().to_string();
  EXPECT_EQ(filter->to_string(), "ns/f");
  EXPECT_EQ(filter->uid, "u-1");
  EXPECT_EQ(filter->created, 1767366245);
  EXPECT_EQ(filter->node_selector, (Labels{{"kubernetes.io/hostname", "n1"}}));
  ASSERT_EQ(filter->configs.size(), 2U);
  const FilterConfig& config = filter->configs[0];
  EXPECT_EQ(config.resource_name, "eth0_resource");
  ASSERT_EQ(config.filters.size(), 2U);
  EXPECT_THAT(config.filters[0].list(Criterion::kVendors), ElementsAre("8086"));
  EXPECT_THAT(config.filters[0].list(Criterion::kDevices), ElementsAre("10ed"));
  EXPECT_THAT(config.filters[0].list(Criterion::kPciAddresses), ElementsAre("0000:08:00.2"));
  EXPECT_THAT(config.filters[0].list(Criterion::kPfNames), ElementsAre("eth0"));
  EXPECT_THAT(config.filters[0].list(Criterion::kRootDevices), ElementsAre("0000:00:01.0"));
  EXPECT_THAT(config.filters[0].list(Criterion::kNumaNodes), ElementsAre("0", "-1"));
  EXPECT_THAT(config.filters[0].list(Criterion::kDrivers), ElementsAre("vfio-pci"));
  EXPECT_EQ(config.filters[1], DeviceFilter());
  EXPECT_THAT(filter->configs[1].filters, IsEmpty());
}

TEST(DecodeResourceFilter, MissingAndNullPartsAreEmpty) {
  json object = object_with_spec("{}");
  object.erase("spec");
  object["metadata"]["creationTimestamp"] = nullptr;
  object["status"] = {{"whatever", 1}};
  const auto filter = decode_resource_filter(object, kDriver);
  ASSERT_TRUE(filter.ok()) << filter.error().to_string();
  EXPECT_THAT(filter->configs, IsEmpty());
  EXPECT_EQ(filter->created, std::nullopt);

  const auto nulls = decode_resource_filter(
      object_with_spec(R"({"nodeSelector": null, "configs": null})"), kDriver);
  EXPECT_TRUE(nulls.ok());
}

TEST(DecodeResourceFilter, GroupFollowsTheDriverName) {
  json object = object_with_spec("{}");
  object["apiVersion"] = "net.example.com/v1alpha1";
  EXPECT_TRUE(decode_resource_filter(object, "net.example.com").ok());
  EXPECT_FALSE(decode_resource_filter(object, kDriver).ok());
}

struct BadCase {
  const char* name;
  const char* spec;
  const char* message;
};

class DecodeBadSpec : public ::testing::TestWithParam<BadCase> {};

TEST_P(DecodeBadSpec, NamesObjectAndPath) {
  const auto filter = decode_resource_filter(object_with_spec(GetParam().spec), kDriver);
  ASSERT_FALSE(filter.ok());
  EXPECT_EQ(filter.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(filter.error().to_string(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Table, DecodeBadSpec,
    ::testing::Values(
        BadCase{"UnknownSpecKey", R"({"config": []})",
                "SriovResourceFilter ns/f: spec.config: unknown key — hint: known keys: "
                "nodeSelector, configs"},
        BadCase{"UnknownConfigKey", R"({"configs": [{"resourceName": "a", "filters": []}]})",
                "SriovResourceFilter ns/f: spec.configs[0].filters: unknown key — hint: known "
                "keys: resourceName, "
                "resourceFilters"},
        BadCase{"UnknownFilterKey",
                R"({"configs": [{"resourceName": "a", "resourceFilters": [{}, {"pfName": []}]}]})",
                "SriovResourceFilter ns/f: spec.configs[0].resourceFilters[1].pfName: unknown key "
                "— hint: known keys: "
                "vendors, devices, pciAddresses, pfNames, rootDevices, numaNodes, drivers"},
        BadCase{
            "NumberForString",
            R"({"configs": [{"resourceName": "a", "resourceFilters": [{"numaNodes": ["1", 0]}]}]})",
            "SriovResourceFilter ns/f: spec.configs[0].resourceFilters[0].numaNodes[1]: a string "
            "is expected, not "
            "a number — hint: write it in quotes: \"0\""},
        BadCase{"StringForList",
                R"({"configs": [{"resourceName": "a", "resourceFilters": [{"vendors": "8086"}]}]})",
                "SriovResourceFilter ns/f: spec.configs[0].resourceFilters[0].vendors: a list is "
                "expected, not a string"},
        BadCase{"ObjectForFilters",
                R"({"configs": [{"resourceName": "a", "resourceFilters": {}}]})",
                "SriovResourceFilter ns/f: spec.configs[0].resourceFilters: a list is expected, "
                "not an object"},
        BadCase{"ListForFilter", R"({"configs": [{"resourceName": "a", "resourceFilters": [[]]}]})",
                "SriovResourceFilter ns/f: spec.configs[0].resourceFilters[0]: an object is "
                "expected, not a list"},
        BadCase{"StringForConfig", R"({"configs": ["x"]})",
                "SriovResourceFilter ns/f: spec.configs[0]: an object is expected, not a string"},
        BadCase{"ObjectForConfigs", R"({"configs": {}})",
                "SriovResourceFilter ns/f: spec.configs: a list is expected, not an object"},
        BadCase{"SpecIsAList", R"([])",
                "SriovResourceFilter ns/f: spec: an object is expected, not a list"},
        BadCase{"NoResourceName", R"({"configs": [{"resourceFilters": []}]})",
                "SriovResourceFilter ns/f: spec.configs[0].resourceName: missing — hint: name the "
                "resource that the "
                "matching devices belong to"},
        BadCase{"EmptyResourceName", R"({"configs": [{"resourceName": ""}]})",
                "SriovResourceFilter ns/f: spec.configs[0].resourceName: empty"},
        BadCase{
            "LongResourceName",
            R"({"configs": [{"resourceName": "12345678901234567890123456789012345678901234567890123456789012345"}]})",
            "SriovResourceFilter ns/f: spec.configs[0].resourceName: 65 bytes, a device attribute "
            "holds 64"},
        BadCase{"BooleanLabel", R"({"nodeSelector": {"a/b": true}})",
                "SriovResourceFilter ns/f: spec.nodeSelector[\"a/b\"]: a string is expected, not a "
                "boolean — hint: "
                "write it in quotes: \"true\""},
        BadCase{"SelectorList", R"({"nodeSelector": []})",
                "SriovResourceFilter ns/f: spec.nodeSelector: an object is expected, not a list"}),
    [](const auto& test) { return test.param.name; });

TEST(DecodeResourceFilter, LongestResourceNameIsAccepted) {
  const json config = {{"resourceName", std::string(64, 'x')}};
  EXPECT_TRUE(decode_resource_filter(object_with_spec(json({{"configs", {config}}}).dump().c_str()),
                                     kDriver)
                  .ok());
}

TEST(DecodeResourceFilter, BadFrame) {
  const auto message = [](auto change) {
    json object = object_with_spec("{}");
    change(object);
    const auto filter = decode_resource_filter(object, kDriver);
    return filter.ok() ? std::string() : filter.error().to_string();
  };
  EXPECT_EQ(message([](json& o) { o["data"] = 1; }),
            "SriovResourceFilter ns/f: data: unknown key — hint: known keys: apiVersion, kind, "
            "metadata, spec, status");
  EXPECT_EQ(message([](json& o) { o["apiVersion"] = "sriovnetwork.openshift.io/v1"; }),
            "SriovResourceFilter ns/f: apiVersion: \"sriovnetwork.openshift.io/v1\" is not "
            "\"sriovnetwork.openshift.io/v1alpha1\"");
  EXPECT_EQ(message([](json& o) { o.erase("kind"); }),
            "SriovResourceFilter ns/f: kind: missing is not \"SriovResourceFilter\"");
  EXPECT_EQ(message([](json& o) { o["metadata"]["creationTimestamp"] = "2026-13-02T15:04:05Z"; }),
            "SriovResourceFilter ns/f: metadata.creationTimestamp: \"2026-13-02T15:04:05Z\" is no "
            "time — hint: write "
            "it as 2026-01-02T15:04:05Z, or leave it out");
  EXPECT_EQ(message([](json& o) { o["metadata"] = 1; }),
            "SriovResourceFilter: metadata: an object is expected, not a number");
  EXPECT_EQ(message([](json& o) { o["metadata"]["name"] = 1; }),
            "SriovResourceFilter: metadata.name: a string is expected, not a number — hint: write "
            "it in quotes: \"1\"");
  EXPECT_EQ(message([](json& o) { o = json::array(); }),
            "SriovResourceFilter: an object is expected, not a list");
}

ResourceFilter filter(std::string ns, std::string name, std::optional<std::int64_t> created,
                      Labels selector = {}) {
  return {.namespace_ = std::move(ns),
          .name = std::move(name),
          .created = created,
          .node_selector = std::move(selector)};
}

TEST(FiltersOfNode, OlderFirstThenNamespaceAndName) {
  const auto result = filters_of_node(
      {filter("b", "a", 5), filter("a", "z", 9), filter("a", "unknown", std::nullopt),
       filter("a", "b", 5), filter("a", "a", 5)},
      {});
  std::vector<std::string> order;
  for (const auto& object : result.applied) order.push_back(object.to_string());
  EXPECT_THAT(order, ElementsAre("a/a", "a/b", "b/a", "a/z", "a/unknown"));
}

TEST(FiltersOfNode, AllLabelsMustMatch) {
  const Labels labels = {{"role", "sriov"}, {"zone", "a"}};
  const auto result = filters_of_node(
      {filter("n", "every", 1), filter("n", "both", 2, {{"role", "sriov"}, {"zone", "a"}}),
       filter("n", "other", 3, {{"role", "sriov"}, {"zone", "b"}}),
       filter("n", "absent", 4, {{"disk", "ssd"}})},
      labels);
  ASSERT_EQ(result.applied.size(), 2U);
  EXPECT_EQ(result.applied[0].name, "every");
  EXPECT_EQ(result.applied[1].name, "both");
  EXPECT_THAT(
      result.unselected,
      ElementsAre(NodeFilters::LeftOut{"n/other", "nodeSelector wants zone=b, the node has zone=a"},
                  NodeFilters::LeftOut{"n/absent",
                                       "nodeSelector wants disk=ssd, the node has no such label"}));
}

}  // namespace
}  // namespace drasriov::policy
