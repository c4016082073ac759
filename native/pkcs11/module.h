#pragma once

#include <p11-kit/pkcs11.h>

#include <memory>
#include <string>
#include <vector>

#include "pkcs11/pkcs11.h"

namespace aws_hmac::pkcs11 {

struct ReleaseModule {
  void operator()(CK_FUNCTION_LIST* module) const noexcept;
};

/// A module that was initialised. p11-kit counts: releasing ours does not end what others in the process use.
using Module = std::unique_ptr<CK_FUNCTION_LIST, ReleaseModule>;

struct Modules {
  std::vector<Module> loaded;  // not empty
  std::string broken;          // configured modules that did not start, and why; empty when all did
};

/// The module that the query gives the path or the name of, or those of p11-kit's configuration that start.
/// Throws Failure ERR_MODULE_NOT_FOUND or ERR_MODULE_FAILED.
Modules LoadModules(const TokenQuery& query);

/// The path of a module that was loaded.
std::string PathOf(CK_FUNCTION_LIST* module);

}  // namespace aws_hmac::pkcs11
