#pragma once

#include <tss2/tss2_esys.h>

#include <memory>
#include <span>

#include "core/bytes.h"
#include "core/handle.h"
#include "core/secret_bytes.h"

namespace aws_hmac::tpm {

/// What ESYS allocated for us; wiped, for it may be a MAC.
struct WipeAndFree {
  template <typename T>
  void operator()(T* memory) const noexcept {
    Wipe(memory, sizeof(T));
    Esys_Free(memory);
  }
};
template <typename T>
using EsysPtr = std::unique_ptr<T, WipeAndFree>;

/// A TPM structure that holds a secret.
template <typename T>
struct Wiped {
  T value{};

  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { Wipe(&value, sizeof value); }
};

struct SessionTraits {
  using Value = ESYS_TR;
  static constexpr Value kNone = ESYS_TR_NONE;
  static void Release(ESYS_CONTEXT& esys, Value session) noexcept;
};
/// A session of ours: flushed in the end.
using SessionHandle = Handle<ESYS_CONTEXT, SessionTraits>;

struct ObjectTraits {
  using Value = ESYS_TR;
  static constexpr Value kNone = ESYS_TR_NONE;
  static void Release(ESYS_CONTEXT& esys, Value object) noexcept;
};
/// A TPM object in our use: flushed in the end if it is transient, for then it is ours; left alone if
/// persistent.
using Object = Handle<ESYS_CONTEXT, ObjectTraits>;

/// A persistent object. Throws Failure, ERR_KEY_NOT_FOUND if there is none.
Object FindPersistent(ESYS_CONTEXT& esys, TPM2_HANDLE handle);

/// What the TPM says of an object in it. Throws Failure.
EsysPtr<TPM2B_PUBLIC> ReadPublic(ESYS_CONTEXT& esys, ESYS_TR object);

/// An object's name as ESYS knows it, computed from the public area. Asks no TPM. Throws Failure.
EsysPtr<TPM2B_NAME> ObjectName(ESYS_CONTEXT& esys, ESYS_TR object);
bool AreEqual(const TPM2B_NAME& name, const TPM2B_NAME& other) noexcept;

/// Whether the object in the TPM at its handle has the name that we know, and `session`, unless it is
/// ESYS_TR_NONE, is the one that we know. Proves no password.
bool IsStillThere(ESYS_CONTEXT& esys, ESYS_TR object, ESYS_TR session) noexcept;
/// Whether the TPM says that one of them is not. Neither is true where it says nothing.
bool IsGone(ESYS_CONTEXT& esys, ESYS_TR object, ESYS_TR session) noexcept;

/// Loads what TPM2_ContextSave gave out: a marshalled TPMS_CONTEXT of an object, saved through ESYS. Throws
/// Failure, ERR_TPM_FILE_INVALID, or ERR_TPM_CONTEXT if this TPM does not know it, or no more.
Object LoadContext(ESYS_CONTEXT& esys, const Bytes& context);

/// The most bytes that a password may have: the digest of our name algorithm, SHA-256 (Part 1, 16.2).
inline constexpr size_t kMaxPassword = 32;
/// The same for parents and hierarchies, whose digest may be SHA-512.
inline constexpr size_t kMaxParentPassword = 64;

/// A password as the TPM keeps it: without trailing zero bytes (Part 1, 17.6.4.3). Throws Failure if it is
/// too long.
void SetPassword(std::span<const uint8_t> password, TPM2B_AUTH& auth, size_t longest = kMaxPassword);

/// Tells ESYS the password with which it shall authorise commands on `object`.
void UsePassword(ESYS_CONTEXT& esys, ESYS_TR object, std::span<const uint8_t> password,
                 size_t longest = kMaxPassword);

}  // namespace aws_hmac::tpm
