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

const StoreKey kB{"v1/B", {"ns", "b"}};

std::string edited(std::string_view text, const StoreKey& key, const DocumentEdit& edit) {
  const auto result = edit_document(text, key, edit);
  return result ? *result : result.error().to_string();
}

constexpr const char* kThree = R"(# the first, in flow style
{apiVersion: v1, kind: A, metadata: {name: a}}
---
# the second
apiVersion: v1
kind: B
metadata: {name: b, namespace: ns}   # keep this
status:
  old: 1

# and this
spec: {x: "0123"}
---
# the third
apiVersion: v1
kind: C
metadata:
    name: c
)";

TEST(EditDocument, StatusTakesThePlaceOfTheOldOneAndNothingElseMoves) {
  const json status = {{"devices", {{{"device", "0000-08-00-2"}}}}};
  EXPECT_EQ(edited(kThree, kB, {DocumentEdit::Kind::kStatus, &status}),
            R"(# the first, in flow style
{apiVersion: v1, kind: A, metadata: {name: a}}
---
# the second
apiVersion: v1
kind: B
metadata: {name: b, namespace: ns}   # keep this
status:
  devices:
    - device: "0000-08-00-2"
# and this
spec: {x: "0123"}
---
# the third
apiVersion: v1
kind: C
metadata:
    name: c
)");
}

TEST(EditDocument, StatusIsAddedAtTheEndOfItsDocumentAndTakenAway) {
  const json status = {{"x", 1}};
  const std::string without = "kind: B\napiVersion: v1\nmetadata: {name: b, namespace: ns}";
  const std::string with = without + "\nstatus:\n  x: 1\n";
  EXPECT_EQ(edited(without, kB, {DocumentEdit::Kind::kStatus, &status}), with);
  const json none;
  EXPECT_EQ(edited(with, kB, {DocumentEdit::Kind::kStatus, &none}), without + "\n");
}

TEST(EditDocument, ADocumentInFlowStyleIsWrittenAnew) {
  const json status = {{"x", 1}};
  const std::string text(kThree);
  EXPECT_EQ(edited(text, {"v1/A", {"", "a"}}, {DocumentEdit::Kind::kStatus, &status}),
            "apiVersion: v1\nkind: A\nmetadata:\n  name: a\nstatus:\n  x: 1\n" +
                text.substr(text.find("---\n")));
}

// Without its lines the status takes an anchor along, and what follows would mean something else.
TEST(EditDocument, ADocumentThatWouldChangeItsMeaningIsWrittenAnew) {
  const json status = {{"x", 1}};
  const std::string text = edited(
      "apiVersion: v1\nkind: B\nmetadata: {name: b, namespace: ns}\na: &x 1\nstatus: &x {y: 2}\nb: "
      "*x\n",
      kB, {DocumentEdit::Kind::kStatus, &status});
  const auto documents = parse_documents(text);
  ASSERT_TRUE(documents) << text;
  EXPECT_EQ((*documents)[0]["b"], json({{"y", 2}})) << text;
  EXPECT_EQ((*documents)[0]["status"], status);
}

TEST(EditDocument, PutReplacesOrAppendsAndRemoveTakesOut) {
  const json b = {
      {"apiVersion", "v1"}, {"kind", "B"}, {"metadata", {{"name", "b"}, {"namespace", "ns"}}}};
  const std::string text(kThree);
  const auto second = text.find("---\n");
  const auto third = text.find("---\n", second + 1);
  const std::string printed =
      "---\napiVersion: v1\nkind: B\nmetadata:\n  name: b\n  namespace: ns\n";
  EXPECT_EQ(edited(text, kB, {DocumentEdit::Kind::kPut, &b}),
            text.substr(0, second) + printed + text.substr(third));
  const std::string removed = edited(text, kB, {DocumentEdit::Kind::kRemove, nullptr});
  EXPECT_EQ(removed, text.substr(0, second) + text.substr(third));
  EXPECT_EQ(edited(removed, kB, {DocumentEdit::Kind::kPut, &b}), removed + printed);
  EXPECT_EQ(edited("", kB, {DocumentEdit::Kind::kPut, &b}), printed.substr(4));
}

TEST(EditDocument, AFileWithoutDocumentsIsEmpty) {
  EXPECT_EQ(edited("# note\n---\nkind: B\napiVersion: v1\nmetadata: {name: b, namespace: ns}\n", kB,
                   {DocumentEdit::Kind::kRemove, nullptr}),
            "");
}

TEST(EditDocument, AListKeepsItsOtherItems) {
  const json status = {{"x", 1}};
  const auto documents = parse_documents(edited(
      "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n"
      "- {apiVersion: v1, kind: B, metadata: {name: b, namespace: ns}}\n",
      kB, {DocumentEdit::Kind::kStatus, &status}));
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 2U);
  EXPECT_EQ((*documents)[0]["kind"], "A");
  EXPECT_EQ((*documents)[1]["status"], status);
}

TEST(EditDocument, JsonStaysJson) {
  const json status = {{"x", 1}};
  const std::string text =
      edited(R"({"apiVersion": "v1", "kind": "B", "metadata": {"name": "b", "namespace": "ns"}})",
             kB, {DocumentEdit::Kind::kStatus, &status});
  EXPECT_EQ(json::parse(text)["status"], status);
}

TEST(EditDocument, WhatIsNotThereIsAnError) {
  const json status;
  EXPECT_EQ(edited("", kB, {DocumentEdit::Kind::kStatus, &status}), "v1/B ns/b is not in the file");
  EXPECT_EQ(edited("kind: [", kB, {DocumentEdit::Kind::kRemove, nullptr}).substr(0, 2), "1:");
}

/// Whatever JSON says comes back the same, types included, through our own writer and reader.
TEST(EditDocument, WrittenDocumentsReadBackEqual) {
  const json hard = {
      {"apiVersion", "v1"},
      {"kind", "B"},
      {"metadata", {{"name", "b"}, {"namespace", "ns"}}},
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
  const std::string text = edited("kind: A\n", kB, {DocumentEdit::Kind::kPut, &hard});
  const auto read = parse_documents(text);
  ASSERT_TRUE(read) << read.error().message() << "\n" << text;
  EXPECT_EQ((std::vector<json>{{{"kind", "A"}}, hard}), *read) << text;
}

}  // namespace
}  // namespace drasriov::cluster
