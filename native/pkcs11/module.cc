#include "pkcs11/module.h"

#include <errno.h>
#include <p11-kit/p11-kit.h>
#include <stdlib.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include "core/exit_guard.h"
#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

struct Free {
  void operator()(void* memory) const noexcept { free(memory); }
};

// Loaded, not yet initialised.
struct Unload {
  void operator()(CK_FUNCTION_LIST* module) const noexcept { p11_kit_module_release(module); }
};
using Library = std::unique_ptr<CK_FUNCTION_LIST, Unload>;

// What p11-kit says of its latest failure on this thread.
std::string Reason() {
  const char* message = p11_kit_message();
  return message == nullptr ? "no reason given" : message;
}

CK_RV Start(Library library, std::vector<Module>& started) {
  const CK_RV rv = p11_kit_module_initialize(library.get());
  if (rv == CKR_OK) started.emplace_back(library.release());
  return rv;
}

Modules LoadOne(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) {
    throw Refusal("ERR_MODULE_NOT_FOUND",
                  "PKCS#11 module " + path + ": " + std::generic_category().message(errno));
  }
  Library library(p11_kit_module_load(path.c_str(), 0));
  StopWorkersBeforeLibrariesExit();
  if (!library) throw Refusal("ERR_MODULE_FAILED", path + " is not a PKCS#11 module: " + Reason());
  Modules modules;
  const CK_RV rv = Start(std::move(library), modules.loaded);
  if (rv != CKR_OK) {
    throw Failure(Api::kPkcs11, "ERR_MODULE_FAILED",
                  "PKCS#11 module " + path + " does not start: " + p11_kit_strerror(rv))
        .At("C_Initialize", rv, NameOf(rv));
  }
  return modules;
}

std::string Name(CK_FUNCTION_LIST* module) {
  const std::unique_ptr<char, Free> name(p11_kit_module_get_name(module));
  return name ? name.get() : "unnamed";
}

Modules LoadConfigured() {
  const std::unique_ptr<CK_FUNCTION_LIST*, Free> list(p11_kit_modules_load(nullptr, 0));
  StopWorkersBeforeLibrariesExit();
  if (!list) throw Refusal("ERR_MODULE_FAILED", "p11-kit's configured modules do not load: " + Reason());
  std::vector<Library> libraries;
  for (CK_FUNCTION_LIST** entry = list.get(); *entry != nullptr; ++entry) libraries.emplace_back(*entry);
  Modules modules;
  for (Library& library : libraries) {
    const std::string name = Name(library.get());
    const CK_RV rv = Start(std::move(library), modules.loaded);
    if (rv == CKR_OK) continue;
    if (!modules.broken.empty()) modules.broken += ", ";
    modules.broken += name + " (" + NameOf(rv) + ")";
  }
  if (!modules.loaded.empty()) return modules;
  if (modules.broken.empty()) {
    throw Refusal("ERR_MODULE_NOT_FOUND",
                  "p11-kit has no configured module that loads (`p11-kit list-modules` lists them): name one "
                  "with the option module");
  }
  throw Refusal("ERR_MODULE_FAILED", "none of p11-kit's modules starts: " + modules.broken);
}

}  // namespace

void ReleaseModule::operator()(CK_FUNCTION_LIST* module) const noexcept {
  p11_kit_module_finalize(module);
  p11_kit_module_release(module);
}

Modules LoadModules(const std::optional<std::string>& path) {
  return path ? LoadOne(*path) : LoadConfigured();
}

}  // namespace aws_hmac::pkcs11
