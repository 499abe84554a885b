// SPDX-License-Identifier: Apache-2.0
//
// Entry for libFuzzer: everything that is read from a module file before it is mapped. The bytes are
// those of a file that a stranger built. tests/module/elf_image_test.cpp drives the same function with
// every small damage of a valid file.
#include <drasriov/abi/module.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "host/module/elf_image.hpp"
#include "host/module/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drasriov::module;
  const auto image = ElfImage::parse(std::as_bytes(std::span(data, size)));
  if (!image) return 0;
  const auto note = image->note(DRASRIOV_NOTE_SECTION, DRASRIOV_NOTE_OWNER, DRASRIOV_NOTE_TYPE);
  if (note && note->has_value()) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>((*note)->data());
    if (begin < data || begin > data + size || (*note)->size() > size) std::abort();
    if (const auto manifest = parse_manifest(**note)) {
      (void)check_compatible(*manifest, HostAbi::of_this_build());
    }
  }
  (void)image->dynamic_table();
  return 0;
}
