#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/bytes.h"
#include "core/hmac_device.h"
#include "core/secret_bytes.h"
#include "tpm/policy.h"

/// TPM 2.0 through libtss2-esys. Synchronous; an object made here belongs to the thread that made it.
namespace aws_hmac::tpm {

/// How long the TPM may take for one command in use; those that make keys may take longer (see PatienceFor).
inline constexpr std::chrono::milliseconds kDefaultTimeout{5000};

/// The templates of a hierarchy's primary, each with AES-128-CFB for its children. `kStorage…`: the H-2
/// template with an empty `unique`, the parent that TSS2 PEM files mean (draft-bottomley-tpm2-keys, 3.1.8),
/// or the same with RSA 2048 (`rsaParent`). `kEk…`: TCG's low-range templates of the endorsement key (EK
/// Credential Profile 2.x, B.3.3 and B.3.4).
enum class Primary { kStorageEcc, kStorageRsa, kEkEcc, kEkRsa };

/// A key that sessions are salted with (Part 1, 19.6.8), and what is known of it beforehand.
struct SaltKey {
  uint32_t handle;                         // 0x4000000…: the hierarchy of a primary; 0x81……: persistent
  Primary primary = Primary::kStorageEcc;  // of a hierarchy only
  SecretBytes hierarchy_password{};        // the same; at most 64 bytes; may be empty
  Bytes name{};                            // name algorithm and digest of the public area; empty: not known
  // TPM_ALG_RSA, exponent (4 bytes) and modulus, or TPM_ALG_ECC, curve (2 bytes), x and y, each as long as
  // the curve's field; empty: not known.
  Bytes public_key{};
};

/// How the password of a key is proved, and what is hidden from whoever reads the bus.
struct Protection {
  SecretBytes password;            // at most 32 bytes (the name algorithm's digest); may be empty
  bool password_in_clear = false;  // TPM_RS_PW instead of an HMAC session (Part 1, 19.4)
  bool encrypt = true;             // parameters encrypted in both directions by a salted session (Part 1, 21)
  std::optional<SaltKey> salt_key = {};  // by default the key's parent, or a primary of the NULL hierarchy
};

/// A key that lives in the TPM, 0x81000000..0x81FFFFFF.
struct PersistentKey {
  uint32_t handle;
};

inline constexpr uint32_t kOwnerHierarchy = 0x40000001;

struct Parent {
  uint32_t handle;                         // 0x4000000…: the hierarchy of a primary; 0x81……: persistent
  Primary primary = Primary::kStorageEcc;  // of a hierarchy only
  SecretBytes password{};                  // of the parent; at most 64 bytes; may be empty
  SecretBytes hierarchy_password{};        // of the primary's hierarchy, and of the endorsement for an EK
};

/// A key that is loaded under its parent.
struct LoadedKey {
  Parent parent;
  Bytes public_area;   // marshalled TPM2B_PUBLIC
  Bytes private_area;  // marshalled TPM2B_PRIVATE
};

/// A key whose context was saved (TPM2_ContextSave), until the TPM is reset.
struct SavedKey {
  Bytes context;  // marshalled TPMS_CONTEXT, its blob as ESYS writes it
};

struct OpenOptions {
  std::string tcti;  // e.g. "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321"
  std::variant<PersistentKey, LoadedKey, SavedKey> key;
  Protection protection;
  std::optional<Policy> policy = {};  // that authorises the key's use; by default its password does
  std::chrono::milliseconds timeout = kDefaultTimeout;
};

/// Connects, loads or finds the key, checks that it is an HMAC-SHA256 signing key and that the policy, if
/// any, is the key's. Throws Failure.
std::unique_ptr<HmacDevice> OpenKey(OpenOptions options);

/// The password of the owner hierarchy, and whether it may cross the bus in clear.
struct OwnerAuth {
  SecretBytes password;            // at most 64 bytes; may be empty
  bool password_in_clear = false;  // TPM_RS_PW instead of an HMAC session (Part 1, 19.4)
};

/// In place of a handle: the first free one of the owner's range, 0x81000000..0x817FFFFF.
inline constexpr uint32_t kFirstFreeHandle = 0;

/// A key that was wrapped for its parent elsewhere, without an inner wrapper (Part 1, 23.3).
struct WrappedKey {
  Bytes public_area;  // marshalled TPM2B_PUBLIC
  Bytes duplicate;    // marshalled TPM2B_PRIVATE
  Bytes seed;         // marshalled TPM2B_ENCRYPTED_SECRET
};

struct ImportOptions {
  std::string tcti;
  std::variant<SecretBytes, WrappedKey> key;  // the HMAC key itself, 1..64 bytes, or one to be unwrapped
  SecretBytes password;                       // of the new key; empty for none
  std::optional<uint32_t> handle;  // where to make it persistent; without it the blobs are the result
  OwnerAuth owner = {};
  std::optional<bool> no_da = {};     // wrong passwords do not count; by default only where there is none
  std::optional<Policy> policy = {};  // alone authorises the new key's use; its digest must be known
  std::chrono::milliseconds timeout = kDefaultTimeout;
  Parent parent = {kOwnerHierarchy};
  std::optional<SaltKey> salt_key = {};  // by default a primary of the NULL hierarchy
};

struct Imported {
  Bytes public_area;   // marshalled TPM2B_PUBLIC
  Bytes private_area;  // marshalled TPM2B_PRIVATE, encrypted by the parent
  std::optional<uint32_t> handle;
};

/// TPM2_Create, or TPM2_Import of a wrapped key, under the parent in a salted, encrypted session; loads the
/// new key and checks it against `probe`, unless that has no message, or a created key's twin where its
/// policy cannot be satisfied now; makes it persistent when a handle is given (ERR_TPM_HANDLE_IN_USE if it is
/// taken). Throws Failure.
Imported ImportKey(ImportOptions options, const Probe& probe);

}  // namespace aws_hmac::tpm
