#include "pkcs11/uri.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include <memory>
#include <new>

#include "core/failure.h"
#include "pkcs11/text.h"

namespace aws_hmac::pkcs11 {
namespace {

struct FreeUri {
  void operator()(P11KitUri* uri) const noexcept { p11_kit_uri_free(uri); }
};

[[noreturn]] void Refuse(const std::string& reason) {
  throw Failure(Api::kNone, "ERR_PKCS11_URI", "p11-kit does not take the URI: " + reason);
}

// p11-kit leaves the fields that a URI does not name zero, and pads the others.
template <size_t width>
std::optional<std::string> Named(const CK_UTF8CHAR (&field)[width]) {
  return field[0] == 0 ? std::nullopt : std::optional(std::string(Text(field)));
}

std::optional<std::string> Named(const char* text) {
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

std::optional<Bytes> Attribute(P11KitUri* uri, CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* attribute = p11_kit_uri_get_attribute(uri, type);
  if (attribute == nullptr) return std::nullopt;
  const auto* bytes = static_cast<const uint8_t*>(attribute->pValue);
  return Bytes(bytes, bytes + attribute->ulValueLen);
}

std::optional<std::string> AsText(const std::optional<Bytes>& bytes) {
  return bytes ? std::optional(std::string(bytes->begin(), bytes->end())) : std::nullopt;
}

}  // namespace

Uri ParseUri(const std::string& text) {
  const std::unique_ptr<P11KitUri, FreeUri> owner(p11_kit_uri_new());
  P11KitUri* const uri = owner.get();
  if (uri == nullptr) throw std::bad_alloc();
  const int result = p11_kit_uri_parse(text.c_str(), P11_KIT_URI_FOR_ANY, uri);
  if (result != P11_KIT_URI_OK) Refuse(p11_kit_uri_message(result));
  if (p11_kit_uri_any_unrecognized(uri) != 0) Refuse("an attribute or a value is unknown to it");

  const CK_TOKEN_INFO& token = *p11_kit_uri_get_token_info(uri);
  const CK_SLOT_INFO& slot = *p11_kit_uri_get_slot_info(uri);
  const CK_INFO& library = *p11_kit_uri_get_module_info(uri);
  constexpr auto kAnySlot = static_cast<CK_SLOT_ID>(-1);
  constexpr auto kAnyVersion = static_cast<CK_BYTE>(-1);
  const CK_SLOT_ID slot_id = p11_kit_uri_get_slot_id(uri);
  Uri parsed;
  parsed.token = {.module = Named(p11_kit_uri_get_module_path(uri)),
                  .label = Named(token.label),
                  .serial = Named(token.serialNumber),
                  .slot = slot_id == kAnySlot ? std::nullopt : std::optional<uint64_t>(slot_id),
                  .manufacturer = Named(token.manufacturerID),
                  .model = Named(token.model),
                  .slot_manufacturer = Named(slot.manufacturerID),
                  .slot_description = Named(slot.slotDescription),
                  .library_manufacturer = Named(library.manufacturerID),
                  .library_description = Named(library.libraryDescription),
                  .module_name = Named(p11_kit_uri_get_module_name(uri))};
  const CK_VERSION version = library.libraryVersion;
  if (version.major != kAnyVersion || version.minor != kAnyVersion) {
    parsed.token.library_version = Version{.major = version.major, .minor = version.minor};
  }
  parsed.label = AsText(Attribute(uri, CKA_LABEL));
  parsed.id = Attribute(uri, CKA_ID);
  parsed.pin_source = Named(p11_kit_uri_get_pin_source(uri));
  return parsed;
}

}  // namespace aws_hmac::pkcs11
