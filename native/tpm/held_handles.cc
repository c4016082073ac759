#include "tpm/held_handles.h"

#include "tpm/frame.h"

namespace aws_hmac::tpm {
namespace {

/// Commands that answer a new handle (TCG TPM 2.0 Part 3).
bool Makes(TPM2_CC command) {
  switch (command) {
    case TPM2_CC_StartAuthSession:
    case TPM2_CC_CreatePrimary:
    case TPM2_CC_CreateLoaded:
    case TPM2_CC_Load:
    case TPM2_CC_LoadExternal:
    case TPM2_CC_ContextLoad:
    case TPM2_CC_HMAC_Start:
    case TPM2_CC_HashSequenceStart:
      return true;
    default:
      return false;
  }
}

/// Commands that end what they name. A session of ours ends in no other way: continueSession is always set.
bool Ends(TPM2_CC command) {
  return command == TPM2_CC_FlushContext || command == TPM2_CC_SequenceComplete ||
         command == TPM2_CC_EventSequenceComplete;
}

uint32_t FirstHandle(std::span<const uint8_t> frame) {
  return frame.size() < kHeaderSize + sizeof(TPM2_HANDLE) ? 0 : ReadUint32(frame, kHeaderSize);
}

}  // namespace

void HeldHandles::NoteCommand(std::span<const uint8_t> command) {
  command_ = CodeOf(command);
  named_ = FirstHandle(command);
}

void HeldHandles::NoteResponse(std::span<const uint8_t> response) {
  if (CodeOf(response) != TPM2_RC_SUCCESS) return;
  if (Makes(command_)) held_.push_back(FirstHandle(response));
  if (Ends(command_)) std::erase(held_, named_);
}

}  // namespace aws_hmac::tpm
