// SPDX-License-Identifier: Apache-2.0
#include "host/app/table.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>

namespace drasriov::app {
namespace {

/// Characters of UTF-8 text: bytes that do not continue one.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void append_row(std::string& out, const std::vector<std::string>& row,
                const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string cell = row[i].empty() ? "-" : row[i];
    line += cell;
    if (i + 1 < row.size()) line.append(widths[i] - width(cell) + 3, ' ');
  }
  out += line + "\n";
}

}  // namespace

std::string format_table(const std::vector<std::string>& header,
                         const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& title : header) widths.push_back(width(title));
  for (const auto& row : rows) {
    assert(row.size() == header.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max({widths[i], width(row[i]), std::size_t{1}});
  }
  std::string out;
  append_row(out, header, widths);
  for (const auto& row : rows) append_row(out, row, widths);
  return out;
}

}  // namespace drasriov::app
