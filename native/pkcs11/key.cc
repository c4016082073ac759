#include "pkcs11/key.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

// A wider buffer than the MAC: NSS cuts silently what does not fit, openCryptoki reports 32 bytes into 8.
constexpr size_t kSignatureBuffer = 64;

std::string NameOfKey(const std::string& label, const Bytes& id) {
  return "label \"" + label + "\", id " + (id.empty() ? "empty" : "0x" + Hex(id));
}

// tpm2-pkcs11 says of a long message that there is no room for the MAC, though there is; in parts it takes no
// more (seen with 1.9).
Failure SignFailed(CK_RV rv, size_t message_size, CK_ULONG mac_size) {
  const bool has_room = rv == CKR_BUFFER_TOO_SMALL && mac_size <= kSignatureBuffer;
  if (rv != CKR_DATA_LEN_RANGE && !has_room) return CallFailed(rv, "C_Sign");
  return Failure(Api::kPkcs11, "ERR_MESSAGE_LENGTH",
                 "the module makes no MAC of a message of " + std::to_string(message_size) + " bytes (" +
                     NameOf(rv) + "); tpm2-pkcs11 takes at most 4096")
      .At("C_Sign", rv, NameOf(rv));
}

}  // namespace

std::string NamesOf(const Session& session, const std::vector<CK_OBJECT_HANDLE>& keys) {
  std::string names;
  for (const CK_OBJECT_HANDLE key : keys) {
    const Bytes label = Attribute(session, key, CKA_LABEL);
    if (!names.empty()) names += "; ";
    names += NameOfKey({label.begin(), label.end()}, Attribute(session, key, CKA_ID));
  }
  return names;
}

std::string Wanted(const std::optional<std::string>& label, const std::optional<Bytes>& id) {
  if (label && id) return "with " + NameOfKey(*label, *id);
  if (label) return "with label \"" + *label + "\"";
  return id ? "with id 0x" + Hex(*id) : "at all";
}

std::string HowToChoose(const std::optional<std::string>& label, const std::optional<Bytes>& id) {
  if (!label || !id) return "; choose one by label and id";
  return "; an interrupted replacement leaves two alike: import the key once more, with the option replace";
}

bool IsHmacKey(const Session& session, CK_OBJECT_HANDLE object) {
  if (Number(session, object, CKA_CLASS) != CKO_SECRET_KEY) return false;
  const std::optional<CK_ULONG> type = Number(session, object, CKA_KEY_TYPE);
  return (type == CKK_GENERIC_SECRET || type == CKK_SHA256_HMAC) && Flag(session, object, CKA_SIGN) == true;
}

bool IsNamed(const Session& session, CK_OBJECT_HANDLE object, const std::optional<std::string>& label,
             const std::optional<Bytes>& id) {
  if (label && Attribute(session, object, CKA_LABEL) != Bytes(label->begin(), label->end())) return false;
  if (id && Attribute(session, object, CKA_ID) != *id) return false;
  return IsHmacKey(session, object);
}

std::vector<CK_OBJECT_HANDLE> FindSecretKeys(const Session& session, const std::optional<std::string>& label,
                                             const std::optional<Bytes>& id) {
  CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
  return FindObjects(session, {{CKA_CLASS, &secret_key, sizeof secret_key}}, label, id);
}

std::vector<CK_OBJECT_HANDLE> FindObjects(const Session& session, std::vector<CK_ATTRIBUTE> attributes,
                                          const std::optional<std::string>& label,
                                          const std::optional<Bytes>& id) {
  CK_BBOOL yes = CK_TRUE;  // on the token: session copies of a key share its label
  attributes.push_back({CKA_TOKEN, &yes, sizeof yes});
  // The search only reads what the template points to.
  if (label) attributes.push_back({CKA_LABEL, const_cast<char*>(label->data()), label->size()});
  if (id) attributes.push_back({CKA_ID, const_cast<uint8_t*>(id->data()), id->size()});
  return session.Find(attributes);
}

CK_OBJECT_HANDLE FindHmacKey(const Session& session, const std::optional<std::string>& label,
                             const std::optional<Bytes>& id) {
  std::vector<CK_OBJECT_HANDLE> keys = FindSecretKeys(session, label, id);
  // One that another process removes just now still has a handle, and nothing to tell.
  std::erase_if(keys, [&](CK_OBJECT_HANDLE key) { return !Number(session, key, CKA_CLASS); });
  std::vector<CK_OBJECT_HANDLE> suitable;
  std::ranges::copy_if(keys, std::back_inserter(suitable),
                       [&](CK_OBJECT_HANDLE key) { return IsHmacKey(session, key); });
  if (suitable.size() == 1) return suitable.front();
  const std::string where = " on " + session.token().Name();
  if (suitable.size() > 1) {
    throw Refusal("ERR_KEY_AMBIGUOUS", "several keys " + Wanted(label, id) + where + ": " +
                                           NamesOf(session, suitable) + HowToChoose(label, id));
  }
  if (!keys.empty()) {
    throw Refusal("ERR_KEY_UNSUITABLE", "not a CKK_GENERIC_SECRET or CKK_SHA256_HMAC key with CKA_SIGN: " +
                                            NamesOf(session, keys) + where);
  }
  throw Refusal("ERR_KEY_NOT_FOUND", "no secret key " + Wanted(label, id) + where);
}

Mac Sign(const Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> message) {
  CK_MECHANISM mechanism{CKM_SHA256_HMAC, nullptr, 0};
  Check(session->C_SignInit(session.handle(), &mechanism, key), "C_SignInit");
  std::array<uint8_t, kSignatureBuffer> signature;
  CK_ULONG size = signature.size();
  uint8_t none = 0;  // modules refuse a null pointer, even to no bytes; they only read the message
  uint8_t* const data = message.empty() ? &none : const_cast<uint8_t*>(message.data());
  Mac mac;
  const CK_RV rv = session->C_Sign(session.handle(), data, message.size(), signature.data(), &size);
  if (rv == CKR_OK && size == mac.bytes.size()) std::copy_n(signature.begin(), size, mac.bytes.begin());
  Wipe(signature.data(), signature.size());
  if (rv != CKR_OK) throw SignFailed(rv, message.size(), size);
  if (size != mac.bytes.size()) {
    throw Refusal("ERR_MAC_LENGTH",
                  "the module gave a MAC of " + std::to_string(size) + " bytes instead of 32");
  }
  return mac;
}

CK_OBJECT_HANDLE CopyIntoSession(const Session& session, CK_OBJECT_HANDLE key) {
  constexpr const char* kRemedy = ": leave out sessionCopy";
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE attribute{CKA_TOKEN, &no, sizeof no};
  CK_OBJECT_HANDLE copy = 0;
  const Module::Shuffle shuffle(*session.token().owner);
  const CK_RV rv = session->C_CopyObject(session.handle(), key, &attribute, 1, &copy);
  if (Describe(rv).stale) throw CallFailed(rv, "C_CopyObject");
  if (rv != CKR_OK) {
    throw Failure(Api::kPkcs11, "ERR_SESSION_COPY",
                  "the module does not copy the key into a session (" + NameOf(rv) + ")" + kRemedy)
        .At("C_CopyObject", rv, NameOf(rv));
  }
  const char* code = nullptr;
  if (Flag(session, copy, CKA_TOKEN) != false) code = "ERR_SESSION_COPY";
  if (Flag(session, key, CKA_SENSITIVE) == true && Flag(session, copy, CKA_SENSITIVE) != true) {
    code = "ERR_KEY_READABLE";
  }
  if (code == nullptr) return copy;
  session.Destroy(copy);
  throw Refusal(code, std::string("the module's copy of the key would ") +
                          (Flag(session, key, CKA_SENSITIVE) == true ? "not be as secret as the key, or stay"
                                                                     : "stay") +
                          " on the token, so it was removed" + kRemedy);
}

}  // namespace aws_hmac::pkcs11
