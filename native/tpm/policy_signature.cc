#include "tpm/policy_signature.h"

#include <tss2/tss2_mu.h>

#include "tpm/command.h"
#include "tpm/objects.h"
#include "tpm/sized.h"

namespace aws_hmac::tpm {
namespace {

template <typename Structure, auto kUnmarshal>
Structure UnmarshalStep(const Bytes& bytes, const std::string& option) {
  Structure structure{};
  size_t used = 0;
  if (kUnmarshal(bytes.data(), bytes.size(), &used, &structure) != TSS2_RC_SUCCESS || used != bytes.size()) {
    throw Failure(Api::kNone, "ERR_INVALID_ARGUMENT", option + " is none that this TPM's library takes");
  }
  return structure;
}

Object LoadPublic(ESYS_CONTEXT& esys, const PolicyAuthorize& step) {
  const auto area =
      UnmarshalStep<TPM2B_PUBLIC, Tss2_MU_TPM2B_PUBLIC_Unmarshal>(step.public_area, step.at + ".publicKey");
  ESYS_TR object = ESYS_TR_NONE;
  Command("TPM2_LoadExternal", [&] {
    // In the NULL hierarchy there are no tickets.
    return Esys_LoadExternal(&esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &area,
                             ESYS_TR_RH_OWNER, &object);
  });
  return Object(esys, object);
}

}  // namespace

ApprovedPolicy VerifyApproval(ESYS_CONTEXT& esys, const PolicyAuthorize& step) {
  const auto signature =
      UnmarshalStep<TPMT_SIGNATURE, Tss2_MU_TPMT_SIGNATURE_Unmarshal>(step.signature, step.at + ".signature");
  const Object key = LoadPublic(esys, step);
  const auto digest = Sized<TPM2B_DIGEST>(step.signed_digest);
  TPMT_TK_VERIFIED* ticket = nullptr;
  Command("TPM2_VerifySignature", [&] {
    return Esys_VerifySignature(&esys, key.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                                &signature, &ticket);
  });
  const EsysPtr<TPMT_TK_VERIFIED> owned_ticket(ticket);
  return {*ObjectName(esys, key.get()), *owned_ticket};
}

}  // namespace aws_hmac::tpm
