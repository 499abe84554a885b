// SPDX-License-Identifier: Apache-2.0
#include "hook/attachment_check.hpp"

#include <gtest/gtest.h>

#include <string>

namespace drasriov::hook {
namespace {

const std::string kNone = "neither the annotation";
const std::string kBroken = "not one JSON object";

struct Row {
  std::string state;
  std::string id;
  std::string problem;  ///< part of it
};

TEST(SandboxOfState, Table) {
  const std::string containerd = R"("io.kubernetes.cri.sandbox-id":"abc")";
  const std::string crio = R"("io.kubernetes.cri-o.SandboxID":"abc")";
  for (const Row& row : {
           Row{R"({"ociVersion":"1.0.2","id":"c","pid":7,"annotations":{)" + containerd + "}}",
               "abc", ""},
           Row{"{\"annotations\":{" + crio + "}}", "abc", ""},
           Row{" {\n \"annotations\" : { \"x\" : \"y\" , " + containerd +
                   " } , \"z\" : [1, null]\n}\n",
               "abc", ""},
           Row{R"({"annotations":{"io.kubernetes.cri.sandbox\u002did":"abc"}})", "abc", ""},
           Row{"{\"annotations\":{" + containerd + "," + crio + "}}", "abc", ""},
           Row{"{\"annotations\":{" + containerd + R"(,"io.kubernetes.cri-o.SandboxID":"abd"}})",
               "", "two sandboxes"},
           Row{"{\"annotations\":{" + containerd + R"(,"io.kubernetes.cri.sandbox-id":"x"}})", "",
               "two sandboxes"},
           // A value that looks like the annotation, or one somewhere else, is none.
           Row{R"({"annotations":{"a":"\"io.kubernetes.cri.sandbox-id\":\"abc\""}})", "", kNone},
           Row{"{\"x\":{\"annotations\":{" + containerd + "}}}", "", kNone},
           Row{"{" + containerd + "}", "", kNone},
           Row{"{\"annotations\":{\"x\":{" + containerd + "}}}", "", kNone},
           Row{R"({"annotations":{"io.kubernetes.cri.sandbox-id":7}})", "", kNone},
           Row{R"({"annotations":{"io.kubernetes.cri.sandbox-id":""}})", "", kNone},
           Row{R"({"annotations":null})", "", kNone},
           Row{"{}", "", kNone},
           Row{R"({"annotations":{"io.kubernetes.cri.sandbox-id":"../b"}})", "", "plain name"},
           Row{R"({"annotations":{"io.kubernetes.cri.sandbox-id":".."}})", "", "plain name"},
           Row{R"({"annotations":{"io.kubernetes.cri.sandbox-id":"a\u002fb"}})", "", "plain name"},
           Row{"", "", kBroken},
           Row{"[]", "", kBroken},
           Row{"{\"annotations\":{" + containerd + "}", "", kBroken},
           Row{"{\"annotations\":{" + containerd + "}}}", "", kBroken},
           Row{"{\"annotations\":{" + containerd + "}}{}", "", kBroken},
           Row{"{\"annotations\":{" + containerd + "},}", "", kBroken},
           Row{"{\"annotations\":{" + containerd + "}, \"x\":}", "", kBroken},
           Row{"{\"a\":\"\\", "", kBroken},
           Row{"{\"a\":" + std::string(100000, '['), "", kBroken},
       }) {
    const auto found = sandbox_of_state(row.state);
    EXPECT_EQ(found.id, row.id) << row.state.substr(0, 200);
    EXPECT_NE(found.problem.find(row.problem), std::string_view::npos)
        << row.state.substr(0, 200) << ": " << found.problem;
    EXPECT_EQ(found.id.empty(), !found.problem.empty());
  }
}

TEST(SandboxOfState, NoCutStateIsWhole) {
  const std::string state =
      R"({"id":"c","bundle":"/b","annotations":{"io.kubernetes.cri.sandbox-id":"abc","k":"v"},"l":[{"a":-1.5e3}]})";
  ASSERT_EQ(sandbox_of_state(state).id, "abc");
  for (std::size_t size = 0; size < state.size(); ++size)
    EXPECT_EQ(sandbox_of_state(state.substr(0, size)).id, "") << size;
}

TEST(PlainName, Table) {
  for (const char* name : {"a", "A-1_b.c", "0f"}) EXPECT_TRUE(is_plain_name(name)) << name;
  for (const char* name : {"", ".", "..", ".a", "a/b", "a b", "\xc3\xa4"})
    EXPECT_FALSE(is_plain_name(name)) << name;
  EXPECT_TRUE(is_plain_name(std::string(128, 'a')));
  EXPECT_FALSE(is_plain_name(std::string(129, 'a')));
}

}  // namespace
}  // namespace drasriov::hook
