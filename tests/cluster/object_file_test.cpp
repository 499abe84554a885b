// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/directory/object_file.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::cluster {
namespace {

using nlohmann::json;

TEST(ObjectFile, NamesThatAreRead) {
  for (const char* name : {"a.yaml", "a.yml", "a.json"}) EXPECT_TRUE(is_object_file(name)) << name;
  for (const char* name : {".a.yaml", ".a.yaml.x1.tmp", "a.yaml~", "README.md", "yaml"})
    EXPECT_FALSE(is_object_file(name)) << name;
}

TEST(ObjectFile, DocumentsListsAndEmptyOnes) {
  const auto documents = parse_documents(
      "# only a comment\n---\nkind: A\n---\n---\nkind: List\nitems: [{kind: B}, {kind: C}]\n");
  ASSERT_TRUE(documents) << documents.error().message();
  ASSERT_EQ(3U, documents->size());
  EXPECT_EQ("C", (*documents)[2]["kind"]);
}

TEST(ObjectFile, ErrorsSayWhere) {
  const auto broken = parse_documents("kind: A\nspec: [1, 2\nmore: 3\n");
  ASSERT_FALSE(broken);
  EXPECT_EQ("3:", broken.error().message().substr(0, 2)) << broken.error().message();
}

/// Whatever JSON says comes back the same, types included, through our own writer and reader.
TEST(ObjectFile, PrintedDocumentsReadBackEqual) {
  const json hard = {
      {"numbers", {0, -1, 3.5, 9007199254740993}},
      {"booleans", {true, false, nullptr}},
      {"texts",
       {"",
        "yes",
        "No",
        "on",
        "null",
        "~",
        "true",
        "123",
        "0x1f",
        "1e3",
        "1.5",
        "-",
        "- a",
        "a: b",
        "#x",
        "%",
        "@x",
        "`",
        "line\nbreak",
        " lead",
        "trail ",
        "tab\t",
        "quote\"",
        "back\\slash",
        "ünïcode",
        "0000:08:00.2",
        "2026-01-01",
        "${HOME}",
        "{\"cniVersion\":\"1.0.0\"}",
        ".nan",
        "a,b",
        "[x]",
        "k: [1]"}},
      {"empty", {{"map", json::object()}, {"list", json::array()}}},
      {"nested", {{{"a", {1, {2, 3}}}, {"b", {{"c", {{"d", "e"}}}}}}}},
      {"yes", "a key that is no boolean"},
      {"1", "a key that is no number"},
      {"key: with colon", 1},
  };
  const std::vector<json> documents{hard, {{"kind", "B"}}};
  const std::string text = print_documents(documents);
  const auto read = parse_documents(text);
  ASSERT_TRUE(read) << read.error().message() << "\n" << text;
  EXPECT_EQ(documents, *read) << text;
}

}  // namespace
}  // namespace drasriov::cluster
