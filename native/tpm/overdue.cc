#include "tpm/overdue.h"

#include <utility>

#include "tpm/response_code.h"

namespace aws_hmac::tpm {

void Overdue::Keep(std::unique_ptr<Connection> connection) noexcept {
  if (connection_ || !connection || !connection->AwaitsAnswer()) return;
  connection_ = std::move(connection);
  awaited_ = 0;
}

void Overdue::Await(std::chrono::milliseconds timeout) {
  constexpr unsigned kTimes = 3;
  if (!connection_ || ++awaited_ % (kTimes + 1) == 0) return;
  const TSS2_RC rc = connection_->CleanUp(timeout);
  if (IsTimeout(rc)) throw ToFailure(rc, "poll");
  connection_.reset();
}

bool Overdue::Check() noexcept {
  if (connection_ && !IsTimeout(connection_->CleanUp(std::chrono::milliseconds(0)))) connection_.reset();
  return connection_ != nullptr;
}

}  // namespace aws_hmac::tpm
