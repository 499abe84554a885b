// SPDX-License-Identifier: Apache-2.0
//
// docs/attributes.md: its table "From the machine" is what a scan reports, with types and examples.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "tests/plugins/discovery-sysfs/scanned.hpp"
#include "tests/plugins/discovery-sysfs/sysfs_tree.hpp"

namespace drasriov::discovery_sysfs::testing {
namespace {

struct Row {
  std::string type;
  std::string example;
  friend bool operator==(const Row&, const Row&) = default;
  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.type << " " << row.example; }
};
using Rows = std::map<std::string, Row>;

std::string without_quotes(const std::string& cell) {
  const auto begin = cell.find_first_not_of(" `");
  return begin == std::string::npos ? ""
                                    : cell.substr(begin, cell.find_last_not_of(" `") - begin + 1);
}

/// The rows of the table below `heading` whose first cell is code.
Rows table(const std::string& heading) {
  const std::string page = read_file(DRASRIOV_ATTRIBUTES_PAGE);
  const auto begin = page.find("\n## " + heading + "\n");
  EXPECT_NE(begin, std::string::npos) << heading;
  std::istringstream lines(page.substr(begin + 1, page.find("\n## ", begin + 1) - begin - 1));
  Rows rows;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    std::istringstream cells(line.substr(1));
    std::string name;
    Row row;
    std::getline(cells, name, '|');
    std::getline(cells, row.type, '|');
    std::getline(cells, row.example, '|');
    row = {without_quotes(row.type), without_quotes(row.example)};
    EXPECT_TRUE(rows.emplace(without_quotes(name), row).second) << name << " stands twice";
  }
  return rows;
}

Row row_of(const sdk::Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return {"integer", std::to_string(*integer)};
  if (const auto* boolean = std::get_if<bool>(&value))
    return {"boolean", *boolean ? "true" : "false"};
  if (const auto* string = std::get_if<std::string>(&value)) return {"string", *string};
  return {"a type that the page does not know", ""};
}

/// Functions of PFs are left out: no slice shows them.
std::set<std::string> names(const Scanned& scanned) {
  std::set<std::string> all;
  for (const sdk::Device& device : scanned.devices()) {
    if (device.kind() != DRASRIOV_DEVICE_VF) continue;
    for (const sdk::Attribute& attribute : device.attributes()) all.insert(attribute.key);
  }
  return all;
}

TEST(AttributesPage, ShowsWhatAScanReports) {
  const Scanned scanned(SysfsTree::capture("b-vfs-igbvf"));
  const sdk::Device* vf = scanned.device("0000-11-10-2");
  ASSERT_NE(vf, nullptr);
  Rows reported;
  for (const sdk::Attribute& attribute : vf->attributes())
    reported.emplace(attribute.key, row_of(attribute.value));
  EXPECT_EQ(table("From the machine"), reported);
}

TEST(AttributesPage, OfNoOtherMachineIsAnythingElseReported) {
  std::set<std::string> known;
  for (const auto& [name, row] : table("From the machine")) known.insert(name);
  for (const char* capture : {"b-vfs-igbvf", "c-one-vfio"})
    EXPECT_EQ(names(Scanned(SysfsTree::capture(capture))), known) << capture;
  EXPECT_EQ(names(Scanned(SysfsTree::synthetic("--pfs 1 --vfs 2 --vendor 0x15b3 --device 0x101d "
                                               "--vf-device 0x101e --driver mlx5_core --vf-driver "
                                               "mlx5_core --offset 2 --stride 1"))),
            known);
}

}  // namespace
}  // namespace drasriov::discovery_sysfs::testing
