#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/secret_bytes.h"

namespace aws_hmac::napi {

/// Reads the members of an options object into C++ values, copying. lib/ validates what users pass; what
/// arrives here with another type is a defect of lib/ and throws a TypeError that names the member.
class Options {
 public:
  explicit Options(Napi::Value object);

  bool Has(const char* name) const;
  std::string String(const char* name) const;
  bool Boolean(const char* name) const;
  uint32_t Uint32(const char* name) const;
  Bytes ByteArray(const char* name) const;
  SecretBytes Secret(const char* name) const;
  Options Nested(const char* name) const;
  std::vector<Options> List(const char* name) const;
  std::vector<Bytes> ByteArrays(const char* name) const;

  std::optional<std::string> OptionalString(const char* name) const;
  std::optional<Bytes> OptionalByteArray(const char* name) const;
  /// An integer of 0..2^53-1.
  std::optional<uint64_t> OptionalInteger(const char* name) const;

  /// Throws the TypeError of a member that is not as wanted.
  [[noreturn]] void Refuse(const char* name, const char* wanted) const;

 private:
  std::span<const uint8_t> View(const char* name) const;
  Napi::Value Get(const char* name) const;
  Napi::Array ArrayOf(const char* name) const;
  Napi::Object object_;
};

/// The bytes of a Uint8Array, valid while JavaScript does not run.
std::span<const uint8_t> BytesOf(Napi::Value value, const char* name);
/// An unsigned integer that fits a JavaScript number exactly.
uint64_t IntegerOf(Napi::Value value, const char* name);

}  // namespace aws_hmac::napi
