// SPDX-License-Identifier: Apache-2.0
//
// The manifest note of a module, built at compile time from the class (capabilities, sanitizer,
// compiler) and from the values that drasriov_add_module() passes. Layout and payload:
// abi/module.h.
#pragma once

#include <drasriov/abi/module.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace drasriov::sdk {
inline namespace abi_v1 {

/// What a module says about itself beside its code.
struct ModuleInfo {
  std::string_view name;     ///< [a-z0-9-]+
  std::string_view version;  ///< semantic version 2.0.0
  std::string_view vendor;
  std::string_view license;       ///< SPDX expression
  std::string_view min_host_abi;  ///< "1.0": the oldest host that it works with
};

namespace detail {

/// Text that goes into JSON unescaped: CMake values with quotes are refused rather than escaped.
constexpr bool is_plain(std::string_view text) noexcept {
  for (const char c : text) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) {
      return false;
    }
  }
  return true;
}

constexpr bool is_module_name(std::string_view name) noexcept {
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
      return false;
    }
  }
  return !name.empty() && name.front() != '-' && name.back() != '-';
}

/// The minor of "1.<minor>", or -1 when the text is anything else or the major is not ours.
constexpr std::int64_t parse_min_host_minor(std::string_view abi) noexcept {
  constexpr std::string_view kMajor = "1.";
  static_assert(DRASRIOV_ABI_MAJOR == 1);
  if (!abi.starts_with(kMajor) || abi.size() == kMajor.size() || abi.size() > kMajor.size() + 6) {
    return -1;
  }
  std::int64_t minor = 0;
  for (const char c : abi.substr(kMajor.size())) {
    if (c < '0' || c > '9') {
      return -1;
    }
    minor = minor * 10 + (c - '0');
  }
  return minor;
}

/// Writes text into a buffer, or only counts when there is none.
class NoteWriter {
 public:
  constexpr explicit NoteWriter(char* to) noexcept : to_(to) {}

  constexpr void text(std::string_view text) noexcept {
    for (const char c : text) {
      if (to_ != nullptr) {
        to_[size_] = c;
      }
      ++size_;
    }
  }
  constexpr void quoted(std::string_view value) noexcept {
    text("\"");
    text(value);
    text("\"");
  }
  constexpr void number(std::uint32_t value) noexcept {
    if (value >= 10) {
      number(value / 10);
    }
    const char digit = static_cast<char>('0' + value % 10);
    text(std::string_view(&digit, 1));
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }

 private:
  char* to_;
  std::size_t size_ = 0;
};

constexpr std::size_t write_manifest(char* to, const ModuleInfo& info,
                                     const std::string_view* capabilities,
                                     std::size_t capability_count) noexcept {
  NoteWriter out(to);
  out.text(R"({"schema":)");
  out.number(DRASRIOV_NOTE_SCHEMA);
  out.text(R"(,"abi":")");
  out.number(DRASRIOV_ABI_MAJOR);
  out.text(".");
  out.number(DRASRIOV_TARGET_ABI_MINOR);
  out.text(R"(","minHost":)");
  out.quoted(info.min_host_abi);
  out.text(R"(,"name":)");
  out.quoted(info.name);
  out.text(R"(,"version":)");
  out.quoted(info.version);
  out.text(R"(,"vendor":)");
  out.quoted(info.vendor);
  out.text(R"(,"license":)");
  out.quoted(info.license);
  out.text(R"(,"capabilities":[)");
  for (std::size_t i = 0; i < capability_count; ++i) {
    out.text(i == 0 ? "" : ",");
    out.quoted(capabilities[i]);
  }
  out.text(R"(],"compiler":)");
  out.quoted(DRASRIOV_COMPILER);
  out.text(R"(,"sanitizer":)");
  out.quoted(DRASRIOV_SANITIZER);
  out.text("}");
  return out.size();
}

constexpr std::size_t round_up_4(std::size_t size) noexcept {
  return (size + 3) / 4 * 4;
}

/// An ELF note (gABI, "Note Section"): three words, then name and payload, each padded to four
/// bytes.
template <std::size_t PayloadSize>
struct ElfNote {
  std::uint32_t name_size = sizeof(DRASRIOV_NOTE_OWNER);
  std::uint32_t payload_size = PayloadSize;
  std::uint32_t type = DRASRIOV_NOTE_TYPE;
  std::array<char, round_up_4(sizeof(DRASRIOV_NOTE_OWNER))> name{};
  std::array<char, round_up_4(PayloadSize)> payload{};

  [[nodiscard]] constexpr std::string_view text() const noexcept {
    return {payload.data(), PayloadSize};
  }
};

}  // namespace detail

}  // namespace abi_v1
}  // namespace drasriov::sdk
