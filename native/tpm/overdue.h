#pragma once

#include <chrono>
#include <memory>

#include "tpm/connection.h"

namespace aws_hmac::tpm {

/// A connection on which the TPM did not answer in time, kept until it does: only there can be flushed what
/// we have in a TPM without resource manager, and a TPM that serves one client at a time comes to others
/// after it.
class Overdue {
 public:
  /// Takes the connection if it waits for an answer and none is kept yet; lets it go otherwise.
  void Keep(std::unique_ptr<Connection> connection) noexcept;

  /// Waits for the answer, so that a new connection can be made. Throws Failure ERR_TIMEOUT while there is
  /// none; not each time, because the connection may be dead while the TPM is not.
  void Await(std::chrono::milliseconds timeout);
  /// The TPM answers elsewhere.
  void Forget() noexcept { connection_.reset(); }

  /// Lets the connection go if the answer is there. True while there is none.
  bool Check() noexcept;

 private:
  std::unique_ptr<Connection> connection_;
  unsigned awaited_ = 0;
};

}  // namespace aws_hmac::tpm
