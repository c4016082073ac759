#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
  uint32_t threads = 1;       // that sign, each with a session of its own as far as the token gives them
  bool session_copy = false;  // sign with a copy of the key in each session
  /// How long a copy is used before the key on the token is looked up and copied anew.
  std::chrono::milliseconds copy_for{30'000};
};

/// Loads the module, finds token and key, logs in. What is lost in use is opened again, with pauses and a
/// bound. Throws Failure.
std::unique_ptr<HmacDevice> OpenKey(OpenOptions options);

/// How a new key is encrypted on its way: for the RSA private key that these name, or one made for the
/// purpose; or, where `wrapped` is given, with the AES key that they name.
struct Wrapping {
  std::optional<std::string> label;
  std::optional<Bytes> id;
  Bytes wrapped{};  // the HMAC key under AES key wrap with padding (RFC 5649)
};

struct ImportOptions {
  TokenQuery token;
  std::string label;
  Bytes id;                // may be empty
  bool has_own_id = true;  // it was chosen, not made for this key
  Bytes spare_id{};        // another one that nothing has
  Credential login;
  SecretBytes key;                     // the HMAC key
  std::optional<Wrapping> wrapping{};  // without it the token gets it in the clear
  bool replace = false;                // the key of this label and, if it was chosen, this id goes
  bool allow_wrapping = false;
};

/// What the token says and does of the new key.
struct Imported {
  bool extractable;
  std::optional<bool> wrappable;      // nothing: it makes no key to try with
  std::vector<std::string> left_out;  // attributes that it did not want to be told, e.g. "CKA_DERIVE"
};

/// C_CreateObject or C_UnwrapKey of a CKK_GENERIC_SECRET with every protecting attribute explicit; proves
/// that its value does not come out and that it answers `probe`; a key that fails either is destroyed again.
/// A key that is replaced goes last. Throws Failure.
Imported ImportKey(ImportOptions options, const Probe& probe);

struct ListOptions {
  TokenQuery token;
  std::optional<Credential> login;  // for one token alone
};

struct ListedKey {
  Bytes label;
  Bytes id;
  std::string type;                     // "CKK_GENERIC_SECRET" or "CKK_SHA256_HMAC"
  std::vector<std::string> attributes;  // those that are true, e.g. "CKA_SIGN"
  bool is_usable;
};

struct ListedToken {
  std::string module;  // its path
  std::string label;
  std::string serial;
  std::string manufacturer;
  std::string model;
  uint64_t slot;
  uint64_t flags;  // of CK_TOKEN_INFO
  bool logged_in{};
  std::vector<ListedKey> keys{};
};

struct Listing {
  std::vector<ListedToken> tokens;
  std::string broken;  // modules that did not answer, and why
};

/// The tokens that match, and the secret keys for HMACs that can be seen on them. Throws Failure.
Listing ListKeys(const ListOptions& options);

struct RemoveOptions {
  TokenQuery token;
  std::optional<std::string> label;
  std::optional<Bytes> id;
  std::optional<Credential> login;
  bool force;  // where no HMAC key matches, whatever else does
};

/// Destroys exactly one object. Throws Failure.
void RemoveKey(const RemoveOptions& options);

}  // namespace aws_hmac::pkcs11
