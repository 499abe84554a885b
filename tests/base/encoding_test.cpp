// SPDX-License-Identifier: Apache-2.0
#include "host/base/encoding.hpp"

#include <gtest/gtest.h>

#include <random>
#include <utility>

namespace drasriov {
namespace {

/// RFC 4648 section 10.
constexpr std::pair<std::string_view, std::string_view> kBase64[] = {{"", ""},
                                                                     {"f", "Zg=="},
                                                                     {"fo", "Zm8="},
                                                                     {"foo", "Zm9v"},
                                                                     {"foob", "Zm9vYg=="},
                                                                     {"fooba", "Zm9vYmE="},
                                                                     {"foobar", "Zm9vYmFy"},
                                                                     {"\xfb\xff\xfe", "+//+"}};

TEST(Base64, AsTheStandardSays) {
  for (const auto& [bytes, text] : kBase64) {
    EXPECT_EQ(base64_encode(bytes), text);
    const auto decoded = base64_decode(text);
    ASSERT_TRUE(decoded) << text;
    EXPECT_EQ(*decoded, bytes);
  }
}

TEST(Base64, AnyBytesComeBack) {
  std::minstd_rand random(1);
  for (std::size_t size = 0; size < 300; ++size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() & 0xff);
    const auto decoded = base64_decode(base64_encode(bytes));
    ASSERT_TRUE(decoded) << size;
    EXPECT_EQ(*decoded, bytes);
  }
}

TEST(Base64, WhatItWouldNotHaveWrittenIsRefused) {
  for (const char* text : {"Z", "Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "=Zg=", "Zg==Zg==",
                           "Zm 9", "Zm9v\n", "Zm9-", "\xff\xff\xff\xff", "Zm9v=="}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

TEST(Sha256, AsTheStandardSays) {
  // FIPS 180-4, examples of NIST.
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace drasriov
