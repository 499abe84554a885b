// SPDX-License-Identifier: Apache-2.0
//
// The committed pages of docs/ are those that the program makes.
#include "tests/docs/generated_docs.hpp"

#include <gtest/gtest.h>

#include "host/base/durable_file.hpp"

namespace drasriov::docs {
namespace {

namespace fs = std::filesystem;

const fs::path kDocs = DRASRIOV_DOCS_DIR;
const fs::path kModules = fs::path(DRASRIOV_CDI_PATH).parent_path();
constexpr const char* kOutdated = "run scripts/generate-docs and commit what it changes";

TEST(GeneratedDocs, CommandLineIsCurrent) {
  const auto committed = read_file(kDocs / "command-line.md");
  ASSERT_TRUE(committed) << committed.error().to_string();
  EXPECT_EQ(*committed, command_line_page()) << kOutdated;
}

TEST(GeneratedDocs, ConfigurationIsCurrent) {
  const auto committed = read_file(kDocs / "configuration.md");
  ASSERT_TRUE(committed) << committed.error().to_string();
  const auto made = configuration_page(*committed, kModules);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(*committed, *made) << kOutdated;
}

TEST(GeneratedDocs, AChangedTableIsMadeAnewAndTheRestStays) {
  auto page = read_file(kDocs / "configuration.md");
  ASSERT_TRUE(page);
  const auto row = page->find("| `debounceMs` |");
  ASSERT_NE(row, std::string::npos);
  const std::string changed =
      "before\n" + page->substr(0, row) + page->substr(row + 20) + "after\n";
  const auto made = configuration_page(changed, kModules);
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, "before\n" + *page + "after\n");
}

TEST(GeneratedDocs, APageWithoutItsMarksIsAnError) {
  const auto made = configuration_page("# Configuration\n", kModules);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(), "the page has no part 'settings'");
}

}  // namespace
}  // namespace drasriov::docs
