// SPDX-License-Identifier: Apache-2.0
//
// Inventory: what discovery found at one moment. Immutable once built and shared as shared_ptr<const Inventory>; a
// newer one replaces it, with a higher version. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/device/device.hpp"

namespace drasriov::device {

/// A device or a part of the machine that discovery had to skip, for people: events, `devices`, `explain`.
struct Problem {
  std::string object;   ///< PCI address or path
  std::string message;  ///< cause and hint
  friend bool operator==(const Problem&, const Problem&) = default;
};

class Inventory {
 public:
  /// Sorts by name. REQUIRES: names are unique (the discovery pass drops and reports duplicates).
  Inventory(std::uint64_t version, std::vector<Device> devices, std::vector<Problem> problems);

  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::span<const Device> devices() const noexcept { return devices_; }
  [[nodiscard]] std::span<const Problem> problems() const noexcept { return problems_; }

  /// nullptr when there is no such device.
  [[nodiscard]] const Device* find(std::string_view name) const noexcept;

  /// Same devices and problems, whatever the version.
  [[nodiscard]] bool same_content(const Inventory& other) const {
    return devices_ == other.devices_ && problems_ == other.problems_;
  }

 private:
  std::uint64_t version_;
  std::vector<Device> devices_;
  std::vector<Problem> problems_;
};

using InventorySnapshot = std::shared_ptr<const Inventory>;

}  // namespace drasriov::device
