// SPDX-License-Identifier: Apache-2.0
//
// SysfsDir: one directory of sysfs, held by descriptor, so that everything read through it belongs
// to one incarnation of the device even when another takes its path meanwhile. A value; used by one
// thread at a time.
//
// Absence is an everyday answer in sysfs (no driver, no IOMMU, a device that has just gone), so
// results here carry an errno instead of an Error: the caller alone knows whether it is worth a
// sentence.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "descriptor.hpp"

namespace drasriov::discovery_sysfs {

/// A value, or the errno that says why there is none.
template <typename T>
class Found {
 public:
  Found(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] static Found failed(int error_number) {
    Found found(T{});
    found.error_ = error_number;
    return found;
  }

  explicit operator bool() const noexcept { return error_ == 0; }
  [[nodiscard]] int error() const noexcept { return error_; }
  [[nodiscard]] T& operator*() noexcept { return value_; }
  [[nodiscard]] const T& operator*() const noexcept { return value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &value_; }

 private:
  T value_;
  int error_ = 0;
};

/// Room for one attribute: sysfs gives at most one page (Documentation/filesystems/sysfs.rst).
using Buffer = std::array<char, 4096>;

class SysfsDir {
 public:
  SysfsDir() = default;

  /// path is absolute.
  [[nodiscard]] static Found<SysfsDir> open(const std::string& path);
  /// name may be a link to a directory, as in bus/pci/devices.
  [[nodiscard]] Found<SysfsDir> child(const std::string& name) const;

  /// The attribute without its last newline, in buffer. EFBIG when it does not fit.
  [[nodiscard]] Found<std::string_view> read(const std::string& name, Buffer& buffer) const;
  /// The text of a symbolic link, in buffer. EINVAL when name is no link.
  [[nodiscard]] Found<std::string_view> link(const std::string& name, Buffer& buffer) const;
  [[nodiscard]] bool has(const std::string& name) const;
  /// Names of all entries but "." and "..", unordered.
  [[nodiscard]] Found<std::vector<std::string>> list() const;
  /// "<st_dev>:<inode>": another one for each directory that ever takes this path while the system
  /// runs.
  [[nodiscard]] Found<std::string> identity() const;

 private:
  explicit SysfsDir(Descriptor fd) : fd_(std::move(fd)) {}

  Descriptor fd_;
};

/// What follows the last '/'.
[[nodiscard]] std::string_view base_name(std::string_view path) noexcept;

}  // namespace drasriov::discovery_sysfs
