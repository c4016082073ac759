#include "core/sign_lines.h"

#include <gtest/gtest.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <string>

namespace aws_hmac {
namespace {

std::string Hex(const unsigned char* bytes) {
  std::string text;
  for (size_t i = 0; i < kDigestSize; i++) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", bytes[i]);
    text += digits.data();
  }
  return text;
}

/// OpenSSL's own HMAC of `head` and the hash of `message`.
std::string Expected(const std::string& key, const std::string& head, const std::string& message) {
  std::array<unsigned char, kDigestSize> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(message.data()), message.size(), hash.data());
  const std::string text = head + Hex(hash.data());
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data(), nullptr);
  return Hex(hash.data());
}

using Block = std::array<uint8_t, kBlockSize>;

Block Padded(const std::string& key, uint8_t with) {
  Block block{};
  block.fill(with);
  for (size_t i = 0; i < key.size(); i++)
    block[i] = static_cast<uint8_t>(block[i] ^ static_cast<uint8_t>(key[i]));
  return block;
}

class SignLinesTest : public testing::Test {
 protected:
  std::string Sign(const std::string& head, const LineFrame& frame, const std::string& lines) {
    return SignLines({.inner = inner_, .outer = outer_}, head, frame, lines);
  }

  const std::string key_ = "a signing key of 32 bytes, so to";
  const Block inner_ = Padded(key_, 0x36);
  const Block outer_ = Padded(key_, 0x5c);
};

TEST_F(SignLinesTest, SignsEachLineInItsFrame) {
  const std::string head = "AWS4-HMAC-SHA256\n20261129T120000Z\n20261129/eu-central-1/s3/aws4_request\n";
  std::string lines;
  std::string expected;
  for (size_t length = 0; length < 300; length++) {  // past every border of SHA-256's blocks
    const std::string line(length, static_cast<char>('a' + length % 26));
    lines += line + "\n";
    expected += Expected(key_, head, "GET\n" + line + "\nhost:a");
  }
  EXPECT_EQ(Sign(head, {.before = "GET\n", .after = "\nhost:a"}, lines), expected);
}

TEST_F(SignLinesTest, TakesEmptyPartsAndLongHeads) {
  EXPECT_EQ(Sign("", {.before = "", .after = ""}, "\n"), Expected(key_, "", ""));
  const std::string head(1000, 'h');
  EXPECT_EQ(Sign(head, {.before = "b", .after = ""}, "\xff\n"), Expected(key_, head, "b\xff"));
}

TEST_F(SignLinesTest, GivesNothingForNoLineAndLeavesOutWhatHasNoEnd) {
  EXPECT_EQ(Sign("h", {.before = "b", .after = "a"}, ""), "");
  EXPECT_EQ(Sign("h", {.before = "b", .after = "a"}, "one\ntwo"), Expected(key_, "h", "bonea"));
}

}  // namespace
}  // namespace aws_hmac
