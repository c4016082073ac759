#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "pkcs11/attribute.h"
#include "pkcs11/key.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/return_value.h"
#include "pkcs11/session.h"
#include "pkcs11/text.h"
#include "pkcs11/token.h"

namespace aws_hmac::pkcs11 {
namespace {

bool MakesHmacs(const Token& token) {
  CK_MECHANISM_INFO info{};
  return token.module->C_GetMechanismInfo(token.slot, CKM_SHA256_HMAC, &info) == CKR_OK &&
         (info.flags & CKF_SIGN) != 0;
}

std::optional<ListedKey> Describe(const Session& session, CK_OBJECT_HANDLE object) {
  const std::optional<CK_ULONG> type = Number(session, object, CKA_KEY_TYPE);
  if (type != CKK_GENERIC_SECRET && type != CKK_SHA256_HMAC) return std::nullopt;
  return ListedKey{.label = Attribute(session, object, CKA_LABEL),
                   .id = Attribute(session, object, CKA_ID),
                   .type = type == CKK_GENERIC_SECRET ? "CKK_GENERIC_SECRET" : "CKK_SHA256_HMAC",
                   .attributes = NamesOfFlags(session, object),
                   .is_usable = IsHmacKey(session, object) && MakesHmacs(session.token())};
}

ListedToken Describe(const Token& token, const std::optional<Credential>& login) {
  ListedToken listed{.module = PathOf(token.module),
                     .label = std::string(Text(token.info.label)),
                     .serial = std::string(Text(token.info.serialNumber)),
                     .manufacturer = std::string(Text(token.info.manufacturerID)),
                     .model = std::string(Text(token.info.model)),
                     .slot = token.slot,
                     .flags = token.info.flags};
  const Module::Use use(*token.owner);
  Session session(token, Access::kRead);
  if (login) session.Login(*login);
  listed.logged_in = session.IsLoggedIn();
  for (const CK_OBJECT_HANDLE object : FindSecretKeys(session, std::nullopt, std::nullopt)) {
    if (const auto key = Describe(session, object)) listed.keys.push_back(*key);
  }
  return listed;
}

// A key that came or went meanwhile makes another answer.
CK_OBJECT_HANDLE Chosen(const Session& session, const RemoveOptions& options) {
  const std::vector<CK_OBJECT_HANDLE> all = FindObjects(session, {}, options.label, options.id);
  std::vector<CK_OBJECT_HANDLE> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen),
                       [&](CK_OBJECT_HANDLE object) { return IsHmacKey(session, object); });
  if (chosen.empty() && options.force) chosen = all;
  if (chosen.size() == 1) return chosen.front();
  const std::string where = Wanted(options.label, options.id) + " on " + session.token().Name();
  if (chosen.size() > 1) {
    throw Refusal("ERR_KEY_AMBIGUOUS",
                  "several " + where + ": " + NamesOf(session, chosen) +
                      (IsHmacKey(session, chosen.front()) ? HowToChoose(options.label, options.id)
                                                          : "; choose one by label and id"));
  }
  if (!all.empty()) {
    throw Refusal("ERR_KEY_UNSUITABLE", "no HMAC key, but something else " + where + ": " +
                                            NamesOf(session, all) + "; the option force removes it");
  }
  const bool is_hidden = session.LacksLogin();
  if (is_hidden) {
    throw Refusal("ERR_PIN_REQUIRED",
                  "no key " + where + " that is visible without a PIN (option pin, or pinPad)");
  }
  throw Refusal("ERR_KEY_NOT_FOUND", "no key " + where);
}

}  // namespace

Listing ListKeys(const ListOptions& options) {
  const LoadedTokens loaded = LoadTokens(options.token);
  if (options.login && loaded.tokens.size() > 1) {
    std::string names;
    for (const Token& token : loaded.tokens) names += (names.empty() ? "" : "; ") + token.Name();
    throw Refusal("ERR_TOKEN_AMBIGUOUS", "a PIN goes to one token alone, and several match: " + names +
                                             "; choose one by its serial or slot");
  }
  Listing listing{.tokens = {}, .broken = loaded.broken};
  for (const Token& token : loaded.tokens) {
    try {
      listing.tokens.push_back(Describe(token, options.login));
    } catch (const Failure& failure) {  // one that fails must not hide the others
      if (loaded.tokens.size() == 1) throw;
      listing.broken += (listing.broken.empty() ? "" : ", ") + token.Name() + ": " + failure.what();
    }
  }
  return listing;
}

void RemoveKey(const RemoveOptions& options) {
  const LoadedToken loaded = LoadToken(options.token);
  Session session(loaded.token, Access::kReadWrite);
  if (options.login) session.Login(*options.login);
  Check(session.Destroy(Chosen(session, options)), "C_DestroyObject");
}

}  // namespace aws_hmac::pkcs11
