// SPDX-License-Identifier: Apache-2.0
#include "host/publish/slice_planner.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "host/base/encoding.hpp"

namespace drasriov::publish {
namespace {

using Json = nlohmann::json;

/// "00011-…" → 17. Five digits, more only where five do not suffice: another spelling is not ours.
std::optional<std::uint32_t> index_of(std::string_view name) {
  const auto dash = name.find('-');
  if (dash == std::string_view::npos || dash < 5 || dash > 8) return std::nullopt;
  const std::string_view digits = name.substr(0, dash);
  if (digits.size() > 5 && digits.front() == '0') return std::nullopt;
  if (!std::ranges::all_of(
          digits, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); })) {
    return std::nullopt;
  }
  std::uint32_t index = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), index, 16);
  return index;
}

/// The existing slices, sorted out.
struct Sorted {
  std::map<std::uint32_t, const ObservedSlice*> kept;  // by index, to be updated in place
  std::vector<std::pair<const ObservedSlice*, const char*>> obsolete;  // with the reason
  std::int64_t generation = 0;  // the highest; 0 = none exists
};

/// Keeps `slice` under its index, unless one is there already.
void keep(Sorted& sorted, const ObservedSlice& slice) {
  const auto index = index_of(slice.name);
  if (!index) {
    sorted.obsolete.emplace_back(&slice, "its name has no index");
  } else if (!sorted.kept.emplace(*index, &slice).second) {
    sorted.obsolete.emplace_back(&slice, "its index is used twice");
  }
}

Sorted sort_out(const Pool& pool, std::span<const ObservedSlice> observed) {
  Sorted result;
  std::vector<const ObservedSlice*> ours;
  for (const auto& slice : observed) {
    if (slice.pool == pool.node && slice.node == pool.node) {
      ours.push_back(&slice);
    } else {
      result.obsolete.emplace_back(&slice, "of another pool or node");
    }
  }
  // Newest generation first; in name order, so that the outcome does not depend on how they were
  // listed.
  std::ranges::sort(ours, [](const ObservedSlice* a, const ObservedSlice* b) {
    return std::tie(b->generation, a->name) < std::tie(a->generation, b->name);
  });
  if (ours.empty()) return result;
  result.generation = ours.front()->generation;
  const auto older = std::ranges::find_if(
      ours, [&](const ObservedSlice* slice) { return slice->generation < result.generation; });
  const std::span current(ours.begin(), older);
  for (const ObservedSlice* slice : current) keep(result, *slice);

  // A complete pool has done with older slices. An incomplete one is most likely ours, stopped on
  // the way to a new generation: what was not reached yet is taken along where it is.
  const bool complete = std::ranges::all_of(current, [&](const ObservedSlice* slice) {
    return slice->slice_count == static_cast<std::int64_t>(current.size());
  });
  for (const ObservedSlice* slice : std::span(older, ours.end())) {
    if (complete) {
      result.obsolete.emplace_back(slice, "of an older generation");
    } else {
      keep(result, *slice);
    }
  }
  return result;
}

/// Slice index → indexes into Pool::entries, ascending.
using Contents = std::map<std::uint32_t, std::vector<std::uint32_t>>;

bool has_room(const std::vector<std::uint32_t>& slice, std::size_t devices = 1) {
  return slice.size() + devices <= kDevicesPerSlice;
}

void place_new(Contents& contents, std::span<const std::uint32_t> entries) {
  if (entries.empty()) return;
  const auto whole = std::ranges::find_if(
      contents, [&](const auto& slice) { return has_room(slice.second, entries.size()); });
  if (whole != contents.end()) {
    whole->second.insert(whole->second.end(), entries.begin(), entries.end());
    return;
  }
  auto slice = contents.begin();
  std::uint32_t free_index = 0;
  for (const std::uint32_t entry : entries) {
    while (slice != contents.end() && !has_room(slice->second)) ++slice;
    if (slice == contents.end()) {
      while (contents.contains(free_index)) ++free_index;
      slice = contents.emplace(free_index, std::vector<std::uint32_t>()).first;
      // A new slice may lie before full ones: the next search for room starts at it and passes over
      // them.
    }
    slice->second.push_back(entry);
  }
}

Contents place(const Pool& pool, const Sorted& existing, const Placement& remembered) {
  std::map<std::string_view, std::uint32_t> observed;  // the lowest index wins
  Contents contents;
  for (const auto& [index, slice] : existing.kept) {
    contents[index];
    for (const auto& name : slice->devices) observed.emplace(name, index);
  }
  std::vector<std::uint32_t> unplaced;
  for (std::uint32_t i = 0; i < pool.entries.size(); ++i) {
    const std::string& name = pool.entries[i].name;
    std::optional<std::uint32_t> index;
    if (const auto it = remembered.find(name); it != remembered.end()) {
      index = it->second;
    } else if (const auto seen = observed.find(name); seen != observed.end()) {
      index = seen->second;
    }
    if (index && has_room(contents[*index])) {
      contents[*index].push_back(i);
    } else {
      unplaced.push_back(i);
    }
  }
  place_new(contents, unplaced);

  for (auto& [index, entries] : contents) std::ranges::sort(entries);
  const auto none = [](const auto& slice) { return slice.second.empty(); };
  if (std::ranges::all_of(contents, none)) {
    const std::uint32_t index = contents.empty() ? 0 : contents.begin()->first;
    return {{index, {}}};
  }
  std::erase_if(contents, none);
  return contents;
}

/// Equal for equal content: the devices' JSON in order, then whatever else a slice should not have.
std::string content_digest(std::string_view devices, const std::string& rest) {
  std::string text(devices);
  text.append(rest);
  return sha256_hex(text);
}

std::string digest_of(const Pool& pool, const std::vector<std::uint32_t>& entries) {
  std::string text;
  for (const std::uint32_t i : entries) text.append(pool.entries[i].json).append(1, '\n');
  return content_digest(text, {});
}

/// What is different about an existing slice.
struct Difference {
  bool content = false;
  bool count = false;
  bool owner = false;
};

Difference difference(const Pool& pool, const PlannedSlice& wanted, const ObservedSlice& existing,
                      std::size_t slice_count) {
  return {.content = wanted.digest != existing.digest,
          .count = existing.slice_count != static_cast<std::int64_t>(slice_count),
          .owner = !pool.node_uid.empty() && existing.owner_uid != pool.node_uid};
}

SliceWrite delete_of(const ObservedSlice& slice, std::string reason) {
  return {SliceWrite::Kind::kDelete, 0, slice.name, slice.uid, slice.resource_version,
          std::move(reason)};
}

/// Reads a member of any JSON value as T, else `otherwise`.
template <typename T>
T value_at(const Json& object, const char* key, T otherwise) {
  if (!object.is_object()) return otherwise;
  const auto it = object.find(key);
  if (it == object.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return it->is_string() ? it->get<std::string>() : otherwise;
  } else {
    return it->is_number_integer() ? it->get<T>() : otherwise;
  }
}

const Json& child(const Json& object, const char* key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto it = object.find(key);
  return it == object.end() ? kNone : *it;
}

/// All but devices and digest.
ObservedSlice observe_frame(const Json& object) {
  const Json& metadata = child(object, "metadata");
  const Json& spec = child(object, "spec");
  const Json& pool = child(spec, "pool");
  ObservedSlice slice;
  slice.name = value_at(metadata, "name", std::string());
  slice.uid = value_at(metadata, "uid", std::string());
  slice.resource_version = value_at(metadata, "resourceVersion", std::string());
  slice.pool = value_at(pool, "name", std::string());
  slice.node = value_at(spec, "nodeName", std::string());
  slice.generation = value_at(pool, "generation", std::int64_t{0});
  slice.slice_count = value_at(pool, "resourceSliceCount", std::int64_t{0});

  const Json& owners = child(metadata, "ownerReferences");
  if (owners.is_array() && owners.size() == 1 &&
      value_at(owners[0], "kind", std::string()) == "Node" &&
      value_at(owners[0], "name", std::string()) == slice.node) {
    slice.owner_uid = value_at(owners[0], "uid", std::string());
  }

  Json kept = Json::object();
  for (const char* key : {"labels", "annotations"}) {
    if (const Json& value = child(metadata, key); value.is_object() && !value.empty())
      kept[key] = value;
  }
  if (!kept.empty()) slice.kept_metadata = kept.dump();
  return slice;
}

}  // namespace

ObservedSlice observe_slice(const Json& object) {
  const Json& spec = child(object, "spec");
  ObservedSlice slice = observe_frame(object);
  std::string devices;
  Json rest = Json::object();
  if (spec.is_object()) {
    for (const auto& [key, value] : spec.items()) {
      if (key != "driver" && key != "nodeName" && key != "pool" && key != "devices")
        rest[key] = value;
    }
  }
  if (const Json& list = child(spec, "devices"); list.is_array()) {
    for (const auto& device : list) {
      slice.devices.push_back(value_at(device, "name", std::string()));
      devices.append(device.dump(-1, ' ', false, Json::error_handler_t::replace)).append(1, '\n');
    }
  }
  slice.digest = content_digest(
      devices, rest.empty() ? "" : rest.dump(-1, ' ', false, Json::error_handler_t::replace));
  return slice;
}

ObservedSlice observe_answer(const Json& object, const Json& sent, const std::string& digest) {
  const Json& spec = child(object, "spec");
  if (spec.is_null() || spec != child(sent, "spec")) return observe_slice(object);
  ObservedSlice slice = observe_frame(object);
  for (const Json& device : child(spec, "devices"))
    slice.devices.push_back(value_at(device, "name", std::string()));
  slice.digest = digest;
  return slice;
}

SlicePlan plan_slices(const Pool& pool, std::span<const ObservedSlice> observed,
                      const Placement& remembered) {
  assert(std::ranges::adjacent_find(pool.entries, std::ranges::greater_equal(),
                                    &SliceEntry::name) == pool.entries.end());
  Sorted existing = sort_out(pool, observed);
  SlicePlan plan;
  for (auto& [index, entries] : place(pool, existing, remembered)) {
    for (const std::uint32_t i : entries) plan.placement.emplace(pool.entries[i].name, index);
    std::string digest = digest_of(pool, entries);
    plan.slices.push_back({index, std::move(entries), std::move(digest)});
  }

  // What differs, slice by slice.
  struct Match {
    const ObservedSlice* slice = nullptr;
    Difference found;
  };
  std::vector<Match> matches(plan.slices.size());
  std::size_t missing = 0;  // of the highest generation
  std::size_t changed = 0;  // of it too
  bool counts_differ = false;
  for (std::size_t i = 0; i < plan.slices.size(); ++i) {
    const auto it = existing.kept.find(plan.slices[i].index);
    if (it == existing.kept.end()) {
      ++missing;
      continue;
    }
    const Difference found = difference(pool, plan.slices[i], *it->second, plan.slices.size());
    matches[i] = {it->second, found};
    if (it->second->generation < existing.generation) {
      ++missing;
    } else {
      changed += found.content || found.count ? 1 : 0;
      counts_differ = counts_differ || found.count;
    }
    existing.kept.erase(it);
  }
  for (const auto& [index, slice] : existing.kept) {
    existing.obsolete.emplace_back(slice, "it has no devices any more");
  }
  const bool deletes_current = std::ranges::any_of(existing.obsolete, [&](const auto& entry) {
    return entry.first->pool == pool.node && entry.first->generation == existing.generation;
  });

  // Whether readers can be led from old to new within this generation. What is deleted goes first
  // then: the pool has too many slices until the last of them is gone, so readers see the one
  // content or the other. With slices missing, the pool is incomplete until the last one is there,
  // if the others carry the right count already.
  const bool within = missing > 0 ? !counts_differ && !deletes_current : changed <= 1;
  const bool raise = existing.generation == 0 || !within;
  plan.generation = existing.generation + (raise ? 1 : 0);

  const auto add_deletes = [&] {
    for (const auto& [slice, reason] : existing.obsolete)
      plan.writes.push_back(delete_of(*slice, reason));
  };
  const auto add_update = [&](std::uint32_t index, const ObservedSlice& slice, const char* reason) {
    plan.writes.push_back(
        {SliceWrite::Kind::kUpdate, index, slice.name, slice.uid, slice.resource_version, reason});
  };
  if (!raise) add_deletes();
  for (std::size_t i = 0; i < plan.slices.size(); ++i) {
    if (matches[i].slice == nullptr) continue;
    const auto& [slice, found] = matches[i];
    if (found.content) {
      add_update(plan.slices[i].index, *slice, "its devices changed");
    } else if (found.count) {
      add_update(plan.slices[i].index, *slice, "the number of slices changed");
    } else if (slice->generation != plan.generation) {
      add_update(plan.slices[i].index, *slice, "the generation changed");
    } else if (found.owner) {
      add_update(plan.slices[i].index, *slice, "its owner is not the Node object of today");
    }
  }
  for (std::size_t i = 0; i < plan.slices.size(); ++i) {
    if (matches[i].slice != nullptr) continue;
    plan.writes.push_back(
        {SliceWrite::Kind::kCreate, plan.slices[i].index, {}, {}, {}, "it does not exist"});
  }
  if (raise) add_deletes();
  return plan;
}

Json slice_object(const Pool& pool, const SlicePlan& plan, const PlannedSlice& slice,
                  const ObservedSlice* existing) {
  Json metadata = Json::object();
  if (existing == nullptr) {
    metadata["generateName"] = slice_name_prefix(slice.index, pool.driver, pool.node);
  } else {
    if (!existing->kept_metadata.empty()) metadata = Json::parse(existing->kept_metadata);
    metadata["name"] = existing->name;
    metadata["uid"] = existing->uid;
    metadata["resourceVersion"] = existing->resource_version;
  }
  // Without the Node's UID an update must not take the owner away.
  const std::string& owner =
      !pool.node_uid.empty() || existing == nullptr ? pool.node_uid : existing->owner_uid;
  if (!owner.empty()) {
    metadata["ownerReferences"] = Json::array({{{"apiVersion", "v1"},
                                                {"kind", "Node"},
                                                {"name", pool.node},
                                                {"uid", owner},
                                                {"controller", true}}});
  }
  Json devices = Json::array();
  for (const std::uint32_t i : slice.entries) devices.push_back(Json::parse(pool.entries[i].json));
  return {{"apiVersion", "resource.k8s.io/v1"},
          {"kind", "ResourceSlice"},
          {"metadata", std::move(metadata)},
          {"spec",
           {{"driver", pool.driver},
            {"nodeName", pool.node},
            {"pool",
             {{"name", pool.node},
              {"generation", plan.generation},
              {"resourceSliceCount", plan.slices.size()}}},
            {"devices", std::move(devices)}}}};
}

std::string slice_name_prefix(std::uint32_t index, std::string_view driver, std::string_view node) {
  std::array<char, 16> digits{};
  const int size = std::snprintf(digits.data(), digits.size(), "%05x", index);
  std::string name(digits.data(), static_cast<std::size_t>(size));
  name.append("-").append(driver).append("-").append(node).append("-");
  return name;
}

}  // namespace drasriov::publish
