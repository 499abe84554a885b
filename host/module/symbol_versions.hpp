// SPDX-License-Identifier: Apache-2.0
//
// The symbol versions (GLIBC_2.34, GLIBCXX_3.4.30 …) of the libraries that this process has mapped, to
// say in words what the dynamic linker would refuse. Any thread.
#pragma once

#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/module/elf_image.hpp"

namespace drasriov::module {

/// The highest version of each family that `table` needs, "GLIBC_2.34", sorted by family.
[[nodiscard]] std::vector<std::string> highest_needed(const DynamicTable& table);

/// FAILED_PRECONDITION when a library that is mapped here (libc.so.6, libstdc++.so.6 …) lacks a
/// version that `table` needs of it. Libraries that are not mapped are not judged.
[[nodiscard]] Status check_symbol_versions(const DynamicTable& table);

}  // namespace drasriov::module
