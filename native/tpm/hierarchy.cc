#include "tpm/hierarchy.h"

#include "core/failure.h"
#include "tpm/objects.h"

namespace aws_hmac::tpm {
namespace {

ESYS_TR HierarchyOf(TPM2_HANDLE handle) {
  switch (handle) {
    case TPM2_RH_OWNER:
      return ESYS_TR_RH_OWNER;
    case TPM2_RH_ENDORSEMENT:
      return ESYS_TR_RH_ENDORSEMENT;
    case TPM2_RH_PLATFORM:
      return ESYS_TR_RH_PLATFORM;
    case TPM2_RH_LOCKOUT:
      return ESYS_TR_RH_LOCKOUT;
    case TPM2_RH_NULL:
      return ESYS_TR_RH_NULL;
    default:
      throw Failure(Api::kNone, "ERR_TPM_PARENT", "a key's parent is a hierarchy or a persistent handle");
  }
}

}  // namespace

OpenHierarchy::OpenHierarchy(ESYS_CONTEXT& esys, uint32_t handle, const SecretBytes& password)
    : esys_(esys), hierarchy_(HierarchyOf(handle)) {
  UsePassword(esys, hierarchy_, password.span(), kMaxParentPassword);
}

OpenHierarchy::~OpenHierarchy() {
  constexpr TPM2B_AUTH kNothing{};
  Esys_TR_SetAuth(&esys_, hierarchy_, &kNothing);  // ESYS frees its copy of the password unwiped
}

}  // namespace aws_hmac::tpm
