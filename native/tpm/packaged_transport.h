#pragma once

#include <tss2/tss2_tcti.h>

#include <memory>
#include <string>

#include "tpm/transport.h"

namespace aws_hmac::tpm {

/// A TCTI of somebody else's, which libtss2's loader finds: mssim, cmd, tabrmd, libtpms, a library's file
/// name. The wait for a response is bounded where it gives poll handles; it may still hang inside itself.
class PackagedTransport : public Transport {
 public:
  /// `module`: its name or file name. Throws Failure.
  PackagedTransport(const std::string& module, const std::string& configuration);

  TSS2_RC Send(std::span<const uint8_t> command, Deadline deadline) override;
  TSS2_RC Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) override;

 private:
  struct Finalize {
    void operator()(TSS2_TCTI_CONTEXT* tcti) const noexcept;
  };

  std::unique_ptr<TSS2_TCTI_CONTEXT, Finalize> tcti_;
};

}  // namespace aws_hmac::tpm
