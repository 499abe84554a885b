// SPDX-License-Identifier: Apache-2.0
#include "host/publish/api_time.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace drasriov::publish {
namespace {

/// "2026-01-02T03:04:05"
std::string utc_seconds(Time time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return {text.data(), size};
}

}  // namespace

std::string api_time(Time time) {
  return utc_seconds(time) + "Z";
}

std::string api_micro_time(Time time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time - whole).count();
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>(micros));
  return utc_seconds(time) + fraction.data();
}

}  // namespace drasriov::publish
