#include "tpm/housekeeping.h"

#include <optional>
#include <string_view>

#include "tpm/authorization.h"
#include "tpm/capability.h"
#include "tpm/command.h"
#include "tpm/connection.h"
#include "tpm/key_area.h"
#include "tpm/owner.h"
#include "tpm/salt.h"

namespace aws_hmac::tpm {
namespace {

// A keyedHash object without `sign` is sealed data, or an XOR key (Part 1, 27.5).
bool IsHmacKey(const TPMT_PUBLIC& key) {
  return key.type == TPM2_ALG_KEYEDHASH && (key.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0;
}

bool IsUsable(const TPMT_PUBLIC& key) {
  try {
    RequireHmacKey(key);
    return HasUse(key);
  } catch (const Failure&) {
    return false;
  }
}

bool IsMissing(const Failure& failure) { return std::string_view(failure.code) == "ERR_KEY_NOT_FOUND"; }

struct Area {
  EsysPtr<TPM2B_PUBLIC> public_area;
  EsysPtr<TPM2B_NAME> name;

  const TPMT_PUBLIC& key() const noexcept { return public_area->publicArea; }
};

std::optional<Area> ReadIfThere(ESYS_CONTEXT& esys, TPM2_HANDLE handle) {
  try {
    const Object object = FindPersistent(esys, handle);
    return Area{ReadPublic(esys, object.get()), ObjectName(esys, object.get())};
  } catch (const Failure& failure) {
    if (!IsMissing(failure)) throw;  // another program has removed it since the handles were read
    return std::nullopt;
  }
}

}  // namespace

std::vector<ListedKey> ListKeys(const std::string& tcti, std::chrono::milliseconds timeout) {
  const Connection connection(tcti, timeout);
  std::vector<ListedKey> keys;
  for (const TPM2_HANDLE handle : PersistentHandles(connection.esys())) {
    const std::optional<Area> area = ReadIfThere(connection.esys(), handle);
    if (!area || !IsHmacKey(area->key())) continue;
    const TPM2B_NAME& name = *area->name;
    const TPM2B_DIGEST& policy = area->key().authPolicy;
    keys.push_back({.handle = handle,
                    .name = Bytes(name.name, name.name + name.size),
                    .attributes = area->key().objectAttributes,
                    .policy = Bytes(policy.buffer, policy.buffer + policy.size),
                    .is_usable = IsUsable(area->key())});
  }
  return keys;
}

std::vector<Property> ReadProperties(const std::string& tcti, std::chrono::milliseconds timeout) {
  const Connection connection(tcti, timeout);
  std::vector<Property> properties;
  for (const auto& [tag, value] : Properties(connection.esys())) properties.push_back({tag, value});
  return properties;
}

void RemoveKey(RemoveOptions options) {
  const Connection connection(options.tcti, options.timeout);
  ESYS_CONTEXT& esys = connection.esys();
  const Object object = FindPersistent(esys, options.handle);
  if (!options.force && !IsHmacKey(ReadPublic(esys, object.get())->publicArea)) {
    throw Failure(
        Api::kNone, "ERR_KEY_UNSUITABLE",
        "this TPM object is no HMAC key: it was not removed (option force removes it all the same)");
  }
  // The session's HMAC covers the object's name: what another program has put there meanwhile stays.
  const Authorization session(esys, Protection{}, FindSalt(esys, options.salt_key).get());
  Owner(esys, options.owner, session.first()).Evict(object, options.handle);
}

}  // namespace aws_hmac::tpm
