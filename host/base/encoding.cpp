// SPDX-License-Identifier: Apache-2.0
#include "host/base/encoding.hpp"

// Those of the low level are a few kilobytes in the program; the ones that should be called instead are a library of
// 5 MiB, loaded at each start.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>
#include <cstdint>

namespace drasriov {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  const auto byte = [&](std::size_t at) -> std::uint32_t {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
  };
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::uint32_t group = byte(at) << 16U | byte(at + 1) << 8U | byte(at + 2);
    for (const unsigned shift : {18U, 12U, 6U, 0U}) text.push_back(kAlphabet[group >> shift & 63U]);
  }
  for (std::size_t left = bytes.size() % 3; left != 0 && left < 3; ++left)
    text[text.size() - 3 + left] = '=';
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0)
    return Error(Code::kInvalidArgument, "base64: length is not a multiple of 4");
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t group = 0;
    for (const std::size_t i : {at, at + 1, at + 2, at + 3}) {
      const auto digit = i < text.size() - padding ? kAlphabet.find(text[i]) : 0;
      if (digit == std::string_view::npos)
        return Error(Code::kInvalidArgument, "base64: a character outside the alphabet");
      group = group << 6U | static_cast<std::uint32_t>(digit);
    }
    for (const unsigned shift : {16U, 8U, 0U})
      bytes.push_back(static_cast<char>(group >> shift & 0xffU));
  }
  bytes.erase(bytes.size() - padding);
  if (base64_encode(bytes) != text)
    return Error(Code::kInvalidArgument, "base64: not in canonical form");
  return bytes;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_CTX context{};
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(digest.size() * 2);
  for (const unsigned char each : digest) {
    text.push_back(kDigits[each >> 4U]);
    text.push_back(kDigits[each & 0xfU]);
  }
  return text;
}

}  // namespace drasriov
