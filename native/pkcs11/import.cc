#include <algorithm>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "pkcs11/key.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/return_value.h"
#include "pkcs11/secrecy.h"
#include "pkcs11/session.h"
#include "pkcs11/template.h"
#include "pkcs11/token.h"
#include "pkcs11/wrapping.h"

namespace aws_hmac::pkcs11 {
namespace {

// SoftHSM signs with no less. HMAC itself pads a short key with zeros (RFC 2104, 2): the MAC is the same.
constexpr size_t kLeastKeySize = 32;

SecretBytes Padded(std::span<const uint8_t> key) {
  SecretBytes padded(std::max(key.size(), kLeastKeySize));
  std::ranges::copy(key, padded.data());
  return padded;
}

class Import {
 public:
  Import(Session& session, ImportOptions options, const Probe& probe)
      : session_(session),
        options_(std::move(options)),
        probe_(probe),
        padded_(Padded(options_.key.span())) {}

  Imported Run() {
    const std::vector<CK_OBJECT_HANDLE> old = Replaced();
    const Bytes wanted = options_.id;
    // NSS overwrites the key of the same CKA_ID at once, and the new one is not proved yet.
    const bool is_renamed =
        !old.empty() && !wanted.empty() && Attribute(session_, old.front(), CKA_ID) == wanted;
    if (is_renamed) options_.id = options_.spare_id;
    auto [object, imported] = Make();
    if (is_renamed) Rename(object, wanted, "the old key is untouched, and the new one was not kept");
    for (const CK_OBJECT_HANDLE key : old) RemoveOld(key, object, is_renamed);
    return imported;
  }

 private:
  // The key that gives way to the new one; none of the others may be in its way. Two of the same label and id
  // are what is left of a replacement whose process ended between its last two steps.
  std::vector<CK_OBJECT_HANDLE> Replaced() const {
    const std::optional<Bytes> id = options_.has_own_id ? Id() : std::nullopt;
    const std::string where = " on " + session_.token().Name();
    if (options_.replace) {
      std::vector<CK_OBJECT_HANDLE> old = FindSecretKeys(session_, options_.label, id);
      if (old.size() > 1 && !id) {
        throw Refusal("ERR_KEY_AMBIGUOUS", "several keys to replace, " + Wanted(options_.label, id) + where +
                                               ": " + NamesOf(session_, old) +
                                               HowToChoose(options_.label, id));
      }
      if (!std::ranges::all_of(old, [&](CK_OBJECT_HANDLE key) { return IsHmacKey(session_, key); })) {
        throw Refusal("ERR_KEY_UNSUITABLE",
                      "only an HMAC key is replaced, and this is none: " + NamesOf(session_, old) + where);
      }
      if (!old.empty()) return old;
    }
    // By id alone: what has the same CKA_ID and another label would be overwritten by NSS.
    const std::vector<CK_OBJECT_HANDLE> taken =
        FindSecretKeys(session_, Id() ? std::nullopt : std::optional(options_.label), Id());
    if (taken.empty()) return {};
    throw Refusal("ERR_KEY_EXISTS", "there is a key with this id already" + where + ": " +
                                        NamesOf(session_, taken) +
                                        "; choose another id, or set replace for the same label and id");
  }

  std::optional<Bytes> Id() const { return options_.id.empty() ? std::nullopt : std::optional(options_.id); }

  // CKK_GENERIC_SECRET, as openCryptoki makes nothing else; CKK_SHA256_HMAC where a module wants that.
  std::pair<CK_OBJECT_HANDLE, Imported> Make() {
    try {
      return MakeOfType(CKK_GENERIC_SECRET);
    } catch (const Failure& failure) {
      if (!DislikesTemplate(failure.number) && failure.number != CKR_KEY_TYPE_INCONSISTENT) throw;
    }
    return MakeOfType(CKK_SHA256_HMAC);
  }

  std::pair<CK_OBJECT_HANDLE, Imported> MakeOfType(CK_KEY_TYPE type) {
    const Module::Shuffle shuffle(*session_.token().owner);
    const NewKey key = options_.wrapping ? UnwrapKey(session_, *options_.wrapping, padded_.span(), type,
                                                     options_.label, options_.id)
                                         : Create(type);
    try {
      return {key.object, Verify(key)};
    } catch (const std::exception& error) {
      Destroy(key.object, error);
      throw;
    }
  }

  NewKey Create(CK_KEY_TYPE type) {
    const MakeObject make = [&](std::vector<CK_ATTRIBUTE>& attributes, CK_OBJECT_HANDLE* object) {
      attributes.push_back({CKA_VALUE, padded_.data(), padded_.size()});
      return session_->C_CreateObject(session_.handle(), attributes.data(), attributes.size(), object);
    };
    return MakeKey(make, "C_CreateObject", type, options_.label, options_.id);
  }

  Imported Verify(const NewKey& key) const {
    const CK_OBJECT_HANDLE object = key.object;
    if (ValueComesOut(session_, object, options_.key.span()) ||
        Flag(session_, object, CKA_SENSITIVE) != true) {
      throw Refusal("ERR_KEY_READABLE", "the module would let the key's value be read, so it was not kept");
    }
    const bool is_derivable = Flag(session_, object, CKA_DERIVE).value_or(false);
    if (is_derivable && std::ranges::count(key.left_out, CK_ATTRIBUTE_TYPE{CKA_DERIVE}) != 0) {
      throw Refusal("ERR_KEY_READABLE",
                    "the module would let other keys be derived from it (CKA_DERIVE), so it was not kept");
    }
    for (const auto& [type, name] :
         {std::pair{CKA_TOKEN, "CKA_TOKEN"}, std::pair{CKA_PRIVATE, "CKA_PRIVATE"}}) {
      if (Flag(session_, object, type) == false) {
        throw Refusal("ERR_IMPORT_VERIFY",
                      std::string("the module made the key without ") + name + ", so it was not kept");
      }
    }
    if (FindSecretKeys(session_, options_.label, Id()).size() != 1) {
      throw Refusal("ERR_IMPORT_VERIFY",
                    "the module does not find the new key by its label and id, so it was not kept");
    }
    if (!std::ranges::equal(Sign(session_, object, probe_.message).bytes, probe_.mac)) {
      throw Refusal("ERR_IMPORT_VERIFY", "the new key gives wrong MACs, so it was not kept");
    }
    const std::optional<bool> extractable = Flag(session_, object, CKA_EXTRACTABLE);
    const std::optional<bool> wrappable = WrapsOut(session_, object);
    if (!options_.allow_wrapping && (extractable == true || wrappable == true)) {
      throw Refusal("ERR_KEY_WRAPPABLE",
                    std::string("the module ") +
                        (wrappable == true ? "gives the key out" : "would not refuse to give the key out") +
                        ", wrapped by another key, though it was told not to, so it was not kept: use "
                        "another token, or set the option allowWrapping");
    }
    return {
        .extractable = extractable.value_or(true), .wrappable = wrappable, .left_out = Names(key.left_out)};
  }

  static std::vector<std::string> Names(const std::vector<CK_ATTRIBUTE_TYPE>& types) {
    std::vector<std::string> names;
    names.reserve(types.size());
    for (const CK_ATTRIBUTE_TYPE type : types) names.emplace_back(NameOfAttribute(type));
    return names;
  }

  // The error says why a key goes, and whether it went.
  void Destroy(CK_OBJECT_HANDLE object, const std::exception& why) const {
    const CK_RV rv = session_.Destroy(object);
    if (rv == CKR_OK) return;
    throw CallFailed(
        rv, "C_DestroyObject",
        "remove the key with id 0x" + Hex(options_.id) + " from the token yourself: " + why.what());
  }

  void Rename(CK_OBJECT_HANDLE object, const Bytes& id, const char* otherwise) const {
    CK_ATTRIBUTE attribute{CKA_ID, const_cast<uint8_t*>(id.data()), id.size()};  // only read
    const CK_RV rv = session_->C_SetAttributeValue(session_.handle(), object, &attribute, 1);
    if (rv == CKR_OK) return;
    try {
      throw CallFailed(rv, "C_SetAttributeValue",
                       std::string("the new key cannot take the old one's id: ") + otherwise);
    } catch (const std::exception& error) {
      Destroy(object, error);
      throw;
    }
  }

  void RemoveOld(CK_OBJECT_HANDLE old, CK_OBJECT_HANDLE object, bool is_renamed) const {
    const CK_RV rv = session_.Destroy(old);
    if (rv == CKR_OK) return;
    if (is_renamed) {  // so that the two can be told apart
      CK_ATTRIBUTE spare{CKA_ID, const_cast<uint8_t*>(options_.id.data()), options_.id.size()};
      session_->C_SetAttributeValue(session_.handle(), object, &spare, 1);
    }
    throw CallFailed(rv, "C_DestroyObject",
                     "both keys are there: the new one, which is as it should be, has id 0x" +
                         Hex(Attribute(session_, object, CKA_ID)) +
                         ", and the old one, which could not be removed, has id 0x" +
                         Hex(Attribute(session_, old, CKA_ID)));
  }

  Session& session_;
  ImportOptions options_;
  const Probe& probe_;
  SecretBytes padded_;
};

}  // namespace

Imported ImportKey(ImportOptions options, const Probe& probe) {
  const LoadedToken loaded = LoadToken(options.token);
  Session session(loaded.token, Access::kReadWrite);
  session.Login(options.login);
  return Import(session, std::move(options), probe).Run();
}

}  // namespace aws_hmac::pkcs11
