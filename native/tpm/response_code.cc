#include "tpm/response_code.h"

#include <errno.h>

#include <algorithm>

#include "core/text.h"
#include "tpm/errno_code.h"
#include "tpm/response_code_table.h"

namespace aws_hmac::tpm {
namespace {

using Subject = ResponseCode::Subject;

constexpr uint32_t kLayerShift = TSS2_RC_LAYER_SHIFT;
constexpr uint32_t kResourceManager = TSS2_RESMGR_RC_LAYER >> kLayerShift;
constexpr uint32_t kResourceManagerForTpm = TSS2_RESMGR_TPM_RC_LAYER >> kLayerShift;

const Meaning* Find(TPM2_RC error) {
  auto found = std::ranges::find(kMeanings, error, &Meaning::error);
  return found == kMeanings.end() ? nullptr : &*found;
}

const char* LayerName(uint32_t layer) {
  switch (layer << kLayerShift) {
    case TSS2_FEATURE_RC_LAYER:
      return "FAPI";
    case TSS2_ESAPI_RC_LAYER:
      return "ESYS";
    case TSS2_SYS_RC_LAYER:
      return "SYS";
    case TSS2_MU_RC_LAYER:
      return "MU";
    case TSS2_TCTI_RC_LAYER:
      return "TCTI";
    default:
      return nullptr;
  }
}

std::string SubjectOf(const ResponseCode& code) {
  if (code.index == 0) return "";
  const std::string number = std::to_string(code.index);
  switch (code.subject) {
    case Subject::kParameter:
      return ", parameter " + number;
    case Subject::kHandle:
      return ", handle " + number;
    case Subject::kSession:
      return ", session " + number;
    case Subject::kNone:
      break;
  }
  return "";
}

bool IsRetryable(TSS2_RC rc) {
  if (const int number = ErrnoOf(rc)) return MeaningOf(number).retryable;
  const Meaning* known = Decode(rc).layer == 0 ? Find(Decode(rc).error) : nullptr;
  return known != nullptr ? known->retryable : IsBroken(rc);
}

}  // namespace

ResponseCode Decode(TSS2_RC rc) {
  const uint32_t layer = (rc & TSS2_RC_LAYER_MASK) >> kLayerShift;
  const uint32_t number = rc & 0xffff;
  // Resource managers answer in the TPM's place and mark it: to us it is the TPM that answers.
  if (layer != 0 && layer != kResourceManager && layer != kResourceManagerForTpm) {
    return {layer, number, Subject::kNone, 0};
  }
  if ((number & TPM2_RC_FMT1) == 0) return {0, number, Subject::kNone, 0};
  const uint32_t error = number & (TPM2_RC_FMT1 | 0x3f);
  const uint32_t index = (number & TPM2_RC_N_MASK) >> 8;
  if ((number & TPM2_RC_P) != 0) return {0, error, Subject::kParameter, index};
  if ((number & TPM2_RC_S) != 0) return {0, error, Subject::kSession, index & 7};
  return {0, error, Subject::kHandle, index};
}

std::string NameOf(TSS2_RC rc) {
  if (const int number = ErrnoOf(rc)) return ErrnoName(number);
  const ResponseCode code = Decode(rc);
  if (code.layer == 0) {
    const Meaning* meaning = Find(code.error);
    return meaning == nullptr ? Hex(rc) : meaning->name;
  }
  const char* layer = LayerName(code.layer);
  if (layer == nullptr || code.error == 0 || code.error > kBaseNames.size()) return Hex(rc);
  return std::string("TSS2_") + layer + "_RC_" + kBaseNames[code.error - 1];
}

Failure ToFailure(TSS2_RC rc, const char* command, const char* code, const std::string& meaning) {
  const std::string name = NameOf(rc);
  Failure failure =
      Failure(Api::kTpm, code, meaning + " (" + command + ": " + name + SubjectOf(Decode(rc)) + ")",
              IsRetryable(rc))
          .At(command, rc, name);
  failure.device_hangs = IsTimeout(rc) || IsBusy(rc);
  return failure;
}

Failure ToFailure(TSS2_RC rc, const char* command) {
  if (const int number = ErrnoOf(rc)) {
    const ErrnoMeaning meaning = MeaningOf(number);
    return ToFailure(rc, command, meaning.code, meaning.words);
  }
  const ResponseCode code = Decode(rc);
  if (IsBroken(rc)) return ToFailure(rc, command, "ERR_TPM_CONNECTION", "the connection to the TPM failed");
  if (code.layer != 0) return ToFailure(rc, command, "ERR_TPM", "libtss2 refused");
  const Meaning* meaning = Find(code.error);
  if (meaning == nullptr) return ToFailure(rc, command, "ERR_TPM", "the TPM refused");
  return ToFailure(rc, command, meaning->code, meaning->words);
}

void Check(TSS2_RC rc, const char* command) {
  if (rc != TSS2_RC_SUCCESS) throw ToFailure(rc, command);
}

bool Answered(TSS2_RC rc, TPM2_RC error) {
  const ResponseCode code = Decode(rc);
  return code.layer == 0 && code.error == error;
}

bool IsBusy(TSS2_RC rc) {
  return Answered(rc, TPM2_RC_RETRY) || Answered(rc, TPM2_RC_YIELDED) || Answered(rc, TPM2_RC_TESTING);
}

bool IsStale(TSS2_RC rc) {
  const ResponseCode code = Decode(rc);
  if (code.layer != 0) return false;
  return (code.error >= TPM2_RC_REFERENCE_H0 && code.error <= TPM2_RC_REFERENCE_S6) ||
         code.error == TPM2_RC_HANDLE;
}

bool IsOfSession(TSS2_RC rc) { return Decode(rc).subject == Subject::kSession; }

bool IsWrongAuth(TSS2_RC rc) { return Answered(rc, TPM2_RC_BAD_AUTH) || Answered(rc, TPM2_RC_AUTH_FAIL); }

bool IsTimeout(TSS2_RC rc) { return ErrnoOf(rc) == ETIMEDOUT; }

bool IsBroken(TSS2_RC rc) {
  const ResponseCode code = Decode(rc);
  return code.layer == TSS2_TCTI_RC_LAYER >> kLayerShift ||
         rc == TSS2_ESYS_RC_BAD_SEQUENCE ||  // what a context answers for ever after a TCTI error
         rc == TSS2_ESYS_RC_RSP_AUTH_FAILED || rc == TSS2_SYS_RC_MALFORMED_RESPONSE ||
         rc == TSS2_SYS_RC_INSUFFICIENT_RESPONSE;
}

}  // namespace aws_hmac::tpm
