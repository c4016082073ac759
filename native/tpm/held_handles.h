#pragma once

#include <tss2/tss2_tpm2_types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace aws_hmac::tpm {

/// The sessions and transient objects that a connection has in the TPM, read off what passes.
class HeldHandles {
 public:
  void NoteCommand(std::span<const uint8_t> command);
  /// The answer to the command that was noted last.
  void NoteResponse(std::span<const uint8_t> response);

  const std::vector<TPM2_HANDLE>& all() const noexcept { return held_; }

 private:
  TPM2_CC command_ = 0;
  TPM2_HANDLE named_ = 0;  // the first handle of the command
  std::vector<TPM2_HANDLE> held_;
};

}  // namespace aws_hmac::tpm
