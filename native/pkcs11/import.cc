#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "pkcs11/key.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/return_value.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"

namespace aws_hmac::pkcs11 {
namespace {

// SoftHSM signs with no less. HMAC itself pads a short key with zeros (RFC 2104, 2): the MAC is the same.
constexpr size_t kLeastKeySize = 32;

// What a module may not know, and is then created without, from the last on.
constexpr auto kOptional = std::to_array<CK_ATTRIBUTE_TYPE>(
    {CKA_DERIVE, CKA_UNWRAP, CKA_WRAP, CKA_DECRYPT, CKA_ENCRYPT, CKA_VERIFY});

SecretBytes Padded(SecretBytes key) {
  if (key.size() >= kLeastKeySize) return key;
  SecretBytes padded(kLeastKeySize);
  std::ranges::copy(key.span(), padded.data());
  return padded;
}

bool DislikesTemplate(CK_RV rv) {
  return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
         rv == CKR_TEMPLATE_INCONSISTENT;
}

// Every attribute is explicit: the defaults of NSS and openCryptoki let the value be read.
CK_OBJECT_HANDLE Create(const Session& session, std::string& label, Bytes& id, SecretBytes& key) {
  CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
  CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  std::vector<CK_ATTRIBUTE> attributes{
      {CKA_CLASS, &secret_key, sizeof secret_key},
      {CKA_KEY_TYPE, &generic, sizeof generic},
      {CKA_LABEL, label.data(), label.size()},
      {CKA_VALUE, key.data(), key.size()},
      {CKA_TOKEN, &yes, sizeof yes},
      {CKA_PRIVATE, &yes, sizeof yes},
      {CKA_SENSITIVE, &yes, sizeof yes},
      {CKA_EXTRACTABLE, &no, sizeof no},
      {CKA_SIGN, &yes, sizeof yes},
  };
  if (!id.empty()) attributes.push_back({CKA_ID, id.data(), id.size()});
  const size_t required = attributes.size();
  std::ranges::transform(kOptional, std::back_inserter(attributes), [&](CK_ATTRIBUTE_TYPE type) {
    return CK_ATTRIBUTE{type, &no, sizeof no};
  });
  for (;;) {
    CK_OBJECT_HANDLE object = 0;
    const CK_RV rv = session->C_CreateObject(session.handle(), attributes.data(), attributes.size(), &object);
    if (rv == CKR_OK) return object;
    if (!DislikesTemplate(rv) || attributes.size() == required) throw CallFailed(rv, "C_CreateObject");
    attributes.pop_back();
  }
}

// Whether `buffer` holds a part of the key, of eight bytes or more. NSS refuses, and leaves ciphertext there
// all the same.
bool Holds(std::span<const uint8_t> buffer, std::span<const uint8_t> key) {
  const size_t size = std::min<size_t>(key.size(), 8);
  for (size_t first = 0; first + size <= key.size(); first++) {
    const auto part = key.subspan(first, size);
    // Not std::ranges::search, which Debian 12's clang-tidy cannot parse.
    if (std::search(buffer.begin(), buffer.end(), part.begin(), part.end()) != buffer.end()) return true;
  }
  return false;
}

// Asked without a buffer and with one: a module may guard only one of the two.
bool ValueComesOut(const Session& session, CK_OBJECT_HANDLE object, std::span<const uint8_t> key) {
  SecretBytes buffer(4096);
  for (uint8_t* const data : {static_cast<uint8_t*>(nullptr), buffer.data()}) {
    const CK_ULONG given = data == nullptr ? 0 : buffer.size();
    CK_ATTRIBUTE value{CKA_VALUE, data, given};
    const CK_RV rv = session->C_GetAttributeValue(session.handle(), object, &value, 1);
    if (rv == CKR_OK) return true;
    if (value.ulValueLen != given && value.ulValueLen != CK_UNAVAILABLE_INFORMATION) return true;
  }
  return Holds(buffer.span(), key);
}

void Verify(const Session& session, CK_OBJECT_HANDLE object, std::span<const uint8_t> key,
            const Probe& probe) {
  if (ValueComesOut(session, object, key) || Flag(session, object, CKA_SENSITIVE) != true) {
    throw Refusal("ERR_KEY_READABLE", "the module would let the key's value be read, so it was not kept");
  }
  if (!std::ranges::equal(Sign(session, object, probe.message).bytes, probe.mac)) {
    throw Refusal("ERR_IMPORT_VERIFY", "the new key gives wrong MACs, so it was not kept");
  }
}

}  // namespace

Imported ImportKey(ImportOptions options, const Probe& probe) {
  const LoadedToken loaded = LoadToken(options.token);
  Session session(loaded.token, Access::kReadWrite);
  session.Login(options.login);
  const std::optional<Bytes> id = options.id.empty() ? std::nullopt : std::optional(options.id);
  if (!FindSecretKeys(session, options.label, id).empty()) {
    throw Refusal("ERR_KEY_EXISTS", "a key with label \"" + options.label + "\"" +
                                        (id ? " and this id" : "") + " is already on " + loaded.token.Name());
  }
  const size_t size = options.key.size();
  SecretBytes key = Padded(std::move(options.key));
  const CK_OBJECT_HANDLE object = Create(session, options.label, options.id, key);
  try {
    Verify(session, object, key.span().first(size), probe);
    return {.extractable = Flag(session, object, CKA_EXTRACTABLE).value_or(true)};
  } catch (const std::exception& error) {
    const CK_RV rv = session->C_DestroyObject(session.handle(), object);
    if (rv == CKR_OK) throw;
    throw CallFailed(rv, "C_DestroyObject",
                     std::string("remove the key from the token yourself: ") + error.what());
  }
}

}  // namespace aws_hmac::pkcs11
