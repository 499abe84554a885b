// SPDX-License-Identifier: Apache-2.0
//
// FakePool: the slices of one node as an API server would keep them, to which a test applies plans
// write by write, and the reader's view of them (what the scheduler would believe). Single thread.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/publish/slice_planner.hpp"

namespace drasriov::publish {

inline constexpr const char* kTestDriver = "sriovnetwork.openshift.io";
inline constexpr const char* kTestNode = "node-1";
inline constexpr const char* kTestNodeUid = "11111111-2222-4333-8444-555555555555";

/// An entry of that name; another `value` is another content.
SliceEntry test_entry(const std::string& name, const std::string& value = "a");
/// "0000-03-00-0" … in name order.
std::string test_name(unsigned number);
/// Of the devices 0 … count-1.
Pool test_pool(unsigned count);

class FakePool {
 public:
  /// As a watch would show them.
  [[nodiscard]] std::vector<ObservedSlice> observed() const;
  /// Checks preconditions like the server; throws std::logic_error on a violation (a plan must
  /// never cause one).
  void apply(const Pool& pool, const SlicePlan& plan, const SliceWrite& write);
  void apply_all(const Pool& pool, const SlicePlan& plan);

  /// What a reader believes: device name → content, or nullopt while the pool is incomplete. Throws
  /// std::logic_error when the pool is complete and invalid (a device twice, slices that disagree
  /// about their number).
  [[nodiscard]] std::optional<std::map<std::string, std::string>> believed() const;

  /// Puts an object there as someone else would; returns its name.
  std::string put(nlohmann::json object);
  void erase(const std::string& name);
  [[nodiscard]] const std::map<std::string, nlohmann::json>& objects() const { return objects_; }
  [[nodiscard]] nlohmann::json& at(const std::string& name) { return objects_.at(name); }
  [[nodiscard]] std::string name_of_index(std::uint32_t index) const;

 private:
  std::map<std::string, nlohmann::json> objects_;
  std::uint64_t next_ = 1;
};

/// What a reader must believe when `pool` is published.
std::map<std::string, std::string> contents_of(const Pool& pool);

}  // namespace drasriov::publish
