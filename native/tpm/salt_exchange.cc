#include "tpm/salt_exchange.h"

#include <openssl/core_names.h>
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "tpm/openssl.h"

namespace aws_hmac::tpm {
namespace {

struct Curve {
  const char* name;  // nullptr: not known
  size_t field_size;
};

Curve CurveOf(TPMI_ECC_CURVE curve) {
  switch (curve) {
    case TPM2_ECC_NIST_P192:
      return {"P-192", 24};
    case TPM2_ECC_NIST_P224:
      return {"P-224", 28};
    case TPM2_ECC_NIST_P256:
      return {"P-256", 32};
    case TPM2_ECC_NIST_P384:
      return {"P-384", 48};
    case TPM2_ECC_NIST_P521:
      return {"P-521", 66};
    default:
      return {nullptr, 0};
  }
}

constexpr size_t kLongestField = 66;

/// A point as SEC 1 writes it, uncompressed: 4, x, y.
struct EncodedPoint {
  std::array<uint8_t, 1 + 2 * kLongestField> bytes{4};
  size_t field_size;

  size_t size() const { return 1 + 2 * field_size; }
  std::span<uint8_t> x() { return std::span(bytes).subspan(1, field_size); }
  std::span<uint8_t> y() { return std::span(bytes).subspan(1 + field_size, field_size); }
};

// Some TPMs leave out a coordinate's leading zeros.
bool PutPadded(std::span<uint8_t> place, const TPM2B_ECC_PARAMETER& number) {
  if (number.size > place.size()) return false;
  std::copy_n(number.buffer, number.size, place.last(number.size).begin());
  return true;
}

void Put(TPM2B_ECC_PARAMETER& number, std::span<const uint8_t> bytes) {
  number.size = static_cast<UINT16>(bytes.size());
  std::ranges::copy(bytes, number.buffer);
}

OSSL_PARAM Text(const char* name, const char* value) {
  return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
}

AsymmetricKey RsaKey(const TPMT_PUBLIC& area) {
  constexpr uint32_t kDefaultExponent = 65537;
  const uint32_t exponent = area.parameters.rsaDetail.exponent;
  const BigNumber modulus(BN_bin2bn(area.unique.rsa.buffer, area.unique.rsa.size, nullptr));
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_uint32(builder.get(), OSSL_PKEY_PARAM_RSA_E,
                                 exponent == 0 ? kDefaultExponent : exponent) != 1) {
    return nullptr;
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  return parameters ? PublicKey("RSA", parameters.get()) : nullptr;
}

AsymmetricKey EcKey(const TPMS_ECC_POINT& point, const Curve& curve) {
  EncodedPoint encoded{.field_size = curve.field_size};
  if (!PutPadded(encoded.x(), point.x) || !PutPadded(encoded.y(), point.y)) return nullptr;
  std::array parameters{
      Text(OSSL_PKEY_PARAM_GROUP_NAME, curve.name),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded.bytes.data(), encoded.size()),
      OSSL_PARAM_construct_end()};
  return PublicKey("EC", parameters.data());
}

}  // namespace

TSS2_RC EncryptByRsa(TPM2B_PUBLIC* key, size_t in_size, BYTE* in, size_t max_out_size, BYTE* out,
                     size_t* out_size, const char* label, void* /*userdata*/) noexcept {
  if (key == nullptr || in == nullptr || out == nullptr || out_size == nullptr || label == nullptr) {
    return TSS2_ESYS_RC_BAD_REFERENCE;
  }
  const TPMT_PUBLIC& area = key->publicArea;
  if (area.parameters.rsaDetail.scheme.scheme != TPM2_ALG_OAEP) return TSS2_ESYS_RC_BAD_VALUE;
  const char* const digest = DigestName(area.nameAlg);
  if (digest == nullptr) return TSS2_ESYS_RC_NOT_IMPLEMENTED;
  if (max_out_size < area.unique.rsa.size) return TSS2_ESYS_RC_BAD_SIZE;

  std::array parameters{Text(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, OSSL_PKEY_RSA_PAD_MODE_OAEP),
                        Text(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, digest),
                        OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL,
                                                          const_cast<char*>(label), strlen(label) + 1),
                        OSSL_PARAM_construct_end()};
  const AsymmetricKey rsa = RsaKey(area);
  const AsymmetricContext context(rsa ? EVP_PKEY_CTX_new_from_pkey(LibraryContext(), rsa.get(), nullptr)
                                      : nullptr);
  *out_size = max_out_size;
  if (!context || EVP_PKEY_encrypt_init_ex(context.get(), parameters.data()) != 1 ||
      EVP_PKEY_encrypt(context.get(), out, out_size, in, in_size) != 1) {
    return TSS2_ESYS_RC_GENERAL_FAILURE;
  }
  return TSS2_RC_SUCCESS;
}

TSS2_RC AgreeByEcdh(TPM2B_PUBLIC* key, size_t max_out_size, TPM2B_ECC_PARAMETER* z, TPMS_ECC_POINT* q,
                    BYTE* out, size_t* out_size, void* /*userdata*/) noexcept {
  if (key == nullptr || z == nullptr || q == nullptr || out == nullptr || out_size == nullptr) {
    return TSS2_ESYS_RC_BAD_REFERENCE;
  }
  const Curve curve = CurveOf(key->publicArea.parameters.eccDetail.curveID);
  if (curve.name == nullptr) return TSS2_ESYS_RC_NOT_IMPLEMENTED;

  const AsymmetricKey theirs = EcKey(key->publicArea.unique.ecc, curve);
  const AsymmetricKey ours(theirs ? EVP_PKEY_Q_keygen(LibraryContext(), nullptr, "EC", curve.name) : nullptr);
  const AsymmetricContext context(ours ? EVP_PKEY_CTX_new_from_pkey(LibraryContext(), ours.get(), nullptr)
                                       : nullptr);
  EncodedPoint point{.field_size = curve.field_size};
  size_t point_size = 0;
  size_t z_size = sizeof z->buffer;
  constexpr int kValidate = 1;
  if (!context ||
      EVP_PKEY_get_octet_string_param(ours.get(), OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point.bytes.data(),
                                      point.bytes.size(), &point_size) != 1 ||
      point_size != point.size() || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer_ex(context.get(), theirs.get(), kValidate) != 1 ||
      EVP_PKEY_derive(context.get(), z->buffer, &z_size) != 1) {
    return TSS2_ESYS_RC_GENERAL_FAILURE;
  }
  z->size = static_cast<UINT16>(z_size);
  Put(q->x, point.x());
  Put(q->y, point.y());
  *out_size = 0;
  return Tss2_MU_TPMS_ECC_POINT_Marshal(q, out, max_out_size, out_size);
}

}  // namespace aws_hmac::tpm
