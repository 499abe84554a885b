// SPDX-License-Identifier: Apache-2.0
#include "tests/publish/fake_pool.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace drasriov::publish {

using nlohmann::json;

SliceEntry test_entry(const std::string& name, const std::string& value) {
  return {name, json{{"name", name}, {"attributes", {{"d/v", {{"string", value}}}}}}.dump()};
}

std::string test_name(unsigned number) {
  char text[32];
  std::snprintf(text, sizeof text, "%04x-%02x-%02x-%x", 0U, 3 + number / 256, number / 8 % 32,
                number % 8);
  return text;
}

Pool test_pool(unsigned count) {
  Pool pool{.driver = kTestDriver, .node = kTestNode, .node_uid = kTestNodeUid};
  for (unsigned i = 0; i < count; ++i) pool.entries.push_back(test_entry(test_name(i)));
  return pool;
}

std::vector<ObservedSlice> FakePool::observed() const {
  std::vector<ObservedSlice> slices;
  for (const auto& [name, object] : objects_) slices.push_back(observe_slice(object));
  return slices;
}

std::string FakePool::put(json object) {
  json& metadata = object["metadata"];
  if (!metadata.contains("name")) {
    std::string base = metadata.at("generateName");
    if (base.size() > 58) base.resize(58);
    char suffix[8];
    std::snprintf(suffix, sizeof suffix, "%05llu", static_cast<unsigned long long>(next_ % 100000));
    metadata["name"] = base + suffix;
  }
  metadata["uid"] = "uid-" + std::to_string(next_);
  metadata["resourceVersion"] = std::to_string(next_);
  ++next_;
  const std::string name = metadata["name"];
  objects_[name] = std::move(object);
  return name;
}

void FakePool::erase(const std::string& name) {
  if (objects_.erase(name) != 1) throw std::logic_error("no slice " + name);
}

std::string FakePool::name_of_index(std::uint32_t index) const {
  const std::string prefix = slice_name_prefix(index, kTestDriver, kTestNode);
  for (const auto& [name, object] : objects_) {
    if (name.starts_with(prefix.substr(0, 6))) return name;
  }
  throw std::logic_error("no slice of index " + std::to_string(index));
}

void FakePool::apply(const Pool& pool, const SlicePlan& plan, const SliceWrite& write) {
  const auto existing = observed();
  const auto current = std::ranges::find(existing, write.name, &ObservedSlice::name);
  if (write.kind != SliceWrite::Kind::kCreate) {
    if (current == existing.end())
      throw std::logic_error("write to a slice that is not there: " + write.name);
    if (current->uid != write.uid || current->resource_version != write.resource_version) {
      throw std::logic_error("precondition of " + write.name);
    }
  }
  if (write.kind == SliceWrite::Kind::kDelete) {
    erase(write.name);
    return;
  }
  const auto planned = std::ranges::find(plan.slices, write.index, &PlannedSlice::index);
  if (planned == plan.slices.end()) throw std::logic_error("write of a slice that is not planned");
  const bool create = write.kind == SliceWrite::Kind::kCreate;
  json object = slice_object(pool, plan, *planned, create ? nullptr : &*current);
  if (object["spec"]["devices"].size() > kDevicesPerSlice)
    throw std::logic_error("too many devices");
  if (create) {
    put(std::move(object));
    return;
  }
  for (const char* immutable : {"driver", "nodeName"}) {
    if (object["spec"][immutable] != objects_.at(write.name)["spec"][immutable])
      throw std::logic_error(immutable);
  }
  object["metadata"]["resourceVersion"] = std::to_string(next_++);
  objects_.at(write.name) = std::move(object);
}

void FakePool::apply_all(const Pool& pool, const SlicePlan& plan) {
  for (const auto& write : plan.writes) apply(pool, plan, write);
}

std::optional<std::map<std::string, std::string>> FakePool::believed() const {
  std::int64_t generation = -1;
  for (const auto& [name, object] : objects_) {
    if (object["spec"]["pool"]["name"] != kTestNode) continue;
    generation = std::max(generation, object["spec"]["pool"]["generation"].get<std::int64_t>());
  }
  std::vector<const json*> slices;
  for (const auto& [name, object] : objects_) {
    const json& pool = object["spec"]["pool"];
    if (pool["name"] == kTestNode && pool["generation"] == generation) slices.push_back(&object);
  }
  // A reader may take the count from any of them.
  std::size_t complete = 0;
  for (const json* slice : slices) {
    if ((*slice)["spec"]["pool"]["resourceSliceCount"] == slices.size()) ++complete;
  }
  if (complete == 0) return std::nullopt;
  if (complete != slices.size())
    throw std::logic_error("slices of one generation disagree about their number");
  std::map<std::string, std::string> devices;
  for (const json* slice : slices) {
    for (const auto& device : (*slice)["spec"]["devices"]) {
      if (!devices.emplace(device["name"], device.dump()).second) {
        throw std::logic_error("device twice: " + device["name"].get<std::string>());
      }
    }
  }
  return devices;
}

std::map<std::string, std::string> contents_of(const Pool& pool) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : pool.entries) contents.emplace(entry.name, entry.json);
  return contents;
}

}  // namespace drasriov::publish
