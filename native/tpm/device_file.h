#pragma once

#include <string>

namespace aws_hmac::tpm {

/// Throws Failure unless `path` is a character device that can be opened now. libtss2 answers one and the
/// same number for a missing, a forbidden and a busy device, and writes its commands into whatever file it is
/// given.
void RequireDeviceFile(const std::string& path);

}  // namespace aws_hmac::tpm
