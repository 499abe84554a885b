// SPDX-License-Identifier: Apache-2.0
//
// The short cut must never read anything else than the full reader would: compared on what the writer writes, on text in
// people's style, and on thousands of damaged documents.
#include "host/cluster/directory/block_yaml.hpp"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <random>

#include "host/config/yaml_json.hpp"

namespace drasriov::cluster {
namespace {

using nlohmann::json;

/// nullopt for an error.
std::optional<json> full_reader(const std::string& text) {
  try {
    const auto nodes = YAML::LoadAll(text);
    if (nodes.size() != 1) return std::nullopt;
    auto document = config::yaml_to_json(nodes.front(), nullptr);
    return document ? std::optional<json>(*std::move(document)) : std::nullopt;
  } catch (const YAML::Exception&) {
    return std::nullopt;
  }
}

class RandomDocument {
 public:
  explicit RandomDocument(std::uint32_t seed) : random_(seed) {}

  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_);
  }

  std::string text() {
    static const std::vector<std::string> kTexts = {"",
                                                    "yes",
                                                    "No",
                                                    "null",
                                                    "~",
                                                    "true",
                                                    "123",
                                                    "0x1f",
                                                    "1e3",
                                                    "-",
                                                    "- a",
                                                    "a: b",
                                                    "a:b",
                                                    "#x",
                                                    " lead",
                                                    "trail ",
                                                    "tab\t",
                                                    "line\nbreak",
                                                    "q\"q",
                                                    "b\\s",
                                                    "ünï",
                                                    "{}",
                                                    "[]",
                                                    "{a: b}",
                                                    "0000:08:00.2",
                                                    "a/b",
                                                    "/dev/vfio",
                                                    "2026-01-01",
                                                    ".5",
                                                    "1_000",
                                                    "\x01\x1f",
                                                    "\x7f",
                                                    "---",
                                                    "...",
                                                    "%x",
                                                    "!t",
                                                    "&a",
                                                    "*a",
                                                    "a,b",
                                                    "k: [1]",
                                                    "resource.k8s.io/v1",
                                                    "x-y_z.0",
                                                    "NaN",
                                                    ".inf",
                                                    "0o17"};
    return kTexts[below(static_cast<unsigned>(kTexts.size()))];
  }

  json value(int depth) {
    switch (below(depth > 4 ? 5 : 8)) {
      case 0: return nullptr;
      case 1: return below(2) == 0;
      case 2: return static_cast<std::int64_t>(below(2000)) - 1000;
      case 3:
      case 4: return text();
      case 5: {
        json list = json::array();
        for (unsigned i = below(4); i > 0; --i) list.push_back(value(depth + 1));
        return list;
      }
      default: {
        json map = json::object();
        for (unsigned i = below(4); i > 0; --i) map[text()] = value(depth + 1);
        return map;
      }
    }
  }

 private:
  std::mt19937 random_;
};

TEST(BlockYaml, WrittenDocumentsAreReadBackByBothReaders) {
  RandomDocument random(1);
  for (int i = 0; i < 2000; ++i) {
    const json document = random.value(0);
    const std::string text = print_block_yaml(document);
    EXPECT_EQ(document, full_reader(text).value_or("failed")) << text;
    const auto quick = read_block_yaml(text);
    // A scalar alone is left to the full reader.
    if (document.is_structured() && !document.empty()) {
      ASSERT_TRUE(quick) << text;
      EXPECT_EQ(document, *quick) << text;
    }
  }
}

TEST(BlockYaml, DamagedDocumentsAreReadAsTheFullReaderDoesOrNotAtAll) {
  RandomDocument random(2);
  static constexpr std::string_view kSigns = "\n\n  --::\"'#{}[],&*!|>%@`~\\tx0-.\t\r";
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = print_block_yaml({{"a", random.value(1)}, {"b", random.value(1)}});
    for (unsigned n = 1 + random.below(3); n > 0; --n) {
      const unsigned at = random.below(static_cast<unsigned>(text.size()));
      const char sign = kSigns[random.below(static_cast<unsigned>(kSigns.size()))];
      switch (random.below(3)) {
        case 0: text.erase(at, 1); break;
        case 1: text.insert(at, 1, sign); break;
        default: text[at] = sign;
      }
      if (text.empty()) text = "x";
    }
    const auto quick = read_block_yaml(text);
    if (!quick) continue;
    ++accepted;
    ASSERT_EQ(*quick, full_reader(text).value_or("failed")) << text;
  }
  EXPECT_GT(accepted, 1000);
}

TEST(BlockYaml, PeoplesStyle) {
  const std::string text =
      "---\n"
      "apiVersion: resource.k8s.io/v1\n"
      "kind: ResourceClaim\n"
      "metadata:\n"
      "  name: c1\n"
      "spec:\n"
      "  list:\n"
      "  - name: a\n"
      "    count: 2\n"
      "  - name: b\n"
      "  nested:\n"
      "  -\n"
      "    - 1\n"
      "    - -2\n"
      "  address: \"0000:08:00.2\"\n";
  ASSERT_TRUE(read_block_yaml(text));
  EXPECT_EQ(full_reader(text), read_block_yaml(text));
}

TEST(BlockYaml, LeavesTheRestToTheFullReader) {
  for (const char* text : {"",
                           "a",
                           "a:\n",
                           "a: b # comment\n",
                           "# comment\na: b\n",
                           "a: {b: c}\n",
                           "a: 'b'\n",
                           "a: |\n  b\n",
                           "a: b\n  c\n",
                           "a: &x b\n",
                           "a: 0123\n",
                           "a: 1.5\n",
                           "a: yes\n",
                           "a: ~\n",
                           "yes: a\n",
                           "1: a\n",
                           "a: b\na: c\n",
                           "a:\n   b: c\n",
                           "a: b\n\nc: d\n",
                           "a: b\n---\nc: d\n",
                           "a: b\r\n",
                           "a:\tb\n",
                           "a: \"\\ud83d\\ude00\"\n",
                           "a: \"\\x41\"\n",
                           "- a\n- - b\n",
                           "? a\n: b\n",
                           "a: b: c\n"}) {
    EXPECT_FALSE(read_block_yaml(text)) << text;
  }
}

TEST(BlockYaml, DepthIsLimited) {
  json deep = 1;
  for (int i = 0; i < 200; ++i) deep = {{"a", deep}};
  EXPECT_FALSE(read_block_yaml(print_block_yaml(deep)));
}

}  // namespace
}  // namespace drasriov::cluster
