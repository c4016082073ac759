#include "tpm/connection.h"

#include <fcntl.h>
#include <stdlib.h>
#include <tss2/tss2_tctildr.h>

#include <string_view>

#include "tpm/device_file.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

// libtss2 writes every error to stderr otherwise. While the addon loads, because later other threads may read
// the environment.
// NOLINTNEXTLINE(concurrency-mt-unsafe)
[[maybe_unused]] const bool kQuiet = setenv("TSS2_LOG", "all+none", 0) == 0;

constexpr std::string_view kDefaultDevice = "/dev/tpmrm0";

struct TctiName {
  std::string module;  // "device", "swtpm", or a library's file name
  std::string configuration;

  bool IsDevice() const { return module == "device" || module.find("tcti-device") != std::string::npos; }
};

TctiName Parse(const std::string& tcti) {
  const size_t colon = tcti.find(':');
  TctiName name{tcti.substr(0, colon), colon == std::string::npos ? "" : tcti.substr(colon + 1)};
  // Left to itself, the loader would try one device after another.
  if (name.IsDevice() && name.configuration.empty()) name.configuration = kDefaultDevice;
  return name;
}

Failure UnknownTcti(TSS2_RC rc, const std::string& module) {
  return ToFailure(rc, "Tss2_TctiLdr_GetInfo", "ERR_TPM_TCTI",
                   "no TCTI module \"" + module + "\": install libtss2-tcti-" + module +
                       "0, or correct the option tcti (device:/dev/tpmrm0, swtpm:host=…,port=…)");
}

// Loads the module and nothing else, to tell a wrong name from a TPM that does not answer.
void RequireModule(const std::string& module) {
  TSS2_TCTI_INFO* info = nullptr;
  const TSS2_RC rc = module.empty() ? TSS2_TCTI_RC_BAD_VALUE : Tss2_TctiLdr_GetInfo(module.c_str(), &info);
  if (rc != TSS2_RC_SUCCESS) throw UnknownTcti(rc, module);
  Tss2_TctiLdr_FreeInfo(&info);
}

TSS2_TCTI_CONTEXT* Open(const TctiName& name) {
  const std::string tcti = name.module + ":" + name.configuration;
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

// libtss2 opens a device without O_CLOEXEC: programs that ours starts would share our key and session in it,
// and keep them there after us.
void KeepFromChildren(TSS2_TCTI_CONTEXT& tcti) {
  TSS2_TCTI_POLL_HANDLE device{};
  size_t count = 1;
  if (Tss2_Tcti_GetPollHandles(&tcti, &device, &count) == TSS2_RC_SUCCESS && count == 1) {
    fcntl(device.fd, F_SETFD, FD_CLOEXEC);
  }
}

}  // namespace

void Connection::Finalize::operator()(TSS2_TCTI_CONTEXT* tcti) const noexcept {
  Tss2_TctiLdr_Finalize(&tcti);
}

void Connection::Finalize::operator()(ESYS_CONTEXT* esys) const noexcept { Esys_Finalize(&esys); }

Connection::Connection(const std::string& tcti) {
  const TctiName name = Parse(tcti);
  RequireModule(name.module);
  if (name.IsDevice()) RequireDeviceFile(name.configuration);
  tcti_.reset(Open(name));
  if (name.IsDevice()) KeepFromChildren(*tcti_);
  ESYS_CONTEXT* esys = nullptr;
  Check(Esys_Initialize(&esys, tcti_.get(), nullptr), "Esys_Initialize");
  esys_.reset(esys);
}

}  // namespace aws_hmac::tpm
