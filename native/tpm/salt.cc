#include "tpm/salt.h"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>

#include "tpm/authorization.h"
#include "tpm/command.h"
#include "tpm/hierarchy.h"
#include "tpm/primary.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

bool IsPersistent(const SaltKey& key) { return key.handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT; }

Failure Refused(const SaltKey& key, const std::string& why) {
  return Failure(Api::kTpm, "ERR_TPM_SALT_KEY", "the salt key " + why + " (option saltKey)")
      .At(IsPersistent(key) ? "TPM2_ReadPublic" : "TPM2_CreatePrimary", 0, "");
}

Object Find(ESYS_CONTEXT& esys, const SaltKey& key) {
  try {
    return FindPersistent(esys, key.handle);
  } catch (const Failure& failure) {
    const auto rc = static_cast<TSS2_RC>(failure.number);
    if (!Answered(rc, TPM2_RC_HANDLE)) throw;
    throw ToFailure(rc, "TPM2_ReadPublic", "ERR_TPM_SALT_KEY",
                    "the TPM does not have the salt key (option saltKey)");
  }
}

// The very area that ESYS encrypts the salt for; the TPM may answer another TPM2_ReadPublic differently.
// Serialized are the handle, the name as the TPM gave it, the kind of resource (4 bytes) and the area.
TPM2B_PUBLIC AreaInEsys(ESYS_CONTEXT& esys, ESYS_TR object) {
  constexpr size_t kKind = 4;
  uint8_t* serialized = nullptr;
  size_t size = 0;
  Check(Esys_TR_Serialize(&esys, object, &serialized, &size), "Esys_TR_Serialize");
  const std::unique_ptr<uint8_t, decltype(&Esys_Free)> owned(serialized, Esys_Free);
  size_t at = sizeof(TPM2_HANDLE);
  TPM2B_NAME name{};
  Check(Tss2_MU_TPM2B_NAME_Unmarshal(serialized, size, &at, &name), "Esys_TR_Serialize");
  at += kKind;
  TPM2B_PUBLIC area{};
  Check(Tss2_MU_TPM2B_PUBLIC_Unmarshal(serialized, size, &at, &area), "Esys_TR_Serialize");
  return area;
}

void Append(Bytes& bytes, uint32_t number, size_t size) {
  while (size-- > 0) bytes.push_back(static_cast<uint8_t>(number >> (8 * size)));
}

// Some TPMs leave out a coordinate's leading zeros.
void AppendPadded(Bytes& bytes, const TPM2B_ECC_PARAMETER& number, size_t size) {
  bytes.insert(bytes.end(), size - std::min<size_t>(size, number.size), 0);
  bytes.insert(bytes.end(), number.buffer, number.buffer + number.size);
}

size_t FieldSize(TPM2_ECC_CURVE curve) {
  switch (curve) {
    case TPM2_ECC_NIST_P384:
      return 48;
    case TPM2_ECC_NIST_P521:
      return 66;
    default:
      return 32;
  }
}

Bytes PublicKeyOf(const TPMT_PUBLIC& area) {
  constexpr uint32_t kDefaultExponent = 65537;
  Bytes key;
  Append(key, area.type, 2);
  if (area.type == TPM2_ALG_RSA) {
    const uint32_t exponent = area.parameters.rsaDetail.exponent;
    Append(key, exponent == 0 ? kDefaultExponent : exponent, 4);
    key.insert(key.end(), area.unique.rsa.buffer, area.unique.rsa.buffer + area.unique.rsa.size);
  } else {
    const TPMI_ECC_CURVE curve = area.parameters.eccDetail.curveID;
    Append(key, curve, 2);
    AppendPadded(key, area.unique.ecc.x, FieldSize(curve));
    AppendPadded(key, area.unique.ecc.y, FieldSize(curve));
  }
  return key;
}

bool HasName(ESYS_CONTEXT& esys, ESYS_TR object, const TPMT_PUBLIC& area, const Bytes& wanted) {
  Bytes algorithm;
  Append(algorithm, area.nameAlg, 2);
  if (!std::ranges::equal(algorithm, std::span(wanted).first(2))) return false;  // ESYS may not know it
  const auto name = ObjectName(esys, object);  // computed by ESYS from its area, not as the TPM gave it
  return std::ranges::equal(std::span(name->name, name->size), wanted);
}

// A primary that was made just now is ours, though the TPM's key has another name than the one that was told.
void Flush(ESYS_CONTEXT& esys, ESYS_TR primary) noexcept {
  End([&] { return Esys_FlushContext(&esys, primary); });
}

void RequireKnown(ESYS_CONTEXT& esys, ESYS_TR object, const SaltKey& key) {
  const TPM2B_PUBLIC area = AreaInEsys(esys, object);
  const TPMT_PUBLIC& found = area.publicArea;
  if ((found.type != TPM2_ALG_RSA && found.type != TPM2_ALG_ECC) ||
      (found.objectAttributes & TPMA_OBJECT_DECRYPT) == 0) {
    throw Refused(key, "is not a storage or decryption key: RSA or ECC");
  }
  if (!key.name.empty() && !HasName(esys, object, found, key.name)) {
    throw Refused(key, "has another name than the one given: it is another key, or somebody is on the bus");
  }
  if (!key.public_key.empty() && PublicKeyOf(found) != key.public_key) {
    throw Refused(key,
                  "is another public key than the one given: it is another key, or somebody is on the bus");
  }
}

}  // namespace

Object FindSalt(ESYS_CONTEXT& esys, const std::optional<SaltKey>& key) {
  if (!key) return CreatePrimary(esys, ESYS_TR_RH_NULL);
  Object object = IsPersistent(*key) ? Find(esys, *key)
                                     : MakePrimary(esys, key->handle, key->primary, key->hierarchy_password);
  try {
    RequireKnown(esys, object.get(), *key);
  } catch (const Failure&) {
    if (!IsPersistent(*key)) Flush(esys, object.Release());
    throw;
  }
  return object;
}

// Salted with the NULL hierarchy's primary, the proof tells nothing to who only listens, and bears no more
// than guessing by who alters what passes.
Object MakePrimary(ESYS_CONTEXT& esys, uint32_t hierarchy, Primary primary, const SecretBytes& password) {
  const OpenHierarchy open(esys, hierarchy, password);
  if (password.empty()) return CreatePrimary(esys, open.get(), primary);
  const SessionHandle session = StartHmacSession(esys, FindSalt(esys, std::nullopt).get(), true);
  return CreatePrimary(esys, open.get(), primary, session.get());
}

}  // namespace aws_hmac::tpm
