#include <errno.h>
#include <p11-kit/p11-kit.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "core/close_on_exec.h"
#include "core/exit_guard.h"
#include "core/text.h"
#include "pkcs11/module.h"
#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

struct Free {
  void operator()(void* memory) const noexcept { free(memory); }
};

// What p11-kit says of its latest failure on this thread.
std::string Reason() {
  const char* message = p11_kit_message();
  return message == nullptr ? "no reason given" : message;
}

// The one module of an identity: made where there is none that runs. Never destroyed, as threads may outlive
// static objects while the process exits.
std::shared_ptr<Module> ModuleOf(const std::string& identity) {
  static auto& mutex = *std::make_unique<std::mutex>().release();
  static auto& modules = *std::make_unique<std::map<std::string, std::weak_ptr<Module>>>().release();
  std::lock_guard lock(mutex);
  std::erase_if(modules, [](const auto& entry) { return entry.second.expired(); });
  if (auto found = modules[identity].lock()) return found;
  auto made = std::make_shared<Module>();
  modules[identity] = made;
  return made;
}

CK_RV Start(const std::string& identity, Library library, const std::optional<std::string>& init_args,
            std::vector<std::shared_ptr<Module>>& started) {
  const auto module = ModuleOf(identity);
  const CK_RV rv = module->Start(std::move(library), init_args);
  if (rv == CKR_OK) started.push_back(module);
  return rv;
}

Modules LoadOne(const std::string& path, const std::optional<std::string>& init_args) {
  if (access(path.c_str(), R_OK) != 0) {
    throw Refusal("ERR_MODULE_NOT_FOUND",
                  "PKCS#11 module " + path + ": " + std::generic_category().message(errno));
  }
  const CloseOnExec guard;
  Library library(p11_kit_module_load(path.c_str(), 0));
  StopWorkersBeforeLibrariesExit();
  if (!library) throw Refusal("ERR_MODULE_FAILED", path + " is not a PKCS#11 module: " + Reason());
  Modules modules;
  const CK_RV rv = Start(RealPath(path), std::move(library), init_args, modules.loaded);
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

// Modules of the configuration that are no file, such as remote ones, go by their name there.
std::string IdentityOf(CK_FUNCTION_LIST* module, const std::string& name) {
  const std::string file = PathOf(module);
  return file.empty() ? "module " + name : RealPath(file);
}

void Add(std::string& list, const std::string& entry) {
  if (!list.empty()) list += ", ";
  list += entry;
}

[[noreturn]] void NoneConfigured(const std::optional<std::string>& wanted, const std::string& names) {
  if (!wanted) {
    throw Refusal("ERR_MODULE_NOT_FOUND",
                  "p11-kit has no configured module that loads (`p11-kit list-modules` lists them): name one "
                  "with the option module");
  }
  throw Refusal("ERR_MODULE_NOT_FOUND", "p11-kit has no configured module \"" + *wanted +
                                            "\" that loads; there are: " + (names.empty() ? "none" : names));
}

Modules LoadConfigured(const TokenQuery& query) {
  const CloseOnExec guard;
  const std::unique_ptr<CK_FUNCTION_LIST*, Free> list(p11_kit_modules_load(nullptr, 0));
  StopWorkersBeforeLibrariesExit();
  if (!list) throw Refusal("ERR_MODULE_FAILED", "p11-kit's configured modules do not load: " + Reason());
  std::vector<Library> libraries;
  for (CK_FUNCTION_LIST** entry = list.get(); *entry != nullptr; ++entry) libraries.emplace_back(*entry);
  Modules modules;
  std::string names;
  for (Library& library : libraries) {
    const std::string name = Name(library.get());
    Add(names, name);
    if (query.module_name && *query.module_name != name) continue;
    const std::string identity = IdentityOf(library.get(), name);
    const CK_RV rv = Start(identity, std::move(library), query.init_args, modules.loaded);
    if (rv != CKR_OK) Add(modules.broken, name + " (" + NameOf(rv) + ")");
  }
  if (!modules.loaded.empty()) return modules;
  if (modules.broken.empty()) NoneConfigured(query.module_name, names);
  throw Refusal("ERR_MODULE_FAILED", "none of p11-kit's modules starts: " + modules.broken);
}

}  // namespace

std::string PathOf(CK_FUNCTION_LIST* module) {
  const std::unique_ptr<char, Free> path(p11_kit_module_get_filename(module));
  return path ? path.get() : "";
}

Modules LoadModules(const TokenQuery& query) {
  return query.module ? LoadOne(*query.module, query.init_args) : LoadConfigured(query);
}

}  // namespace aws_hmac::pkcs11
