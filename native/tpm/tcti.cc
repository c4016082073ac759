#include "tpm/tcti.h"

#include <algorithm>
#include <utility>

#include "core/secret_bytes.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include "tpm/patience.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {

// What is left out libtss2 answers with NOT_IMPLEMENTED: cancelling, poll handles, localities.
Tcti::Tcti(std::unique_ptr<Transport> transport, std::chrono::milliseconds timeout)
    : TSS2_TCTI_CONTEXT_COMMON_V2{}, transport_(std::move(transport)), timeout_(timeout) {
  v1.magic = 0x636d68'737761;  // "awshmc", to be seen in a debugger
  v1.version = 2;
  v1.transmit = Transmit;
  v1.receive = Receive;
}

Tcti::~Tcti() { Wipe(response_.data(), response_.size()); }

void Tcti::WipeAnswer() noexcept {
  Wipe(handed_out_.data(), handed_out_.size());
  handed_out_ = {};
}

TSS2_TCTI_CONTEXT* Tcti::context() noexcept {
  return reinterpret_cast<TSS2_TCTI_CONTEXT*>(static_cast<TSS2_TCTI_CONTEXT_COMMON_V2*>(this));
}

Tcti& Tcti::Of(TSS2_TCTI_CONTEXT* context) {
  return *static_cast<Tcti*>(reinterpret_cast<TSS2_TCTI_CONTEXT_COMMON_V2*>(context));
}

void Tcti::Rest() noexcept {
  if (state_ == State::kTransmit) transport_->Rest();
}

TSS2_RC Tcti::Transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command) {
  if (context == nullptr || command == nullptr) return TSS2_TCTI_RC_BAD_REFERENCE;
  return Of(context).Send({command, size});
}

TSS2_RC Tcti::Receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t /*timeout*/) {
  if (context == nullptr || size == nullptr) return TSS2_TCTI_RC_BAD_REFERENCE;
  Tcti& tcti = Of(context);
  const TSS2_RC rc = tcti.Fetch();
  return rc == TSS2_RC_SUCCESS ? tcti.HandOut(*size, response) : rc;
}

TSS2_RC Tcti::Send(std::span<const uint8_t> command) {
  if (state_ == State::kReceive) return TSS2_TCTI_RC_BAD_SEQUENCE;
  if (command.size() < kHeaderSize || SizeOf(command) != command.size()) return TSS2_TCTI_RC_BAD_VALUE;
  if (broken_ != TSS2_RC_SUCCESS) return broken_;
  deadline_ = Deadline::clock::now() + PatienceFor(CodeOf(command), timeout_);
  held_.NoteCommand(command);
  const TSS2_RC rc = transport_->Send(command, deadline_);
  if (rc != TSS2_RC_SUCCESS) return Break(rc);
  state_ = State::kReceive;
  return TSS2_RC_SUCCESS;
}

TSS2_RC Tcti::Fetch() {
  if (state_ != State::kReceive) return TSS2_TCTI_RC_BAD_SEQUENCE;
  if (response_size_ != 0) return TSS2_RC_SUCCESS;  // its size was asked for before
  size_t size = 0;
  const TSS2_RC rc = transport_->Receive(response_, size, deadline_);
  if (rc != TSS2_RC_SUCCESS) {
    Break(rc);
    if (IsTimeout(rc) && size == 0) state_ = State::kOverdue;
    return rc;
  }
  held_.NoteResponse(std::span(response_).first(size));
  response_size_ = size;
  return TSS2_RC_SUCCESS;
}

TSS2_RC Tcti::HandOut(size_t& size, uint8_t* response) {
  const size_t room = std::exchange(size, response_size_);
  if (response == nullptr) return TSS2_RC_SUCCESS;
  if (room < response_size_) return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
  std::copy_n(response_.begin(), response_size_, response);
  handed_out_ = {response, response_size_};
  Wipe(response_.data(), std::exchange(response_size_, 0));  // it may be a MAC
  state_ = State::kTransmit;
  return TSS2_RC_SUCCESS;
}

// What comes late must not be taken for the answer to another command, so there is no other on this
// connection.
TSS2_RC Tcti::Break(TSS2_RC rc) {
  broken_ = rc;
  state_ = State::kTransmit;
  return rc;
}

TSS2_RC Tcti::CleanUp(std::chrono::milliseconds wait) {
  if (state_ == State::kOverdue) {
    size_t size = 0;
    const TSS2_RC rc = transport_->Receive(response_, size, Deadline::clock::now() + wait);
    if (rc != TSS2_RC_SUCCESS) return rc;
    held_.NoteResponse(std::span(response_).first(size));
    state_ = State::kTransmit;
  }
  for (const TPM2_HANDLE handle : held_.all()) {
    const TSS2_RC rc = Flush(handle);
    if (rc != TSS2_RC_SUCCESS) return rc;
  }
  return TSS2_RC_SUCCESS;
}

// Without ESYS, whose context is spoilt by the time-out. Unless it is busy, what the TPM answers is all the
// same.
TSS2_RC Tcti::Flush(TPM2_HANDLE handle) {
  std::array<uint8_t, kHeaderSize + sizeof handle> command{0x80, 0x01};  // TPM_ST_NO_SESSIONS
  WriteUint32(command, 2, command.size());
  WriteUint32(command, 6, TPM2_CC_FlushContext);
  WriteUint32(command, kHeaderSize, handle);
  const Deadline deadline = Deadline::clock::now() + timeout_;
  TSS2_RC rc = TSS2_RC_SUCCESS;
  End([&] {
    size_t size = 0;
    rc = transport_->Send(command, deadline);
    if (rc == TSS2_RC_SUCCESS) rc = transport_->Receive(response_, size, deadline);
    return rc == TSS2_RC_SUCCESS ? CodeOf(response_) : rc;
  });
  return rc;
}

}  // namespace aws_hmac::tpm
