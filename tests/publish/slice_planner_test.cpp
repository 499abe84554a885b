// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/publish/fake_pool.hpp"

namespace drasriov::publish {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// "PUT 0 g2/2", "POST 1 g2/2", "DELETE <name prefix>".
std::vector<std::string> writes_of(const SlicePlan& plan) {
  std::vector<std::string> texts;
  const std::string version =
      " g" + std::to_string(plan.generation) + "/" + std::to_string(plan.slices.size());
  for (const auto& write : plan.writes) {
    switch (write.kind) {
      case SliceWrite::Kind::kCreate:
        texts.push_back("POST " + std::to_string(write.index) + version);
        break;
      case SliceWrite::Kind::kUpdate:
        texts.push_back("PUT " + std::to_string(write.index) + version);
        break;
      case SliceWrite::Kind::kDelete: texts.push_back("DELETE " + write.name.substr(0, 5)); break;
    }
  }
  return texts;
}

/// Plans, compares, applies and checks the end.
class Vectors : public ::testing::Test {
 protected:
  std::vector<std::string> step(const Pool& pool) {
    const SlicePlan plan = plan_slices(pool, server_.observed(), placement_);
    placement_ = plan.placement;
    server_.apply_all(pool, plan);
    EXPECT_EQ(server_.believed(), contents_of(pool));
    EXPECT_THAT(plan_slices(pool, server_.observed(), placement_).writes, IsEmpty());
    EXPECT_THAT(plan_slices(pool, server_.observed(), {}).writes, IsEmpty());
    return writes_of(plan);
  }
  void erase_range(Pool& pool, unsigned from, unsigned to) {
    pool.entries.erase(pool.entries.begin() + from, pool.entries.begin() + to);
  }
  void set_generation(std::int64_t generation) {
    for (const auto& [name, object] : server_.objects()) {
      server_.at(name)["spec"]["pool"]["generation"] = generation;
    }
  }

  FakePool server_;
  Placement placement_;
};

TEST_F(Vectors, FirstPublication) {
  EXPECT_THAT(step(test_pool(1)), ElementsAre("POST 0 g1/1"));
}

TEST_F(Vectors, SameContentWritesNothing) {
  step(test_pool(1));
  EXPECT_THAT(step(test_pool(1)), IsEmpty());
}

TEST_F(Vectors, OtherContentOfTheOnlySliceKeepsTheGeneration) {
  step(test_pool(1));
  Pool pool = test_pool(1);
  pool.entries[0] = test_entry(test_name(0), "b");
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g1/1"));
}

TEST_F(Vectors, SecondSliceRaisesTheGeneration) {
  step(test_pool(64));
  EXPECT_THAT(step(test_pool(65)), ElementsAre("PUT 0 g2/2", "POST 1 g2/2"));
}

TEST_F(Vectors, FromTwoSlicesToOneDeletesFirst) {
  step(test_pool(64));
  step(test_pool(65));
  EXPECT_THAT(step(test_pool(64)), ElementsAre("DELETE 00001", "PUT 0 g2/1"));
}

TEST_F(Vectors, TwoChangedSlicesRaiseTheGeneration) {
  Pool pool = test_pool(128);
  step(pool);
  set_generation(2);
  pool.entries[0] = test_entry(test_name(0), "b");
  pool.entries[127] = test_entry(test_name(127), "b");
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g3/2", "PUT 1 g3/2"));
}

TEST_F(Vectors, AllDeletedStartsWithGenerationOne) {
  step(test_pool(128));
  set_generation(7);
  server_ = FakePool();
  EXPECT_THAT(step(test_pool(128)), ElementsAre("POST 0 g1/2", "POST 1 g1/2"));
}

TEST_F(Vectors, StrayOfAnOlderGenerationIsDeleted) {
  step(test_pool(64));
  set_generation(5);
  json stray = server_.at(server_.name_of_index(0));
  stray["metadata"] = {{"name", "00001-stray"}};
  stray["spec"]["pool"]["generation"] = 4;
  server_.put(stray);
  EXPECT_THAT(step(test_pool(64)), ElementsAre("DELETE 00001"));
}

TEST_F(Vectors, StrayOfAnOlderGenerationDoesNotAttractItsDevices) {
  step(test_pool(3));
  set_generation(5);
  json stray = server_.at(server_.name_of_index(0));
  stray["metadata"] = {{"name", "00001-stray"}};
  stray["spec"]["pool"]["generation"] = 4;
  stray["spec"]["devices"] = json::array({json::parse(test_entry(test_name(3)).json)});
  server_.put(stray);
  placement_.clear();
  EXPECT_THAT(step(test_pool(4)), ElementsAre("DELETE 00001", "PUT 0 g5/1"));
}

TEST_F(Vectors, OtherPoolsAreDeleted) {
  Pool old = test_pool(65);
  old.node = "node-1/old";
  FakePool server;
  server.apply_all(old, plan_slices(old, {}, {}));
  for (const auto& [name, object] : server.objects()) server_.put(object);
  EXPECT_THAT(step(test_pool(0)), ElementsAre("POST 0 g1/1", "DELETE 00000", "DELETE 00001"));
}

struct CountCase {
  unsigned devices;
  std::vector<std::size_t> sizes;
};

class Counts : public ::testing::TestWithParam<CountCase> {};

TEST_P(Counts, SlicesAreFilledInOrder) {
  const Pool pool = test_pool(GetParam().devices);
  FakePool server;
  const SlicePlan plan = plan_slices(pool, {}, {});
  std::vector<std::size_t> sizes;
  for (const auto& slice : plan.slices) {
    EXPECT_EQ(slice.index, sizes.size());
    sizes.push_back(slice.entries.size());
  }
  EXPECT_EQ(sizes, GetParam().sizes);
  EXPECT_EQ(plan.generation, 1);
  EXPECT_EQ(plan.writes.size(), sizes.size());
  server.apply_all(pool, plan);
  EXPECT_EQ(server.believed(), contents_of(pool));
  EXPECT_THAT(plan_slices(pool, server.observed(), {}).writes, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Table, Counts,
                         ::testing::Values(CountCase{0, {0}}, CountCase{1, {1}},
                                           CountCase{63, {63}}, CountCase{64, {64}},
                                           CountCase{65, {64, 1}}, CountCase{130, {64, 64, 2}},
                                           CountCase{2048, std::vector<std::size_t>(32, 64)}),
                         [](const auto& test) { return std::to_string(test.param.devices); });

using Placing = Vectors;

TEST_F(Placing, RemovedDeviceLeavesAGapThatTheNextOneTakes) {
  Pool pool = test_pool(192);
  step(pool);
  erase_range(pool, 10, 11);
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g1/3"));
  pool.entries.push_back(test_entry("zz-last"));
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g1/3"));
  EXPECT_EQ(placement_.at("zz-last"), 0U);
}

TEST_F(Placing, BurstGoesIntoTheFirstSliceWithRoomForAll) {
  Pool pool = test_pool(192);
  step(pool);
  erase_range(pool, 64, 72);  // 8 gaps in slice 1
  erase_range(pool, 0, 3);    // 3 gaps in slice 0
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g2/3", "PUT 1 g2/3", "PUT 2 g2/3"));
  for (char c = 'a'; c < 'h'; ++c) pool.entries.push_back(test_entry(std::string("zz-") + c));
  EXPECT_THAT(step(pool), ElementsAre("PUT 1 g2/3"));
}

TEST_F(Placing, GapsAreFilledBeforeANewSliceIsMade) {
  Pool pool = test_pool(128);
  step(pool);
  erase_range(pool, 100, 102);
  erase_range(pool, 0, 2);
  step(pool);
  for (char c = 'a'; c < 'f'; ++c) pool.entries.push_back(test_entry(std::string("zz-") + c));
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g3/3", "PUT 1 g3/3", "POST 2 g3/3"));
  EXPECT_EQ(placement_.at("zz-b"), 0U);
  EXPECT_EQ(placement_.at("zz-d"), 1U);
  EXPECT_EQ(placement_.at("zz-e"), 2U);
}

TEST_F(Placing, AnEmptiedSliceInTheMiddleGoesAndItsIndexIsUsedAgain) {
  Pool pool = test_pool(192);
  step(pool);
  erase_range(pool, 64, 128);
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g2/2", "PUT 2 g2/2", "DELETE 00001"));
  pool.entries.push_back(test_entry("zz"));
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g3/3", "PUT 2 g3/3", "POST 1 g3/3"));
}

TEST_F(Placing, LastSliceStaysWhenTheLastDeviceGoes) {
  step(test_pool(65));
  EXPECT_THAT(step(test_pool(0)), ElementsAre("DELETE 00001", "PUT 0 g1/1"));
  EXPECT_THAT(step(test_pool(1)), ElementsAre("PUT 0 g1/1"));
}

TEST_F(Placing, ALostSliceIsPutBackWithTheSameContentInOneWrite) {
  Pool pool = test_pool(192);
  step(pool);
  erase_range(pool, 3, 9);  // there would be room in slice 0
  step(pool);
  server_.erase(server_.name_of_index(1));
  EXPECT_THAT(step(pool), ElementsAre("POST 1 g1/3"));
  EXPECT_EQ(placement_.at(test_name(100)), 1U);
}

TEST_F(Placing, TheOrderInASliceIsByNameWhateverTheOrderOfArrival) {
  Pool pool = test_pool(10);
  erase_range(pool, 4, 5);
  step(pool);
  step(test_pool(10));
  const json& devices = server_.at(server_.name_of_index(0))["spec"]["devices"];
  EXPECT_EQ(devices[4]["name"], test_name(4));
}

TEST_F(Placing, RestartInTheMiddleOfATransitionGoesOnWithoutMovingADevice) {
  Pool pool = test_pool(192);
  step(pool);
  const Placement before = placement_;
  erase_range(pool, 130, 131);
  erase_range(pool, 0, 1);
  const SlicePlan plan = plan_slices(pool, server_.observed(), placement_);
  ASSERT_THAT(writes_of(plan), ElementsAre("PUT 0 g2/3", "PUT 1 g2/3", "PUT 2 g2/3"));
  server_.apply(pool, plan, plan.writes[0]);
  placement_.clear();
  EXPECT_THAT(step(pool), ElementsAre("PUT 1 g2/3", "PUT 2 g2/3"));
  for (const auto& [name, index] : placement_) EXPECT_EQ(before.at(name), index) << name;
}

using Foreign = Vectors;

TEST_F(Foreign, EditedDevicesAreRestored) {
  step(test_pool(65));
  server_.at(server_.name_of_index(1))["spec"]["devices"][0]["attributes"]["d/v"]["string"] =
      "edited";
  EXPECT_THAT(step(test_pool(65)), ElementsAre("PUT 1 g1/2"));
}

TEST_F(Foreign, AddedFieldsAreRemoved) {
  step(test_pool(1));
  server_.at(server_.name_of_index(0))["spec"]["allNodes"] = true;
  EXPECT_THAT(step(test_pool(1)), ElementsAre("PUT 0 g1/1"));
  EXPECT_FALSE(server_.at(server_.name_of_index(0))["spec"].contains("allNodes"));
  server_.at(server_.name_of_index(0))["spec"]["devices"][0]["taints"] =
      json::array({{{"key", "a"}}});
  EXPECT_THAT(step(test_pool(1)), ElementsAre("PUT 0 g1/1"));
}

TEST_F(Foreign, ADeviceInTwoSlicesStaysInTheFirst) {
  const Pool pool = test_pool(66);
  step(pool);
  json& first = server_.at(server_.name_of_index(0))["spec"]["devices"];
  server_.at(server_.name_of_index(1))["spec"]["devices"].push_back(first[0]);
  placement_.clear();
  EXPECT_THAT(step(pool), ElementsAre("PUT 1 g1/2"));
}

TEST_F(Foreign, ASliceWithOurIndexIsDeletedAndThePoolIsNeverBelievedInBetween) {
  const Pool pool = test_pool(65);
  step(pool);
  json copy = server_.at(server_.name_of_index(0));
  copy["metadata"] = {{"name", "00000-zz-foreign"}};
  server_.put(copy);
  EXPECT_THAT(step(pool), ElementsAre("DELETE 00000"));
}

TEST_F(Foreign, NamesWithoutIndexAreReplaced) {
  const Pool pool = test_pool(3);
  step(pool);
  json old = server_.at(server_.name_of_index(0));
  server_.erase(server_.name_of_index(0));
  old["metadata"] = {{"name", "node-1-sriovnetwork.openshift.io-x7xkz"}};
  server_.put(old);
  placement_.clear();
  EXPECT_THAT(step(pool), ElementsAre("POST 0 g2/1", "DELETE node-"));
}

TEST_F(Foreign, ASliceOfMoreThan64IsSplitOnce) {
  // A driver that publishes up to 128 devices a slice ran here before.
  Pool pool = test_pool(100);
  json object = slice_object(pool, plan_slices(test_pool(0), {}, {}), {.index = 0}, nullptr);
  for (const auto& entry : pool.entries)
    object["spec"]["devices"].push_back(json::parse(entry.json));
  server_.put(object);
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g2/2", "POST 1 g2/2"));
  EXPECT_EQ(placement_.at(test_name(63)), 0U);
  EXPECT_EQ(placement_.at(test_name(64)), 1U);
}

TEST_F(Foreign, RubbishIsReplaced) {
  server_.put({{"metadata", {{"name", "00000-x"}}},
               {"spec",
                {{"pool", {{"name", kTestNode}, {"generation", 3}, {"resourceSliceCount", 1}}},
                 {"nodeName", kTestNode},
                 {"driver", kTestDriver},
                 {"devices", {1, nullptr, "text"}}}}});
  EXPECT_THAT(step(test_pool(1)), ElementsAre("PUT 0 g3/1"));
  EXPECT_EQ(observe_slice(json("text")).name, "");
  EXPECT_EQ(observe_slice({{"metadata", 1}, {"spec", {{"pool", "x"}}}}).generation, 0);
}

TEST(ObserveAnswer, IsWhatObserveSliceSays) {
  const Pool pool = test_pool(3);
  const SlicePlan plan = plan_slices(pool, {}, {});
  const json sent = slice_object(pool, plan, plan.slices.front(), nullptr);
  json stored = sent;
  stored["metadata"].update(
      {{"name", "00000-x"}, {"uid", "u"}, {"resourceVersion", "7"}, {"labels", {{"a", "b"}}}});
  json pruned = stored;
  pruned["spec"]["devices"][1].erase("attributes");
  for (const json& answer : {stored, pruned, json("text")}) {
    const ObservedSlice quick = observe_answer(answer, sent, plan.slices.front().digest);
    const ObservedSlice full = observe_slice(answer);
    EXPECT_EQ(quick.digest, full.digest);
    EXPECT_EQ(quick.devices, full.devices);
    EXPECT_EQ(quick.name, full.name);
    EXPECT_EQ(quick.resource_version, full.resource_version);
    EXPECT_EQ(quick.generation, full.generation);
    EXPECT_EQ(quick.kept_metadata, full.kept_metadata);
    EXPECT_EQ(full.digest == plan.slices.front().digest, answer == stored);
  }
}

using Owner = Vectors;

TEST_F(Owner, ReplacedNodeCorrectsTheOwnerWithoutNewGeneration) {
  Pool pool = test_pool(65);
  step(pool);
  pool.node_uid = "99999999-2222-4333-8444-555555555555";
  EXPECT_THAT(step(pool), ElementsAre("PUT 0 g1/2", "PUT 1 g1/2"));
  const json owner = {{"apiVersion", "v1"},
                      {"kind", "Node"},
                      {"name", kTestNode},
                      {"uid", "99999999-2222-4333-8444-555555555555"},
                      {"controller", true}};
  EXPECT_EQ(server_.at(server_.name_of_index(0))["metadata"]["ownerReferences"],
            json::array({owner}));
}

TEST_F(Owner, UnknownNodeNeitherWritesNorTakesAnOwnerAway) {
  Pool pool = test_pool(1);
  step(pool);
  pool.node_uid.clear();
  EXPECT_THAT(step(pool), IsEmpty());
  pool.entries[0] = test_entry(test_name(0), "b");
  step(pool);
  EXPECT_EQ(server_.at(server_.name_of_index(0))["metadata"]["ownerReferences"][0]["uid"],
            kTestNodeUid);
  FakePool fresh;
  fresh.apply_all(pool, plan_slices(pool, {}, {}));
  EXPECT_FALSE(fresh.at(fresh.name_of_index(0))["metadata"].contains("ownerReferences"));
}

TEST_F(Owner, LabelsOfOthersSurviveAnUpdate) {
  Pool pool = test_pool(1);
  step(pool);
  server_.at(server_.name_of_index(0))["metadata"]["labels"] = {{"team", "x"}};
  EXPECT_THAT(step(pool), IsEmpty());
  pool.entries[0] = test_entry(test_name(0), "b");
  step(pool);
  EXPECT_EQ(server_.at(server_.name_of_index(0))["metadata"]["labels"]["team"], "x");
}

TEST(SliceObject, Golden) {
  const Pool pool = test_pool(1);
  const SlicePlan plan = plan_slices(pool, {}, {});
  EXPECT_EQ(slice_object(pool, plan, plan.slices[0], nullptr), json::parse(R"({
    "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice",
    "metadata": {"generateName": "00000-sriovnetwork.openshift.io-node-1-",
      "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "controller": true,
                           "uid": "11111111-2222-4333-8444-555555555555"}]},
    "spec": {"driver": "sriovnetwork.openshift.io", "nodeName": "node-1",
      "pool": {"name": "node-1", "generation": 1, "resourceSliceCount": 1},
      "devices": [{"name": "0000-03-00-0", "attributes": {"d/v": {"string": "a"}}}]}})"));
}

TEST(SliceName, IndexIsFirstAndHexadecimal) {
  EXPECT_EQ(slice_name_prefix(0, "d.example", "n"), "00000-d.example-n-");
  EXPECT_EQ(slice_name_prefix(17, "d.example", "n"), "00011-d.example-n-");
  EXPECT_EQ(slice_name_prefix(0x123456, "d.example", "n"), "123456-d.example-n-");
}

}  // namespace
}  // namespace drasriov::publish
