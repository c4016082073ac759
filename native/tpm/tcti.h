#pragma once

#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tpm2_types.h>

#include <array>
#include <chrono>
#include <memory>
#include <span>

#include "tpm/held_handles.h"
#include "tpm/transport.h"

namespace aws_hmac::tpm {

/// The TCTI that ESYS gets (TSS 2.0 TCTI API): bounds each command in time, whatever carries it, and refuses
/// all further ones at once when one has failed in between. ESYS's synchronous calls, which wait for ever
/// otherwise, are bounded by that; so it never answers TRY_AGAIN, which they repeat for ever.
class Tcti : private TSS2_TCTI_CONTEXT_COMMON_V2 {
 public:
  /// `timeout`: how long the TPM may take for one command in use, see PatienceFor.
  Tcti(std::unique_ptr<Transport> transport, std::chrono::milliseconds timeout);
  Tcti(const Tcti&) = delete;
  Tcti& operator=(const Tcti&) = delete;
  ~Tcti();

  TSS2_TCTI_CONTEXT* context() noexcept;
  /// See Transport.
  void Rest() noexcept;
  unsigned turns() const noexcept { return transport_->turns(); }

  /// Wipes the last answer where ESYS keeps it until its next command. While the ESYS context lives, between
  /// its calls.
  void WipeAnswer() noexcept;

  /// Whether the command that was not answered in time may still be.
  bool AwaitsAnswer() const noexcept { return state_ == State::kOverdue; }
  /// Waits that long for this answer, which is dropped, then flushes all that the connection holds in the
  /// TPM. No other command goes through it afterwards.
  TSS2_RC CleanUp(std::chrono::milliseconds wait);

 private:
  enum class State { kTransmit, kReceive, kOverdue };

  static Tcti& Of(TSS2_TCTI_CONTEXT* context);
  static TSS2_RC Transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command);
  static TSS2_RC Receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t timeout);

  TSS2_RC Send(std::span<const uint8_t> command);
  TSS2_RC Fetch();
  TSS2_RC HandOut(size_t& size, uint8_t* response);
  TSS2_RC Break(TSS2_RC rc);
  TSS2_RC Flush(TPM2_HANDLE handle);

  const std::unique_ptr<Transport> transport_;
  const std::chrono::milliseconds timeout_;
  State state_ = State::kTransmit;
  Deadline deadline_;
  HeldHandles held_;
  TSS2_RC broken_ = TSS2_RC_SUCCESS;  // what the first failure was
  std::array<uint8_t, TPM2_MAX_RESPONSE_SIZE> response_;
  size_t response_size_ = 0;       // 0 until it is there
  std::span<uint8_t> handed_out_;  // the last answer, in ESYS's buffer
};

}  // namespace aws_hmac::tpm
