#pragma once

#include <p11-kit/pkcs11.h>

#include <string>
#include <vector>

#include "pkcs11/module.h"
#include "pkcs11/pkcs11.h"

namespace aws_hmac::pkcs11 {

/// A token in its slot, as it was when it was found. Must not outlive its module.
struct Token {
  CK_FUNCTION_LIST* module;
  CK_SLOT_ID slot;
  CK_TOKEN_INFO info;
  Module* owner;   // of `module`
  uint64_t start;  // of the module when it was found: another one may give its slot to another token

  /// E.g. `token "keys", serial 0123abcd, slot 7`.
  std::string Name() const;
};

struct UsedToken {
  Token token;
  Module::Use use;  // of the token's module
};

/// A token and the modules that were loaded to find it.
struct LoadedToken {
  Modules modules;
  Token token;
  Module::Use use;  // of the token's module, for as long as this is held
};

struct LoadedTokens {
  Modules modules;
  std::vector<Token> tokens;
  std::string broken;  // modules that did not answer, and why
};

/// Loads the modules and finds all initialised tokens that match. Throws Failure ERR_MODULE_….
LoadedTokens LoadTokens(const TokenQuery& query);

/// Loads the modules and finds the one initialised token that matches. Throws Failure ERR_MODULE_…,
/// ERR_TOKEN_NOT_FOUND or ERR_TOKEN_AMBIGUOUS; the last two name the tokens there are.
LoadedToken LoadToken(const TokenQuery& query);

/// The same among modules that are loaded already, without another try.
Token FindToken(const Modules& modules, const TokenQuery& query);

/// The same, and its module is not started anew from then on.
UsedToken TakeToken(const Modules& modules, const TokenQuery& query);

}  // namespace aws_hmac::pkcs11
