// SPDX-License-Identifier: Apache-2.0
#include "refusal.hpp"

#include <charconv>

namespace drasriov::runtime_nri {

std::optional<RefuseAt> refuse_at(std::string_view name) noexcept {
  if (name == "auto") return RefuseAt::kAuto;
  if (name == "sandbox") return RefuseAt::kSandbox;
  if (name == "container") return RefuseAt::kContainer;
  return {};
}

bool keeps_refused_sandboxes(std::string_view runtime, std::string_view version) noexcept {
  if (runtime != "containerd") return false;
  if (version.starts_with('v')) version.remove_prefix(1);
  const char* at = version.data();
  const char* const end = at + version.size();
  int number[3] = {};
  for (int& part : number) {
    if (&part != number) {
      if (at == end || *at != '.') return false;
      ++at;
    }
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc()) return false;
    at = next;
  }
  const auto [major, minor, patch] = number;
  return major == 2 && (minor < 2 || (minor == 2 && patch < 6) || (minor == 3 && patch < 3));
}

}  // namespace drasriov::runtime_nri
