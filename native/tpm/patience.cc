#include "tpm/patience.h"

#include <algorithm>

namespace aws_hmac::tpm {

std::chrono::milliseconds PatienceFor(TPM2_CC command, std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kLong = std::chrono::seconds(120);
  switch (command) {
    case TPM2_CC_CreatePrimary:
    case TPM2_CC_Create:
    case TPM2_CC_CreateLoaded:
    case TPM2_CC_Import:
    case TPM2_CC_ECDH_KeyGen:
    case TPM2_CC_EC_Ephemeral:
    case TPM2_CC_SelfTest:
    case TPM2_CC_IncrementalSelfTest:
      return std::max(kLong, timeout);
    default:
      return timeout;
  }
}

}  // namespace aws_hmac::tpm
