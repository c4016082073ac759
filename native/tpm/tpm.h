#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/bytes.h"
#include "core/hmac_device.h"
#include "core/secret_bytes.h"

/// TPM 2.0 through libtss2-esys. Synchronous; an object made here belongs to the thread that made it.
namespace aws_hmac::tpm {

/// How the password of a key is proved, and what is hidden from whoever reads the bus.
struct Protection {
  SecretBytes password;            // at most 32 bytes (the name algorithm's digest); may be empty
  bool password_in_clear = false;  // TPM_RS_PW instead of an HMAC session (Part 1, 19.4)
  bool encrypt = true;             // parameters encrypted in both directions by a salted session (Part 1, 21)
};

/// A key that lives in the TPM, 0x81000000..0x81FFFFFF.
struct PersistentKey {
  uint32_t handle;
};

/// A key that is loaded under its parent: a persistent handle or a hierarchy's primary.
struct LoadedKey {
  uint32_t parent;     // 0x40000001 (owner) or 0x81……
  Bytes public_area;   // marshalled TPM2B_PUBLIC
  Bytes private_area;  // marshalled TPM2B_PRIVATE
};

struct OpenOptions {
  std::string tcti;  // e.g. "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321"
  std::variant<PersistentKey, LoadedKey> key;
  Protection protection;
};

/// Connects, loads or finds the key, checks that it is an HMAC-SHA256 signing key. Throws Failure.
std::unique_ptr<HmacDevice> OpenKey(OpenOptions options);

struct ImportOptions {
  std::string tcti;
  SecretBytes key;                 // the HMAC key, 1..64 bytes
  SecretBytes password;            // of the new key; empty for none
  std::optional<uint32_t> handle;  // where to make it persistent; without it the blobs are the result
};

struct Imported {
  Bytes public_area;   // marshalled TPM2B_PUBLIC
  Bytes private_area;  // marshalled TPM2B_PRIVATE, encrypted by the parent
  uint32_t parent;     // 0x40000001: the owner hierarchy's H-2 primary
};

/// TPM2_Create under the owner hierarchy's H-2 primary in a salted, encrypted session; loads the new key and
/// checks it against `probe`; makes it persistent when a handle is given (ERR_TPM_HANDLE_IN_USE if it is
/// taken). Throws Failure.
Imported ImportKey(ImportOptions options, const Probe& probe);

}  // namespace aws_hmac::tpm
