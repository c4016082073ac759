#include "tpm/connection.h"

#include <stdlib.h>

#include <string_view>

#include "tpm/crypto_callbacks.h"
#include "tpm/device_transport.h"
#include "tpm/packaged_transport.h"
#include "tpm/response_code.h"
#include "tpm/swtpm_transport.h"

namespace aws_hmac::tpm {
namespace {

// libtss2 writes every error to stderr otherwise. While the addon loads, because later other threads may read
// the environment.
// NOLINTNEXTLINE(concurrency-mt-unsafe)
[[maybe_unused]] const bool kQuiet = setenv("TSS2_LOG", "all+none", 0) == 0;

// libtss2's loader knows a module by its name or by its library's.
bool Names(std::string_view module, std::string_view known) {
  return module == known || module.find("tcti-" + std::string(known)) != std::string_view::npos;
}

std::unique_ptr<Transport> Open(const std::string& tcti, std::chrono::milliseconds timeout) {
  constexpr std::string_view kDefaultDevice = "/dev/tpmrm0";
  const size_t colon = tcti.find(':');
  const std::string module = tcti.substr(0, colon);
  const std::string configuration = colon == std::string::npos ? "" : tcti.substr(colon + 1);
  if (Names(module, "device")) {
    return std::make_unique<DeviceTransport>(
        std::string(configuration.empty() ? kDefaultDevice : configuration));
  }
  if (Names(module, "swtpm")) {
    return std::make_unique<SwtpmTransport>(SwtpmAddress::Parse(configuration),
                                            Deadline::clock::now() + timeout);
  }
  return std::make_unique<PackagedTransport>(module, configuration);
}

}  // namespace

void Connection::Finalize::operator()(ESYS_CONTEXT* esys) const noexcept { Esys_Finalize(&esys); }

Connection::Connection(const std::string& tcti, std::chrono::milliseconds timeout)
    : tcti_(Open(tcti, timeout), timeout) {
  ESYS_CONTEXT* esys = nullptr;
  Check(Esys_Initialize(&esys, tcti_.context(), nullptr), "Esys_Initialize");
  esys_.reset(esys);
  UseCryptoCallbacks(*esys);
}

}  // namespace aws_hmac::tpm
