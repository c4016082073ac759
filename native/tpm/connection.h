#pragma once

#include <tss2/tss2_esys.h>

#include <chrono>
#include <memory>
#include <string>

#include "tpm/tcti.h"

namespace aws_hmac::tpm {

/// A way to a TPM: a TCTI of ours and the ESYS context over it.
class Connection {
 public:
  /// `tcti` is a TCTI string such as "device:/dev/tpmrm0"; `timeout` is how long the TPM may take for one
  /// command in use, see PatienceFor. Throws Failure.
  Connection(const std::string& tcti, std::chrono::milliseconds timeout);

  ESYS_CONTEXT& esys() const noexcept { return *esys_; }

  /// Gives up what other clients may wait for (see Transport) until the next command.
  void Rest() noexcept { tcti_.Rest(); }
  /// See Tcti.
  void WipeAnswer() noexcept { tcti_.WipeAnswer(); }
  /// See Transport.
  unsigned turns() const noexcept { return tcti_.turns(); }

  /// See Tcti. After a time-out, and when all handles of ours on this connection are released.
  bool AwaitsAnswer() const noexcept { return tcti_.AwaitsAnswer(); }
  TSS2_RC CleanUp(std::chrono::milliseconds wait) { return tcti_.CleanUp(wait); }

 private:
  struct Finalize {
    void operator()(ESYS_CONTEXT* esys) const noexcept;
  };

  Tcti tcti_;  // first: ESYS uses it to its end
  std::unique_ptr<ESYS_CONTEXT, Finalize> esys_;
};

}  // namespace aws_hmac::tpm
