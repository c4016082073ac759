#pragma once

#include <netdb.h>

#include <chrono>
#include <memory>
#include <string>

#include "tpm/descriptor.h"
#include "tpm/transport.h"

namespace aws_hmac::tpm {

/// Where a software TPM listens, as libtss2 reads it: `host=…,port=…` (localhost, 2321) or `path=…`.
struct SwtpmAddress {
  std::string host = "localhost";
  std::string port = "2321";
  std::string path;  // of a Unix socket; goes before host and port

  /// Throws Failure ERR_TPM_TCTI.
  static SwtpmAddress Parse(const std::string& configuration);
};

/// TPM commands as they are over a TCP or Unix socket, as swtpm takes them. It serves one client at a time:
/// libtss2 makes a connection for each command, which costs more than the command; here one is kept while we
/// are busy.
class SwtpmTransport : public Transport {
 public:
  /// Connects. Throws Failure.
  SwtpmTransport(const SwtpmAddress& address, Deadline deadline);

  TSS2_RC Send(std::span<const uint8_t> command, Deadline deadline) override;
  TSS2_RC Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) override;
  void Rest() noexcept override;
  unsigned turns() const noexcept override { return turns_; }

 private:
  struct FreeAddresses {
    void operator()(addrinfo* addresses) const noexcept { freeaddrinfo(addresses); }
  };

  TSS2_RC Connect(Deadline deadline);
  bool ShallConnect() const;

  const std::string path_;
  std::unique_ptr<addrinfo, FreeAddresses> addresses_;  // of TCP
  Descriptor socket_;
  unsigned turns_ = 0;
  std::chrono::steady_clock::time_point connected_;
};

}  // namespace aws_hmac::tpm
