// SPDX-License-Identifier: Apache-2.0
#include "host/device/fields.hpp"

#include <gmock/gmock.h>

#include <string>
#include <thread>
#include <vector>

namespace drasriov::device {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(Key, TheSameTextIsKeptOnce) {
  const std::string text = "example.com/" + std::string(20, 'k');
  const Key first(text);
  const Key second(std::string_view(text).substr(0));
  EXPECT_EQ(first, second);
  EXPECT_EQ(&first.str(), &second.str());
  EXPECT_NE(&first.str(), &text);
  EXPECT_FALSE(first == Key("example.com"));
}

TEST(Key, IsMadeByAnyThread) {
  std::vector<std::thread> threads;
  std::vector<std::vector<const std::string*>> seen(4);
  for (auto& texts : seen) {
    threads.emplace_back([&texts] {
      for (int i = 0; i < 500; ++i) texts.push_back(&Key("thread-" + std::to_string(i)).str());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& texts : seen) EXPECT_EQ(texts, seen.front());
}

TEST(Fields, AreInTheOrderOfTheirTexts) {
  Fields<std::string> fields;
  for (const char* key : {"vendor", "b.example/x", "driver", "a"}) fields[key] = key;
  EXPECT_THAT(fields, ElementsAre(Pair("a", "a"), Pair("b.example/x", "b.example/x"),
                                  Pair("driver", "driver"), Pair("vendor", "vendor")));
  EXPECT_EQ(fields.find(std::string_view("driver"))->second, "driver");
  EXPECT_EQ(fields.find("drive"), fields.end());
}

TEST(Fields, OfTwoTheFirstKeepsItsOwnWhenTheyMerge) {
  Fields<std::string> ours = {{"driver", "igbvf"}, {"vendor", "8086"}};
  Fields<std::string> more = {{"vendor", "ffff"}, {"rdma", "1"}};
  ours.merge(more);
  EXPECT_THAT(ours,
              ElementsAre(Pair("driver", "igbvf"), Pair("rdma", "1"), Pair("vendor", "8086")));
}

}  // namespace
}  // namespace drasriov::device
