// SPDX-License-Identifier: Apache-2.0
#include "host/module/elf_image.hpp"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace drasriov::module {
namespace {

static_assert(std::endian::native == std::endian::little, "the module ABI is little-endian only");

using Bytes = std::span<const std::byte>;

/// The part of `bytes` at `offset`, or an empty one when it is not wholly inside. No sum can wrap.
Bytes slice(Bytes bytes, std::uint64_t offset, std::uint64_t size) noexcept {
  if (offset > bytes.size() || size > bytes.size() - offset) return {};
  return bytes.subspan(offset, size);
}

/// A record at `offset`, copied so that its alignment in the file does not matter.
template <typename T>
std::optional<T> record(Bytes bytes, std::uint64_t offset) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  const Bytes part = slice(bytes, offset, sizeof(T));
  if (part.empty()) return std::nullopt;
  T value;
  std::memcpy(&value, part.data(), sizeof(T));
  return value;
}

std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// No honest module comes near these. They keep a hostile file, in which all records point at one
// long string or at each other, from costing more than its size in time and memory.
constexpr std::size_t kLongestString = 4096;
constexpr std::size_t kMostVersions = 4096;
constexpr std::size_t kExportsKept = 64;

/// The terminated string at `offset` of a string table; nullopt when it does not end inside, or
/// soon.
std::optional<std::string_view> string_at(std::string_view table, std::uint64_t offset) noexcept {
  if (offset >= table.size()) return std::nullopt;
  const std::string_view rest = table.substr(offset, kLongestString + 1);
  const auto end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

Error damaged(std::string_view what) {
  return {Code::kInvalidArgument, "the ELF file is damaged: " + std::string(what),
          "copy the file again, or build it again"};
}

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
  return (value + alignment - 1) & ~(alignment - 1);
}

/// Adds the payload of each note of `area` with this owner and type to `found`, once for each place
/// in the file.
Status collect_notes(Bytes area, std::uint64_t alignment, std::string_view owner,
                     std::uint32_t type, std::vector<std::string_view>& found) {
  alignment = alignment == 8 ? 8 : 4;  // glibc: 8 only where the segment says so, all else is 4
  std::uint64_t offset = 0;
  while (offset < area.size()) {
    const auto header = record<Elf64_Nhdr>(area, offset);
    if (!header) return damaged("a note header reaches beyond its segment");
    // All terms are below 2^33 and offset is below the file's size: the sums cannot wrap.
    const std::uint64_t name_offset = offset + sizeof(Elf64_Nhdr);
    const std::uint64_t payload_offset = align_up(name_offset + header->n_namesz, alignment);
    if (name_offset + header->n_namesz > area.size() || payload_offset > area.size() ||
        header->n_descsz > area.size() - payload_offset) {
      return damaged("a note reaches beyond its segment");
    }
    std::string_view name = as_text(area.subspan(name_offset, header->n_namesz));
    if (!name.empty() && name.back() == '\0') name.remove_suffix(1);
    if (name == owner && header->n_type == type) {
      const std::string_view payload = as_text(area.subspan(payload_offset, header->n_descsz));
      if (std::ranges::none_of(found, [&](auto other) { return other.data() == payload.data(); })) {
        found.push_back(payload);
      }
    }
    offset = align_up(payload_offset + header->n_descsz, alignment);
  }
  return {};
}

}  // namespace

std::uint16_t host_machine() noexcept {
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#else
#error "add the e_machine value of this architecture"
#endif
}

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "aarch64";
    case EM_PPC64: return "ppc64";
    case EM_S390: return "s390";
    case EM_RISCV: return "riscv";
    default: return "machine " + std::to_string(machine);
  }
}

struct ElfImage::DynamicAddresses {
  std::uint64_t strings = 0;
  std::uint64_t string_size = 0;
  std::uint64_t symbols = 0;
  std::uint64_t hash = 0;
  std::uint64_t gnu_hash = 0;
  std::uint64_t versions_needed = 0;
  std::uint64_t versions_needed_count = 0;
  std::uint64_t versions_defined = 0;
  std::uint64_t versions_defined_count = 0;
};

Result<ElfImage> ElfImage::parse(Bytes file) {
  ElfImage image(file);
  if (auto status = image.read_header(); !status) return std::move(status).error();
  return image;
}

Status ElfImage::read_header() {
  constexpr std::string_view kBuildHint = "give the shared object that drasriov_add_module() built";
  const Bytes magic = slice(file_, 0, EI_NIDENT);
  if (magic.empty() || as_text(magic).substr(0, SELFMAG) != ELFMAG) {
    return Error(Code::kInvalidArgument, "it is no ELF file", std::string(kBuildHint));
  }
  if (static_cast<unsigned char>(magic[EI_CLASS]) != ELFCLASS64) {
    return Error(Code::kInvalidArgument, "it is no 64-bit ELF file", std::string(kBuildHint));
  }
  if (static_cast<unsigned char>(magic[EI_DATA]) != ELFDATA2LSB) {
    return Error(Code::kInvalidArgument, "it is no little-endian ELF file",
                 std::string(kBuildHint));
  }
  const auto header = record<Elf64_Ehdr>(file_, 0);
  if (!header) return damaged("it ends within the file header");
  if (header->e_type != ET_DYN) {
    return Error(Code::kInvalidArgument, "it is an ELF file, but no shared object",
                 std::string(kBuildHint));
  }
  machine_ = header->e_machine;

  if (header->e_phnum == 0 || header->e_phnum == PN_XNUM ||
      header->e_phentsize != sizeof(Elf64_Phdr)) {
    return damaged("it has no usable program headers");
  }
  for (std::uint16_t i = 0; i < header->e_phnum; ++i) {
    // The table's own offset comes from the file: an offset near 2^64 must not wrap to a valid one.
    const Bytes table =
        slice(file_, header->e_phoff, std::uint64_t{header->e_phnum} * sizeof(Elf64_Phdr));
    const auto entry = record<Elf64_Phdr>(table, std::uint64_t{i} * sizeof(Elf64_Phdr));
    if (!entry) return damaged("the program headers reach beyond its end");
    if (entry->p_type == PT_LOAD || entry->p_type == PT_NOTE || entry->p_type == PT_DYNAMIC) {
      if (entry->p_filesz != 0 && slice(file_, entry->p_offset, entry->p_filesz).empty()) {
        return damaged("a segment reaches beyond its end");
      }
    }
    segments_.push_back({.type = entry->p_type,
                         .flags = entry->p_flags,
                         .offset = entry->p_offset,
                         .address = entry->p_vaddr,
                         .size = entry->p_filesz,
                         .alignment = entry->p_align});
  }

  // Section headers are for tools; a stripped file may have none. What is there must lie inside.
  if (header->e_shoff != 0 && header->e_shnum != 0) {
    if (header->e_shentsize != sizeof(Elf64_Shdr) ||
        slice(file_, header->e_shoff, std::uint64_t{header->e_shnum} * sizeof(Elf64_Shdr))
            .empty()) {
      return damaged("the section headers reach beyond its end");
    }
    section_offset_ = header->e_shoff;
    section_count_ = header->e_shnum;
    section_names_ = header->e_shstrndx;
  }
  return {};
}

Result<std::optional<std::string_view>> ElfImage::note(std::string_view section,
                                                       std::string_view owner,
                                                       std::uint32_t type) const {
  std::vector<std::string_view> found;
  for (const Segment& segment : segments_) {
    if (segment.type != PT_NOTE) continue;
    const Bytes area = slice(file_, segment.offset, segment.size);
    if (auto status = collect_notes(area, segment.alignment, owner, type, found); !status) {
      return std::move(status).error();
    }
  }

  const auto section_header = [&](std::uint16_t index) {
    return record<Elf64_Shdr>(file_, section_offset_ + std::uint64_t{index} * sizeof(Elf64_Shdr));
  };
  std::string_view names;
  if (section_names_ < section_count_) {
    if (const auto header = section_header(section_names_)) {
      names = as_text(slice(file_, header->sh_offset, header->sh_size));
    }
  }
  for (std::uint16_t i = 0; i < section_count_; ++i) {
    const auto header = section_header(i);
    if (!header || header->sh_type != SHT_NOTE || string_at(names, header->sh_name) != section)
      continue;
    const Bytes area = slice(file_, header->sh_offset, header->sh_size);
    if (area.empty() && header->sh_size != 0)
      return damaged("a note section reaches beyond its end");
    if (auto status = collect_notes(area, header->sh_addralign, owner, type, found); !status) {
      return std::move(status).error();
    }
  }

  if (found.size() > 1) {
    return Error(Code::kInvalidArgument,
                 "it has " + std::to_string(found.size()) + " notes of " + std::string(owner),
                 "link exactly one DRASRIOV_EXPORT_MODULE into a module");
  }
  if (found.empty()) return std::optional<std::string_view>();
  return std::optional(found.front());
}

Bytes ElfImage::at_address(std::uint64_t address) const noexcept {
  for (const Segment& segment : segments_) {
    if (segment.type == PT_LOAD && address >= segment.address &&
        address - segment.address < segment.size) {
      const std::uint64_t skip = address - segment.address;
      return slice(file_, segment.offset + skip, segment.size - skip);
    }
  }
  return {};
}

Result<std::uint64_t> ElfImage::symbol_count(const DynamicAddresses& addresses) const {
  if (addresses.hash != 0) {
    const auto count =
        record<std::uint32_t>(at_address(addresses.hash), sizeof(std::uint32_t));  // nchain
    if (!count) return damaged("DT_HASH points outside");
    return *count;
  }
  // DT_GNU_HASH has no count: the chain of the highest bucket ends with the last symbol.
  struct Header {
    std::uint32_t buckets;
    std::uint32_t first_symbol;
    std::uint32_t bloom_words;
    std::uint32_t bloom_shift;
  };
  const Bytes table = at_address(addresses.gnu_hash);
  const auto header = record<Header>(table, 0);
  if (!header) return damaged("it has neither DT_HASH nor DT_GNU_HASH");
  const std::uint64_t buckets =
      sizeof(Header) + std::uint64_t{header->bloom_words} * sizeof(std::uint64_t);
  const std::uint64_t chains = buckets + std::uint64_t{header->buckets} * sizeof(std::uint32_t);
  std::uint64_t last = 0;
  for (std::uint32_t i = 0; i < header->buckets; ++i) {
    const auto bucket =
        record<std::uint32_t>(table, buckets + std::uint64_t{i} * sizeof(std::uint32_t));
    if (!bucket) return damaged("DT_GNU_HASH reaches beyond its segment");
    last = std::max<std::uint64_t>(last, *bucket);
  }
  if (last == 0) return std::uint64_t{header->first_symbol};
  if (last < header->first_symbol) return damaged("DT_GNU_HASH points before its first symbol");
  for (;; ++last) {
    const auto hash = record<std::uint32_t>(
        table, chains + (last - header->first_symbol) * sizeof(std::uint32_t));
    if (!hash) return damaged("a chain of DT_GNU_HASH reaches beyond its segment");
    if ((*hash & 1U) != 0) return last + 1;
  }
}

Status ElfImage::read_exports(const DynamicAddresses& addresses, std::string_view strings,
                              DynamicTable& table) const {
  const auto count = symbol_count(addresses);
  if (!count) return count.error();
  const Bytes symbols = at_address(addresses.symbols);
  if (*count > symbols.size() / sizeof(Elf64_Sym))
    return damaged("DT_SYMTAB reaches beyond its segment");
  for (std::uint64_t i = 1; i < *count; ++i) {
    const auto symbol = record<Elf64_Sym>(symbols, i * sizeof(Elf64_Sym));
    if (!symbol) return damaged("DT_SYMTAB reaches beyond its segment");
    const auto binding = ELF64_ST_BIND(symbol->st_info);
    const auto visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    if (symbol->st_shndx == SHN_UNDEF || binding == STB_LOCAL || visibility == STV_HIDDEN ||
        visibility == STV_INTERNAL) {
      continue;
    }
    const auto name = string_at(strings, symbol->st_name);
    if (!name) return damaged("a symbol's name lies outside the string table");
    // Linkers define an absolute symbol for each version node; it names the node, nothing can be
    // called through it.
    if (symbol->st_shndx == SHN_ABS &&
        std::ranges::find(table.versions_defined, *name) != table.versions_defined.end()) {
      continue;
    }
    ++table.export_count;
    if (table.exports.size() < kExportsKept) table.exports.emplace_back(*name);
  }
  std::ranges::sort(table.exports);
  return {};
}

Status ElfImage::read_versions(const DynamicAddresses& addresses, std::string_view strings,
                               DynamicTable& table) const {
  Bytes area = at_address(addresses.versions_needed);
  std::uint64_t offset = 0;
  for (std::uint64_t i = 0; i < addresses.versions_needed_count; ++i) {
    const auto need = record<Elf64_Verneed>(area, offset);
    const auto file = need ? string_at(strings, need->vn_file) : std::nullopt;
    if (!file) return damaged("DT_VERNEED reaches beyond its segment");
    std::uint64_t entry_offset = offset + need->vn_aux;
    for (std::uint16_t k = 0; k < need->vn_cnt; ++k) {
      const auto entry = record<Elf64_Vernaux>(area, entry_offset);
      const auto version = entry ? string_at(strings, entry->vna_name) : std::nullopt;
      if (!version) return damaged("an entry of DT_VERNEED reaches beyond its segment");
      if (table.versions_needed.size() == kMostVersions) return damaged("DT_VERNEED has no end");
      table.versions_needed.push_back({std::string(*file), std::string(*version)});
      if (entry->vna_next == 0) break;
      entry_offset += entry->vna_next;
    }
    if (need->vn_next == 0) break;
    offset += need->vn_next;
  }

  area = at_address(addresses.versions_defined);
  offset = 0;
  for (std::uint64_t i = 0; i < addresses.versions_defined_count; ++i) {
    const auto definition = record<Elf64_Verdef>(area, offset);
    const auto entry =
        definition ? record<Elf64_Verdaux>(area, offset + definition->vd_aux) : std::nullopt;
    const auto version = entry ? string_at(strings, entry->vda_name) : std::nullopt;
    if (!version) return damaged("DT_VERDEF reaches beyond its segment");
    if (table.versions_defined.size() == kMostVersions) return damaged("DT_VERDEF has no end");
    table.versions_defined.emplace_back(*version);
    if (definition->vd_next == 0) break;
    offset += definition->vd_next;
  }
  return {};
}

Result<DynamicTable> ElfImage::dynamic_table() const {
  DynamicTable table;
  DynamicAddresses addresses;
  std::vector<std::uint64_t> needed;
  std::vector<std::uint64_t> search_paths;

  table.executable_stack = true;  // the kernel's default for a file without PT_GNU_STACK
  const Segment* dynamic = nullptr;
  for (const Segment& segment : segments_) {
    if (segment.type == PT_GNU_STACK) table.executable_stack = (segment.flags & PF_X) != 0;
    if (segment.type == PT_DYNAMIC) dynamic = &segment;
  }
  if (dynamic == nullptr) return damaged("it has no dynamic segment");

  const Bytes entries = slice(file_, dynamic->offset, dynamic->size);
  for (std::uint64_t offset = 0;; offset += sizeof(Elf64_Dyn)) {
    const auto entry = record<Elf64_Dyn>(entries, offset);
    if (!entry) return damaged("its dynamic segment has no end mark");
    if (entry->d_tag == DT_NULL) break;
    const std::uint64_t value = entry->d_un.d_val;
    switch (entry->d_tag) {
      case DT_NEEDED: needed.push_back(value); break;
      case DT_RPATH:
      case DT_RUNPATH: search_paths.push_back(value); break;
      case DT_TEXTREL: table.text_relocations = true; break;
      case DT_FLAGS: table.text_relocations |= (value & DF_TEXTREL) != 0; break;
      case DT_STRTAB: addresses.strings = value; break;
      case DT_STRSZ: addresses.string_size = value; break;
      case DT_SYMTAB: addresses.symbols = value; break;
      case DT_HASH: addresses.hash = value; break;
      case DT_GNU_HASH: addresses.gnu_hash = value; break;
      case DT_VERNEED: addresses.versions_needed = value; break;
      case DT_VERNEEDNUM: addresses.versions_needed_count = value; break;
      case DT_VERDEF: addresses.versions_defined = value; break;
      case DT_VERDEFNUM: addresses.versions_defined_count = value; break;
      default: break;
    }
  }

  const std::string_view strings =
      as_text(slice(at_address(addresses.strings), 0, addresses.string_size));
  for (const std::uint64_t offset : needed) {
    const auto name = string_at(strings, offset);
    if (!name) return damaged("DT_NEEDED points outside the string table");
    table.needed.emplace_back(*name);
  }
  for (const std::uint64_t offset : search_paths) {
    auto list = string_at(strings, offset);
    if (!list) return damaged("DT_RUNPATH points outside the string table");
    for (;;) {
      const auto colon = list->find(':');
      table.search_paths.emplace_back(list->substr(0, colon));
      if (colon == std::string_view::npos) break;
      list->remove_prefix(colon + 1);
    }
  }
  if (auto status = read_versions(addresses, strings, table); !status)
    return std::move(status).error();
  if (auto status = read_exports(addresses, strings, table); !status)
    return std::move(status).error();
  return table;
}

}  // namespace drasriov::module
