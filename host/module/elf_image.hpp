// SPDX-License-Identifier: Apache-2.0
//
// ElfImage: a bounds-checked look at a 64-bit ELF shared object, enough to judge a module file
// before the dynamic linker maps it. Reads only the borrowed bytes, never runs or maps them; no
// state, any thread. Format: elf(5) and the System V gABI; symbol versions and DT_GNU_HASH as in
// the Linux Standard Base, section 10.7, and binutils.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"

namespace drasriov::module {

/// The `Machine` (e_machine of elf(5)) that this host was built for.
[[nodiscard]] std::uint16_t host_machine() noexcept;

/// "x86-64", "aarch64", or "machine 40".
[[nodiscard]] std::string machine_name(std::uint16_t machine);

/// What the dynamic linker will act on when it maps the file.
struct DynamicTable {
  struct NeededVersion {
    std::string file;     ///< "libc.so.6"
    std::string version;  ///< "GLIBC_2.34"
  };

  std::vector<std::string> needed;        ///< DT_NEEDED
  std::vector<std::string> search_paths;  ///< the parts of DT_RPATH and DT_RUNPATH between ':'
  std::vector<std::string>
      exports;  ///< defined symbols that others can bind to, sorted; at most 64 of them
  std::size_t export_count = 0;  ///< how many there are
  std::vector<NeededVersion> versions_needed;
  std::vector<std::string> versions_defined;
  bool text_relocations = false;
  bool executable_stack = false;
};

class ElfImage {
 public:
  /// A view of `file`, which must outlive it. INVALID_ARGUMENT, with the reason, for everything but
  /// a complete 64-bit little-endian shared object whose header tables lie inside the file.
  [[nodiscard]] static Result<ElfImage> parse(std::span<const std::byte> file);

  [[nodiscard]] std::uint16_t machine() const noexcept { return machine_; }

  /// The payload of the one note with this owner and type: in the PT_NOTE segments, or, where a
  /// linker left it out of them, in the section `section`. nullopt when there is none; an error for
  /// two of them or for damaged notes.
  [[nodiscard]] Result<std::optional<std::string_view>> note(std::string_view section,
                                                             std::string_view owner,
                                                             std::uint32_t type) const;

  /// Read through the program headers alone, as the dynamic linker does.
  [[nodiscard]] Result<DynamicTable> dynamic_table() const;

 private:
  struct Segment {
    std::uint32_t type;
    std::uint32_t flags;
    std::uint64_t offset;
    std::uint64_t address;
    std::uint64_t size;  ///< in the file
    std::uint64_t alignment;
  };
  struct DynamicAddresses;

  explicit ElfImage(std::span<const std::byte> file) noexcept : file_(file) {}

  [[nodiscard]] Status read_header();
  [[nodiscard]] std::span<const std::byte> at_address(std::uint64_t address) const noexcept;
  [[nodiscard]] Result<std::uint64_t> symbol_count(const DynamicAddresses& addresses) const;
  [[nodiscard]] Status read_exports(const DynamicAddresses& addresses, std::string_view strings,
                                    DynamicTable& table) const;
  [[nodiscard]] Status read_versions(const DynamicAddresses& addresses, std::string_view strings,
                                     DynamicTable& table) const;

  std::span<const std::byte> file_;
  std::vector<Segment> segments_;
  std::uint64_t section_offset_ = 0;
  std::uint16_t section_count_ = 0;
  std::uint16_t section_names_ = 0;
  std::uint16_t machine_ = 0;
};

}  // namespace drasriov::module
