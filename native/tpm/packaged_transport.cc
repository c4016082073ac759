#include "tpm/packaged_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <tss2/tss2_tctildr.h>

#include <optional>

#include "tpm/descriptor.h"
#include "tpm/errno_code.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

Failure UnknownModule(TSS2_RC rc, const std::string& module) {
#ifdef AWS_HMAC_STATIC
  const std::string remedy =
      "the prebuilt addon has device, swtpm and mssim, one built by `npx aws-hmac-build` all";
#else
  const std::string remedy = "install libtss2-tcti-" + module + "0";
#endif
  return ToFailure(rc, "Tss2_TctiLdr_GetInfo", "ERR_TPM_TCTI",
                   "no TCTI module \"" + module + "\": " + remedy +
                       ", or correct the option tcti (device:/dev/tpmrm0, swtpm:host=…,port=…)");
}

// Loads the module and nothing else, to tell a wrong name from a TPM that does not answer.
void RequireModule(const std::string& module) {
  TSS2_TCTI_INFO* info = nullptr;
  const TSS2_RC rc = module.empty() ? TSS2_TCTI_RC_BAD_VALUE : Tss2_TctiLdr_GetInfo(module.c_str(), &info);
  if (rc != TSS2_RC_SUCCESS) throw UnknownModule(rc, module);
  Tss2_TctiLdr_FreeInfo(&info);
}

TSS2_TCTI_CONTEXT* Open(const std::string& tcti) {
  TSS2_TCTI_CONTEXT* context = nullptr;
  const TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti.c_str(), &context);
  if (rc == TSS2_TCTI_RC_BAD_VALUE) {
    throw ToFailure(rc, "Tss2_TctiLdr_Initialize", "ERR_TPM_TCTI",
                    "the TCTI \"" + tcti + "\" is not configured as its module wants it");
  }
  if (rc != TSS2_RC_SUCCESS) {
    throw ToFailure(rc, "Tss2_TctiLdr_Initialize", "ERR_TPM_CONNECTION",
                    "no TPM answers at \"" + tcti + "\"");
  }
  return context;
}

// All that is known has one, or none.
std::optional<int> PollHandle(TSS2_TCTI_CONTEXT* tcti) {
  TSS2_TCTI_POLL_HANDLE handle{};
  size_t count = 1;
  const TSS2_RC rc = Tss2_Tcti_GetPollHandles(tcti, &handle, &count);
  return rc == TSS2_RC_SUCCESS && count == 1 ? std::optional(handle.fd) : std::nullopt;
}

}  // namespace

void PackagedTransport::Finalize::operator()(TSS2_TCTI_CONTEXT* tcti) const noexcept {
  Tss2_TctiLdr_Finalize(&tcti);
}

PackagedTransport::PackagedTransport(const std::string& module, const std::string& configuration) {
  RequireModule(module);
  tcti_.reset(Open(module + ":" + configuration));
  // Programs that ours starts would share our key and session in the TPM, and keep them there after us.
  if (const auto handle = PollHandle(tcti_.get())) fcntl(*handle, F_SETFD, FD_CLOEXEC);
}

TSS2_RC PackagedTransport::Send(std::span<const uint8_t> command, Deadline /*deadline*/) {
  return Tss2_Tcti_Transmit(tcti_.get(), command.size(), command.data());
}

TSS2_RC PackagedTransport::Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) {
  if (const auto handle = PollHandle(tcti_.get())) {
    const TSS2_RC rc = Await(*handle, POLLIN, deadline);
    if (rc != TSS2_RC_SUCCESS) return rc;
  }
  size = response.size();
  return Tss2_Tcti_Receive(tcti_.get(), &size, response.data(), TSS2_TCTI_TIMEOUT_BLOCK);
}

}  // namespace aws_hmac::tpm
