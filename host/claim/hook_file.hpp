// SPDX-License-Identifier: Apache-2.0
//
// HookFile: the program that container runtimes run before a container of a claim with a network step (hook/README.md), at
// a path that is the same for all versions of the driver, because CDI documents and running containers name it. Owned by
// app/. Any thread: whoever finds it missing puts it back, and two that do so write the same bytes.
#pragma once

#include <filesystem>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::claim {

inline constexpr std::string_view kHookName = "dra-driver-sriov-hook";

class HookFile {
 public:
  /// `source`: the program beside the driver's own executable. `directory`: where runtimes see it under the same path.
  HookFile(std::filesystem::path source, const std::filesystem::path& directory);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Puts the program in place, with mode 0755 and at once (runtimes never see a part of it), and removes what an
  /// interrupted install left. Not written when it is there byte for byte.
  [[nodiscard]] Status install() const;

  /// For a claim that is about to name it: two look-ups when it is in place, else install(). The error says that it is
  /// missing and why it cannot be put back.
  [[nodiscard]] Status keep() const;

  /// REQUIRES: no CDI document names it, no container of such a claim is being made.
  [[nodiscard]] Status remove() const;

 private:
  /// Whether an executable file of the source's size is there.
  [[nodiscard]] bool is_in_place() const;

  const std::filesystem::path source_;
  const std::filesystem::path path_;
};

}  // namespace drasriov::claim
