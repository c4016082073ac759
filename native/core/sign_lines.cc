#include "core/sign_lines.h"

#include <algorithm>
#include <array>

#include "core/failure.h"
#include "core/openssl.h"

namespace aws_hmac {
namespace {

using Hash = std::array<uint8_t, kDigestSize>;

void Check(int result) {
  if (result != 1) throw Failure(Api::kNone, "ERR_INTERNAL", "OpenSSL cannot compute SHA-256");
}

const EVP_MD* Sha256() {
  static EVP_MD* const digest =
      EVP_MD_fetch(LibraryContext(), "SHA256", nullptr);  // for good, as its context
  return digest;
}

/// One SHA-256 at a time. OpenSSL wipes its state when it is freed.
class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new()) { Check(context_ ? 1 : 0); }

  void Begin() { Check(EVP_DigestInit_ex2(context_.get(), Sha256(), nullptr)); }
  void Continue(const Hasher& begun) { Check(EVP_MD_CTX_copy_ex(context_.get(), begun.context_.get())); }
  void Add(const void* data, size_t size) { Check(EVP_DigestUpdate(context_.get(), data, size)); }
  void Add(std::string_view text) { Add(text.data(), text.size()); }
  void End(Hash& hash) { Check(EVP_DigestFinal_ex(context_.get(), hash.data(), nullptr)); }

 private:
  DigestContext context_;
};

char* WriteHex(const Hash& hash, char* target) {
  constexpr char kDigits[] = "0123456789abcdef";
  constexpr unsigned kNibble = 4;
  constexpr unsigned kLowNibble = 0xf;
  for (const unsigned byte : hash) {
    *target++ = kDigits[byte >> kNibble];
    *target++ = kDigits[byte & kLowNibble];
  }
  return target;
}

}  // namespace

std::string SignLines(const PaddedKey& key, std::string_view head, const LineFrame& frame,
                      std::string_view lines) {
  Hasher inner;  // the key and what all strings begin with, hashed once
  inner.Begin();
  inner.Add(key.inner.data(), key.inner.size());
  inner.Add(head);
  Hasher outer;
  outer.Begin();
  outer.Add(key.outer.data(), key.outer.size());

  const auto count = static_cast<size_t>(std::count(lines.begin(), lines.end(), '\n'));
  std::string signatures(count * 2 * kDigestSize, '\0');
  char* target = signatures.data();
  std::string message(frame.before);
  std::array<char, 2 * kDigestSize> hex{};
  Hash hash{};
  Hasher hasher;
  for (size_t i = 0; i < count; i++) {
    const size_t end = lines.find('\n');
    message.resize(frame.before.size());
    message.append(lines.substr(0, end)).append(frame.after);
    lines.remove_prefix(end + 1);
    hasher.Begin();
    hasher.Add(message);
    hasher.End(hash);
    WriteHex(hash, hex.data());
    hasher.Continue(inner);
    hasher.Add(hex.data(), hex.size());
    hasher.End(hash);
    hasher.Continue(outer);
    hasher.Add(hash.data(), hash.size());
    hasher.End(hash);
    target = WriteHex(hash, target);
  }
  return signatures;
}

}  // namespace aws_hmac
