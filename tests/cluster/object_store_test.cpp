// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_store.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::cluster {
namespace {

const std::string kType = "v1/Node";

StoreKey key(const std::string& name) {
  return {kType, {"", name}};
}

Json node(const std::string& name, const std::string& node_name) {
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", {{"name", name}}},
          {"spec", {{"nodeName", node_name}}}};
}

std::vector<ObjectStore::Change> changes_after(const ObjectStore& store, std::uint64_t version,
                                               const std::string& type, const Selector& selector) {
  std::vector<ObjectStore::Change> changes;
  while (auto change = store.next_change(version, type, selector))
    changes.push_back(*std::move(change));
  EXPECT_EQ(version, store.version());
  return changes;
}

std::vector<WatchEventType> types(const std::vector<ObjectStore::Change>& changes) {
  std::vector<WatchEventType> found;
  for (const auto& change : changes) found.push_back(change.type);
  return found;
}

TEST(ObjectStore, KeysAreOfApiObjectsOnly) {
  EXPECT_EQ(key("a"), key_of(node("a", "")));
  EXPECT_FALSE(key_of(Json::array()));
  EXPECT_FALSE(key_of({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", 1}}}}));
}

TEST(ObjectStore, APutThatChangesNothingMakesNoVersion) {
  ObjectStore store;
  const Json first = store.put(key("a"), node("a", "n1"));
  EXPECT_EQ("1", first["metadata"]["resourceVersion"]);
  EXPECT_EQ(first, store.put(key("a"), node("a", "n1")));
  EXPECT_EQ(1U, store.version());
  EXPECT_EQ("2", store.put(key("a"), node("a", "n2"))["metadata"]["resourceVersion"]);
}

TEST(ObjectStore, AWatchSeesObjectsEnterAndLeaveItsSelector) {
  ObjectStore store;
  const Selector mine{"", {{"spec.nodeName", "n1"}}};
  store.put(key("a"), node("a", "n2"));
  store.put(key("a"), node("a", "n1"));
  store.put(key("b"), node("b", "n1"));
  Json changed = node("b", "n1");
  changed["x"] = 1;
  store.put(key("b"), changed);
  store.put(key("a"), node("a", "n2"));
  store.erase(key("b"));
  using enum WatchEventType;
  EXPECT_EQ((std::vector{kAdded, kAdded, kModified, kDeleted, kDeleted}),
            types(changes_after(store, 0, kType, mine)));
  EXPECT_EQ((std::vector{kDeleted, kDeleted}), types(changes_after(store, 4, kType, mine)));
  EXPECT_EQ("6", changes_after(store, 5, kType, mine)[0].object["metadata"]["resourceVersion"])
      << "a deleted object carries the version of its deletion";
  EXPECT_TRUE(changes_after(store, 0, "v1/Pod", mine).empty());
}

TEST(ObjectStore, ForgetsTheOldestChanges) {
  ObjectStore store({.changes = 3});
  for (const char* name : {"a", "b", "c"}) store.put(key(name), node(name, "n1"));
  EXPECT_EQ(0U, store.oldest());
  store.put(key("d"), node("d", "n1"));
  EXPECT_EQ(1U, store.oldest());
  EXPECT_EQ(3U, changes_after(store, 1, kType, {}).size());
  EXPECT_EQ(4U, store.list(kType, {}).size());
}

TEST(ObjectStore, ForgetsWhatIsTooMuchToKeep) {
  ObjectStore store({.changes = 100, .bytes = 2500});
  Json object = node("a", "n1");
  for (int i = 0; i < 10; ++i) {
    object["text"] = std::string(1000, static_cast<char>('a' + i));
    store.put(key("a"), object);
  }
  // The newest two overwritten ones fit.
  EXPECT_EQ(8U, store.oldest());
  EXPECT_EQ(2U, changes_after(store, 8, kType, {}).size());
  EXPECT_EQ(std::string(1000, 'j'), (*store.find(key("a")))["text"]);
}

}  // namespace
}  // namespace drasriov::cluster
