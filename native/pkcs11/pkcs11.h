#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/bytes.h"
#include "core/hmac_device.h"
#include "core/secret_bytes.h"

/// PKCS#11 through p11-kit. Synchronous; an object made here belongs to the thread that made it.
namespace aws_hmac::pkcs11 {

struct Version {
  uint8_t major;
  uint8_t minor;

  bool operator==(const Version&) const = default;
};

/// Which token: every member that is set must match, and exactly one token must. Texts are without padding.
struct TokenQuery {
  /// Path of a module; without it p11-kit's configured modules are searched.
  std::optional<std::string> module{};
  std::optional<std::string> label{};
  std::optional<std::string> serial{};
  std::optional<uint64_t> slot{};  // CK_SLOT_ID
  std::optional<std::string> manufacturer{};
  std::optional<std::string> model{};
  std::optional<std::string> slot_manufacturer{};
  std::optional<std::string> slot_description{};
  std::optional<std::string> library_manufacturer{};
  std::optional<std::string> library_description{};
  std::optional<Version> library_version{};
  /// What p11-kit's configuration calls the module.
  std::optional<std::string> module_name{};
  /// For C_Initialize's pReserved; with `module` or `module_name` only.
  std::optional<std::string> init_args{};
};

/// How to log in as the user (CKU_USER).
struct Credential {
  SecretBytes pin{};             // empty: somebody enters it at the token's PIN pad
  Bytes digest{};                // of the PIN, made with PinSalt(): a refused one is remembered by it
  bool allow_final_try = false;  // log in though a wrong PIN would lock the token
};

/// 32 random bytes, the same as long as the process lives: what PINs are hashed with.
std::span<const uint8_t> PinSalt();

struct OpenOptions {
  TokenQuery token;
  std::optional<std::string> label;  // CKA_LABEL
  std::optional<Bytes> id;           // CKA_ID
  std::optional<Credential> login;   // without it none is tried
};

/// Loads the module, finds token and key, logs in. Throws Failure.
std::unique_ptr<HmacDevice> OpenKey(OpenOptions options);

struct ImportOptions {
  TokenQuery token;
  std::string label;
  Bytes id;  // may be empty
  Credential login;
  SecretBytes key;  // the HMAC key
};

/// What the token says of the new key.
struct Imported {
  bool extractable;
};

/// C_CreateObject of a CKK_GENERIC_SECRET with every protecting attribute explicit; proves that its value
/// does not come out and that it answers `probe`; a key that fails either is destroyed again. Throws Failure.
Imported ImportKey(ImportOptions options, const Probe& probe);

}  // namespace aws_hmac::pkcs11
