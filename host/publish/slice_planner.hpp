// SPDX-License-Identifier: Apache-2.0
//
// Slice planner: from the devices to publish and the slices that exist to the writes that lead from
// the one to the other. Pure functions of values: no clock, no I/O, no memory but what is handed
// in. Any thread.
//
// A pool is published as several ResourceSlices. Readers (the scheduler) take the slices of the
// pool's highest `generation` and believe them when their number equals the `resourceSliceCount`
// that they carry. There is no transaction over several objects, so the planner must order its
// writes such that no reader ever believes a mixture:
//
//   * One write suffices (the content of one slice changed, or one lost slice is put back): it is
//   atomic by itself, the
//     generation stays.
//   * Otherwise the generation is raised and written into all slices. The first such write makes
//   the old ones obsolete;
//     until the last of the new ones is there, their number is below the count, and the pool is
//     incomplete, which readers skip. Slices that are no longer needed are obsolete by then and go
//     last.
//
// Stable placement. A reader's cost, and ours, is a write of a whole slice, so a device stays in
// the slice where it is:
//
//   * A device that is placed keeps its slice. Inside a slice the order is by name, which makes the
//   content a function
//     of the set of devices.
//   * A device that goes leaves a gap: the slices behind it do not move up.
//   * New devices take gaps: all of them in the first slice that has room for all, so that a burst
//   (the VFs of one PF) is
//     one write, else slice by slice from the lowest index, then new slices at the lowest free
//     indexes.
//   * A slice without devices is dropped, but the last one: a pool without devices is one empty
//   slice ("the driver is up
//     and has nothing"), which differs from no slice.
//
// Example, with slices of 4 instead of 64; a digit is a device, "g1/2" is generation 1, slice count
// 2:
//
//   publish 1-6                 0:[1 2 3 4] g1/2   1:[5 6] g1/2        POST 0, POST 1
//   2 goes                      0:[1 3 4]   g1/2   1:[5 6] g1/2        PUT 0 one write 7 comes 0:[1
//   3 4 7] g1/2   1:[5 6] g1/2        PUT 0                        the gap is taken 8 9 a come 0:[1
//   3 4 7] g2/3   1:[5 6 8 9] g2/3   2:[a] g2/3
//                                                                      PUT 0, PUT 1, POST 2
//                                                                      incomplete until POST 2
//   someone deletes slice 1     0:[1 3 4 7] g2/3                       2:[a] g2/3
//                               0:[1 3 4 7] g2/3   1:[5 6 8 9] g2/3   2:[a] g2/3
//                                                                      POST 1 same place, same
//                                                                      content
//   5 6 8 9 go                  0:[1 3 4 7] g3/2                       2:[a] g3/2
//                                                                      PUT 0, PUT 2, DELETE 1
//
// The index of a slice is the hexadecimal prefix of its name, so that the scheduler, which tries
// slices in name order, fills the low ones first. The placement is remembered in the slices
// themselves (after a restart they are read back) and in `Placement`, for slices that someone
// deleted.
//
// Considered and left out: compaction of half-empty slices (it rewrites the pool for the looks of
// it; the number of slices is bounded by the largest number of devices ever published at once), and
// moving up (rewrites all).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/publish/slice_entry.hpp"

namespace drasriov::publish {

/// The API allows 128 devices in a slice, but 64 as soon as one of them carries a taint: 64 always,
/// so that a taint re-chunks nothing.
inline constexpr std::size_t kDevicesPerSlice = 64;

/// What is to be published. The pool's name is the node's.
struct Pool {
  std::string driver;
  std::string node;
  std::string
      node_uid;  ///< of the Node object, owner of the slices; empty = unknown, no owner is written
  std::vector<SliceEntry> entries;  ///< sorted by name, names unique
};

/// A slice as the API server has it, reduced to what planning needs.
struct ObservedSlice {
  std::string name;
  std::string uid;
  std::string resource_version;
  std::string pool;
  std::string node;
  std::int64_t generation = 0;
  std::int64_t slice_count = 0;
  std::string owner_uid;  ///< of the one owner, a Node of the slice's node name; empty = none or
                          ///< another form
  std::string digest;     ///< of everything in `spec` but the pool, one value for one content
  std::vector<std::string> devices;  ///< names
  std::string kept_metadata;  ///< labels and annotations as JSON, which an update must not lose;
                              ///< may be empty
};

/// Tolerates whatever is in the object: what cannot be read differs from what is wanted, and is
/// repaired.
[[nodiscard]] ObservedSlice observe_slice(const nlohmann::json& object);
/// The same for what a server answered to a write of `sent`, a slice_object() of this digest. Mostly its content is what was
/// sent, and then neither written out nor digested again.
[[nodiscard]] ObservedSlice observe_answer(const nlohmann::json& object, const nlohmann::json& sent,
                                           const std::string& digest);

/// Device name → slice index.
using Placement = std::map<std::string, std::uint32_t, std::less<>>;

struct SliceWrite {
  enum class Kind : std::uint8_t { kCreate, kUpdate, kDelete };
  Kind kind = Kind::kCreate;
  std::uint32_t index = 0;  ///< of kCreate and kUpdate: which planned slice
  std::string name;         ///< of kUpdate and kDelete, with the preconditions:
  std::string uid;
  std::string resource_version;
  std::string reason;  ///< for the debug log: "3 devices more", "older generation"
};

struct PlannedSlice {
  std::uint32_t index = 0;
  std::vector<std::uint32_t> entries;  ///< indexes into Pool::entries, ascending
  std::string digest;
};

struct SlicePlan {
  std::int64_t generation = 0;
  std::vector<PlannedSlice> slices;  ///< by index; never empty
  std::vector<SliceWrite>
      writes;  ///< in the order in which they must be made; the rest is void when one fails
  Placement placement;
};

/// `observed`: all slices of driver and node, also those of other pools (they are deleted).
/// `remembered`: the placement of the last plan, or empty after a start. A plan without writes
/// means that all is as it should be.
[[nodiscard]] SlicePlan plan_slices(const Pool& pool, std::span<const ObservedSlice> observed,
                                    const Placement& remembered);

/// The object to POST (existing == nullptr) or to PUT in the place of `existing`.
[[nodiscard]] nlohmann::json slice_object(const Pool& pool, const SlicePlan& plan,
                                          const PlannedSlice& slice, const ObservedSlice* existing);

/// "00011-<driver>-<node>-": the server adds five random characters. The index is first because the
/// server cuts the base to 58 characters.
[[nodiscard]] std::string slice_name_prefix(std::uint32_t index, std::string_view driver,
                                            std::string_view node);

}  // namespace drasriov::publish
