#include "pkcs11/token.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/close_on_exec.h"
#include "pkcs11/return_value.h"
#include "pkcs11/text.h"

namespace aws_hmac::pkcs11 {
namespace {

using std::chrono::milliseconds;
constexpr auto kPauses =
    std::to_array<milliseconds>({milliseconds(0), milliseconds(10), milliseconds(40), milliseconds(160)});

std::vector<CK_SLOT_ID> SlotsWithToken(CK_FUNCTION_LIST* module) {
  std::vector<CK_SLOT_ID> slots;
  CK_RV rv = CKR_OK;
  do {  // a token may be plugged in between the two calls
    CK_ULONG count = 0;
    Check(module->C_GetSlotList(CK_TRUE, nullptr, &count), "C_GetSlotList");
    slots.resize(count);
    rv = module->C_GetSlotList(CK_TRUE, slots.data(), &count);
    slots.resize(std::min<size_t>(count, slots.size()));
  } while (rv == CKR_BUFFER_TOO_SMALL);
  Check(rv, "C_GetSlotList");
  return slots;
}

std::vector<Token> TokensOf(Module& module) {
  const Module::Use use(module);
  const CloseOnExec guard;
  std::vector<Token> tokens;
  for (const CK_SLOT_ID slot : SlotsWithToken(module.functions())) {
    Token token{
        .module = module.functions(), .slot = slot, .info = {}, .owner = &module, .start = module.starts()};
    const CK_RV rv = token.module->C_GetTokenInfo(slot, &token.info);
    if (rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_TOKEN_NOT_RECOGNIZED || rv == CKR_DEVICE_REMOVED) continue;
    Check(rv, "C_GetTokenInfo");
    if ((token.info.flags & CKF_TOKEN_INITIALIZED) != 0) tokens.push_back(token);
  }
  return tokens;
}

struct Found {
  std::vector<Token> tokens;
  std::string broken;  // modules that did not answer, and why
};

Found AllTokens(const Modules& modules) {
  Found found{.tokens = {}, .broken = modules.broken};
  for (const auto& module : modules.loaded) {
    try {
      std::ranges::move(TokensOf(*module), std::back_inserter(found.tokens));
    } catch (const Failure& failure) {  // one that fails must not hide the others' tokens
      if (modules.loaded.size() == 1) throw;
      if (!found.broken.empty()) found.broken += ", ";
      found.broken += failure.what();
    }
  }
  return found;
}

bool Is(const std::optional<std::string>& wanted, std::string_view text) {
  return !wanted || *wanted == text;
}

bool TokenMatches(const CK_TOKEN_INFO& token, const TokenQuery& query) {
  return Is(query.label, Text(token.label)) && Is(query.serial, Text(token.serialNumber)) &&
         Is(query.manufacturer, Text(token.manufacturerID)) && Is(query.model, Text(token.model));
}

// Slot and library are asked only where they count: some modules take their time.
bool SlotMatches(const Token& token, const TokenQuery& query) {
  if (query.slot && *query.slot != token.slot) return false;
  if (!query.slot_manufacturer && !query.slot_description) return true;
  CK_SLOT_INFO slot{};
  Check(token.module->C_GetSlotInfo(token.slot, &slot), "C_GetSlotInfo");
  return Is(query.slot_manufacturer, Text(slot.manufacturerID)) &&
         Is(query.slot_description, Text(slot.slotDescription));
}

bool LibraryMatches(CK_FUNCTION_LIST* module, const TokenQuery& query) {
  if (!query.library_manufacturer && !query.library_description && !query.library_version) return true;
  CK_INFO library{};
  Check(module->C_GetInfo(&library), "C_GetInfo");
  const Version version{.major = library.libraryVersion.major, .minor = library.libraryVersion.minor};
  return Is(query.library_manufacturer, Text(library.manufacturerID)) &&
         Is(query.library_description, Text(library.libraryDescription)) &&
         (!query.library_version || *query.library_version == version);
}

bool Matches(const Token& token, const TokenQuery& query) {
  return TokenMatches(token.info, query) && SlotMatches(token, query) && LibraryMatches(token.module, query);
}

std::string NamesOf(const std::vector<Token>& tokens) {
  std::string names;
  for (const Token& token : tokens) {
    if (!names.empty()) names += "; ";
    names += token.Name();
  }
  return names.empty() ? "none" : names;
}

std::string Wanted(const TokenQuery& query) {
  std::string wanted;
  const auto add = [&](const char* what, const std::optional<std::string>& text) {
    if (text) wanted += std::string(wanted.empty() ? " with " : ", ") + what + " \"" + *text + "\"";
  };
  add("label", query.label);
  add("serial", query.serial);
  add("manufacturer", query.manufacturer);
  add("model", query.model);
  add("slot manufacturer", query.slot_manufacturer);
  add("slot description", query.slot_description);
  add("library manufacturer", query.library_manufacturer);
  add("library description", query.library_description);
  if (const auto version = query.library_version) {
    add("library version", std::to_string(version->major) + "." + std::to_string(version->minor));
  }
  if (query.slot) wanted += " in slot " + std::to_string(*query.slot);
  return wanted;
}

LoadedToken Load(const TokenQuery& query) {
  Modules modules = LoadModules(query);
  auto [token, use] = TakeToken(modules, query);
  return {std::move(modules), token, std::move(use)};
}

}  // namespace

std::string Token::Name() const {
  return "token \"" + std::string(Text(info.label)) + "\", serial " + std::string(Text(info.serialNumber)) +
         ", slot " + std::to_string(slot);
}

Token FindToken(const Modules& modules, const TokenQuery& query) {
  const auto [all, broken] = AllTokens(modules);
  std::vector<Token> matching;
  std::ranges::copy_if(all, std::back_inserter(matching),
                       [&](const Token& token) { return Matches(token, query); });
  if (matching.size() == 1) return matching.front();
  if (matching.empty()) {
    throw Refusal("ERR_TOKEN_NOT_FOUND", "no token" + Wanted(query) + "; there are: " + NamesOf(all) +
                                             (broken.empty() ? "" : "; modules that do not work: " + broken));
  }
  throw Refusal("ERR_TOKEN_AMBIGUOUS", "several tokens" + Wanted(query) + ": " + NamesOf(matching) +
                                           "; choose one by its serial or slot");
}

UsedToken TakeToken(const Modules& modules, const TokenQuery& query) {
  for (;;) {
    const Token token = FindToken(modules, query);
    Module::Use use(*token.owner);
    if (token.owner->starts() == token.start) return {token, std::move(use)};
  }
}

LoadedTokens LoadTokens(const TokenQuery& query) {
  Modules modules = LoadModules(query);
  auto [all, broken] = AllTokens(modules);
  std::erase_if(all, [&](const Token& token) { return !Matches(token, query); });
  return {.modules = std::move(modules), .tokens = std::move(all), .broken = std::move(broken)};
}

// While another process logs in, SoftHSM rewrites the token's file: a module that starts just then has no
// such token, and keeps it so until it is started anew.
LoadedToken LoadToken(const TokenQuery& query) {
  for (const auto pause : kPauses) {
    try {
      return Load(query);
    } catch (const Failure& failure) {
      if (std::string_view(failure.code) != "ERR_TOKEN_NOT_FOUND" && failure.number != CKR_GENERAL_ERROR)
        throw;
    }
    std::this_thread::sleep_for(pause);
  }
  return Load(query);
}

}  // namespace aws_hmac::pkcs11
