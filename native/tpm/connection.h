#pragma once

#include <tss2/tss2_esys.h>

#include <memory>
#include <string>

namespace aws_hmac::tpm {

/// A way to a TPM: a TCTI and the ESYS context over it.
class Connection {
 public:
  /// `tcti` is a TCTI string such as "device:/dev/tpmrm0". Throws Failure.
  explicit Connection(const std::string& tcti);

  ESYS_CONTEXT& esys() const noexcept { return *esys_; }

 private:
  struct Finalize {
    void operator()(TSS2_TCTI_CONTEXT* tcti) const noexcept;
    void operator()(ESYS_CONTEXT* esys) const noexcept;
  };

  std::unique_ptr<TSS2_TCTI_CONTEXT, Finalize> tcti_;  // first: ESYS uses it to its end
  std::unique_ptr<ESYS_CONTEXT, Finalize> esys_;
};

}  // namespace aws_hmac::tpm
