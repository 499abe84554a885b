// SPDX-License-Identifier: Apache-2.0
//
// The ELF reader: what it finds in real shared objects, and that no damage makes it read beyond the
// file. Each damaged copy ends at a page that cannot be read, so a step too far is a crash in every
// build, not only under AddressSanitizer.
#include "host/module/elf_image.hpp"

#include <drasriov/abi/module.h>
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "host/base/durable_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace drasriov::module {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Memory whose last byte lies before a page without access.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(std::size_t capacity) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    size_ = (capacity + page - 1) / page * page;
    void* const base =
        ::mmap(nullptr, size_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(base, MAP_FAILED);
    base_ = static_cast<std::uint8_t*>(base);
    EXPECT_EQ(::mprotect(base_ + size_, page, PROT_NONE), 0);
    mapped_ = size_ + page;
  }
  ~GuardedBuffer() { ::munmap(base_, mapped_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  /// The bytes, as near to the guard as they can be.
  std::uint8_t* place(std::string_view bytes) {
    std::uint8_t* const at = base_ + size_ - bytes.size();
    std::memcpy(at, bytes.data(), bytes.size());
    return at;
  }

 private:
  std::uint8_t* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

std::string content_of(const char* path) {
  auto content = read_file(path);
  EXPECT_TRUE(content) << content.error().to_string();
  return *std::move(content);
}

ElfImage image_of(const std::string& bytes) {
  auto image = ElfImage::parse(std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(image) << image.error().to_string();
  return *std::move(image);
}

std::optional<std::string> note_of(const std::string& bytes) {
  const auto note =
      image_of(bytes).note(DRASRIOV_NOTE_SECTION, DRASRIOV_NOTE_OWNER, DRASRIOV_NOTE_TYPE);
  EXPECT_TRUE(note) << note.error().to_string();
  if (!note || !note->has_value()) return std::nullopt;
  return std::string(**note);
}

Elf64_Ehdr& header_of(std::string& bytes) {
  return *reinterpret_cast<Elf64_Ehdr*>(bytes.data());
}

/// Makes the dynamic linker's view of notes disappear.
void hide_note_segments(std::string& bytes) {
  const Elf64_Ehdr& header = header_of(bytes);
  auto* segments = reinterpret_cast<Elf64_Phdr*>(bytes.data() + header.e_phoff);
  for (int i = 0; i < header.e_phnum; ++i) {
    if (segments[i].p_type == PT_NOTE) segments[i].p_type = PT_NULL;
  }
}

void hide_sections(std::string& bytes) {
  Elf64_Ehdr& header = header_of(bytes);
  header.e_shoff = 0;
  header.e_shnum = 0;
  header.e_shstrndx = 0;
}

TEST(ElfImage, FindsTheNoteThroughSegmentsOrSections) {
  const std::string whole = content_of(DRASRIOV_FIXTURE_GOOD_PATH);
  ASSERT_THAT(note_of(whole), ::testing::Optional(StartsWith("{\"schema\":1,")));

  std::string stripped = whole;
  hide_sections(stripped);
  EXPECT_EQ(note_of(stripped), note_of(whole));

  std::string sections_only = whole;
  hide_note_segments(sections_only);
  EXPECT_EQ(note_of(sections_only), note_of(whole));

  hide_sections(sections_only);
  EXPECT_EQ(note_of(sections_only), std::nullopt);
}

TEST(ElfImage, TwoNotesAreRefused) {
  const std::string bytes = content_of(DRASRIOV_FIXTURE_TWO_NOTES_PATH);
  const auto note =
      image_of(bytes).note(DRASRIOV_NOTE_SECTION, DRASRIOV_NOTE_OWNER, DRASRIOV_NOTE_TYPE);
  ASSERT_FALSE(note);
  EXPECT_EQ(
      note.error().to_string(),
      "it has 2 notes of drasriov — hint: link exactly one DRASRIOV_EXPORT_MODULE into a module");
}

TEST(ElfImage, ReadsTheDynamicTable) {
  for (const char* path : {DRASRIOV_FIXTURE_GOOD_PATH, DRASRIOV_FIXTURE_SYSV_HASH_PATH}) {
    const std::string bytes = content_of(path);
    const auto table = image_of(bytes).dynamic_table();
    ASSERT_TRUE(table) << path << ": " << table.error().to_string();
    EXPECT_THAT(table->exports, ElementsAre("drasriov_module_query_v1"));
    EXPECT_EQ(table->export_count, 1U);
    EXPECT_THAT(table->needed, Contains("libc.so.6"));
    EXPECT_FALSE(table->executable_stack);
    EXPECT_FALSE(table->text_relocations);
    EXPECT_FALSE(table->versions_needed.empty());
  }
}

TEST(ElfImage, SaysWhatIsWrongWithTheHeader) {
  const std::string good = content_of(DRASRIOV_FIXTURE_GOOD_PATH);
  const auto refusal = [&](auto damage) -> std::string {
    std::string bytes = good;
    damage(bytes);
    const auto image = ElfImage::parse(std::as_bytes(std::span(bytes)));
    return image ? "accepted" : image.error().message();
  };
  EXPECT_EQ(refusal([](std::string&) {}), "accepted");
  EXPECT_EQ(refusal([](std::string& b) { b.clear(); }), "it is no ELF file");
  EXPECT_EQ(refusal([](std::string& b) { b.resize(20); }),
            "the ELF file is damaged: it ends within the file header");
  EXPECT_EQ(refusal([](std::string& b) { b[EI_CLASS] = ELFCLASS32; }), "it is no 64-bit ELF file");
  EXPECT_EQ(refusal([](std::string& b) { b[EI_DATA] = ELFDATA2MSB; }),
            "it is no little-endian ELF file");
  EXPECT_EQ(refusal([](std::string& b) { header_of(b).e_type = ET_REL; }),
            "it is an ELF file, but no shared object");
  EXPECT_EQ(refusal([](std::string& b) { header_of(b).e_phnum = 0; }),
            "the ELF file is damaged: it has no usable program headers");
  EXPECT_EQ(refusal([](std::string& b) { header_of(b).e_phoff = ~std::uint64_t{0} - 8; }),
            "the ELF file is damaged: the program headers reach beyond its end");
  EXPECT_EQ(refusal([](std::string& b) { header_of(b).e_shoff = b.size() - 1; }),
            "the ELF file is damaged: the section headers reach beyond its end");
}

// --- damage --------------------------------------------------------------------------------------

class ElfDamageTest : public ::testing::Test {
 protected:
  void try_bytes(std::string_view bytes) {
    LLVMFuzzerTestOneInput(buffer_.place(bytes), bytes.size());
  }

  const std::string good_ = content_of(DRASRIOV_FIXTURE_GOOD_PATH);
  GuardedBuffer buffer_{good_.size()};
};

TEST_F(ElfDamageTest, EveryTruncation) {
  for (std::size_t size = 0; size <= good_.size(); ++size) {
    try_bytes(std::string_view(good_).substr(0, size));
  }
}

TEST_F(ElfDamageTest, EveryByteChanged) {
  std::string bytes = good_;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int mask : {0xff, 0x01, 0x80}) {
      bytes[i] = static_cast<char>(bytes[i] ^ mask);
      try_bytes(bytes);
      bytes[i] = good_[i];
    }
  }
}

TEST_F(ElfDamageTest, EveryWordAtTheEdgesOfItsType) {
  std::string bytes = good_;
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 4) {
    for (const std::uint64_t word :
         {~std::uint64_t{0}, ~std::uint64_t{0} - 15, std::uint64_t{1} << 63U,
          std::uint64_t{0xffffffff}, std::uint64_t{good_.size()}, std::uint64_t{good_.size() - 1},
          std::uint64_t{0}}) {
      std::memcpy(bytes.data() + i, &word, sizeof(word));
      try_bytes(bytes);
    }
    std::memcpy(bytes.data() + i, good_.data() + i, 8);
  }
}

TEST_F(ElfDamageTest, ManyBytesChanged) {
  std::mt19937 random(
      20240229);  // NOLINT(bugprone-random-generator-seed): the same damage each time
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good_;
    for (std::size_t changes = 1 + below(16); changes > 0; --changes) {
      bytes[below(bytes.size())] = static_cast<char>(random());
    }
    try_bytes(bytes);
  }
}

// A file in which every record points at one long string must not cost the product of both.
TEST_F(ElfDamageTest, OneLongNameForEverything) {
  const std::string bytes = content_of(DRASRIOV_FIXTURE_GOOD_PATH);
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(bytes.data() + header.e_phoff);
  // The table is appended: 40,000 DT_NEEDED entries, each naming offset 0 of a 1 MiB string.
  std::string hostile = bytes;
  const std::size_t strings = (hostile.size() + 15) / 16 * 16;
  hostile.resize(strings);
  hostile += std::string(1U << 20U, 'n') + std::string(16, '\0');
  const std::size_t dynamic = hostile.size();
  const auto add = [&](std::int64_t tag, std::uint64_t value) {
    const Elf64_Dyn entry{tag, {value}};
    hostile.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  };
  for (int i = 0; i < 40000; ++i) add(DT_NEEDED, 0);
  add(DT_STRTAB, strings);
  add(DT_STRSZ, (1U << 20U) + 16);
  add(DT_NULL, 0);
  auto* mutable_segments = reinterpret_cast<Elf64_Phdr*>(hostile.data() + header.e_phoff);
  for (int i = 0; i < header.e_phnum; ++i) {
    if (segments[i].p_type == PT_DYNAMIC) {
      mutable_segments[i].p_offset = dynamic;
      mutable_segments[i].p_filesz = hostile.size() - dynamic;
    } else if (segments[i].p_type ==
               PT_LOAD) {  // the last one wins: all of the file at its offsets
      mutable_segments[i].p_offset = 0;
      mutable_segments[i].p_vaddr = 0;
      mutable_segments[i].p_filesz = hostile.size();
    }
  }
  const auto table = image_of(hostile).dynamic_table();
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message(),
            "the ELF file is damaged: DT_NEEDED points outside the string table");
}

}  // namespace
}  // namespace drasriov::module
