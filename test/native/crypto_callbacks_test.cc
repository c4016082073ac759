#include "tpm/crypto_callbacks.h"

#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <string>

#include "tpm/openssl.h"
#include "tpm_fixture.h"

namespace aws_hmac::tpm {
namespace {

const CryptoCallbacks& kCallbacks = kCryptoCallbacks;
using Context = ESYS_CRYPTO_CONTEXT_BLOB;

// What OpenSSL frees comes by here, so that a test sees whether a secret is left in it.
thread_local std::span<const uint8_t> watched;
thread_local int left_behind = 0;

void* Allocate(size_t size, const char* /*file*/, int /*line*/) { return malloc(size); }
void* Reallocate(void* memory, size_t size, const char* /*file*/, int /*line*/) {
  return realloc(memory, size);
}
void Free(void* memory, const char* /*file*/, int /*line*/) {
  if (memory != nullptr && !watched.empty()) {
    const std::span bytes(static_cast<const uint8_t*>(memory), malloc_usable_size(memory));
    if (!std::ranges::search(bytes, watched).empty()) left_behind++;
  }
  free(memory);
}
const bool kWatching = CRYPTO_set_mem_functions(Allocate, Reallocate, Free) == 1;

std::string HexOf(const TPM2B_ECC_PARAMETER& number) { return Hex({number.buffer, number.size}); }

std::string Hash(TPM2_ALG_ID algorithm, std::string_view message) {
  Context* context = nullptr;
  EXPECT_EQ(kCallbacks.hash_start(&context, algorithm, nullptr), TSS2_RC_SUCCESS);
  for (const uint8_t& byte : AsBytes(message)) {
    EXPECT_EQ(kCallbacks.hash_update(context, &byte, 1, nullptr), TSS2_RC_SUCCESS);
  }
  std::array<uint8_t, 64> result{};
  size_t size = result.size();
  EXPECT_EQ(kCallbacks.hash_finish(&context, result.data(), &size, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(context, nullptr);
  return Hex(std::span(result).first(size));
}

std::string Hmac(TPM2_ALG_ID algorithm, std::string_view key, std::string_view message) {
  const auto key_bytes = AsBytes(key);
  const auto bytes = AsBytes(message);
  Context* context = nullptr;
  EXPECT_EQ(kCallbacks.hmac_start(&context, algorithm, key_bytes.data(), key_bytes.size(), nullptr),
            TSS2_RC_SUCCESS);
  EXPECT_EQ(kCallbacks.hmac_update(context, bytes.data(), bytes.size(), nullptr), TSS2_RC_SUCCESS);
  std::array<uint8_t, 64> result{};
  size_t size = result.size();
  EXPECT_EQ(kCallbacks.hmac_finish(&context, result.data(), &size, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(context, nullptr);
  return Hex(std::span(result).first(size));
}

// FIPS 180-4 and GB/T 32905.
TEST(CryptoCallbacks, Hash) {
  EXPECT_EQ(Hash(TPM2_ALG_SHA1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(Hash(TPM2_ALG_SHA256, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hash(TPM2_ALG_SHA256, ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(
      Hash(TPM2_ALG_SHA384, "abc"),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(Hash(TPM2_ALG_SHA512, "abc"),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(Hash(TPM2_ALG_SM3_256, "abc"),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
}

// RFC 2202 and RFC 4231, cases 2 and 6. The empty key is that of a session without a salt or password.
TEST(CryptoCallbacks, Hmac) {
  constexpr std::string_view kQuestion = "what do ya want for nothing?";
  EXPECT_EQ(Hmac(TPM2_ALG_SHA1, "Jefe", kQuestion), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(Hmac(TPM2_ALG_SHA256, "Jefe", kQuestion),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      Hmac(TPM2_ALG_SHA384, "Jefe", kQuestion),
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
  EXPECT_EQ(Hmac(TPM2_ALG_SHA512, "Jefe", kQuestion),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
  EXPECT_EQ(Hmac(TPM2_ALG_SHA256, std::string(131, '\xaa'),
                 "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(Hmac(TPM2_ALG_SHA256, "", ""),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(CryptoCallbacks, RefuseWrongUseOfHashAndHmac) {
  const std::array<uint8_t, 4> data{};
  std::array<uint8_t, 31> too_small{};
  size_t size = too_small.size();
  Context* context = nullptr;
  EXPECT_EQ(kCallbacks.hash_start(nullptr, TPM2_ALG_SHA256, nullptr), TSS2_ESYS_RC_BAD_REFERENCE);
  EXPECT_EQ(kCallbacks.hash_start(&context, TPM2_ALG_NULL, nullptr), TSS2_ESYS_RC_NOT_IMPLEMENTED);
  EXPECT_EQ(kCallbacks.hmac_start(nullptr, TPM2_ALG_SHA256, data.data(), 4, nullptr),
            TSS2_ESYS_RC_BAD_REFERENCE);
  EXPECT_EQ(kCallbacks.hmac_start(&context, TPM2_ALG_SHA256, nullptr, 0, nullptr),
            TSS2_ESYS_RC_BAD_REFERENCE);
  EXPECT_EQ(kCallbacks.hmac_start(&context, TPM2_ALG_AES, data.data(), 4, nullptr),
            TSS2_ESYS_RC_NOT_IMPLEMENTED);
  EXPECT_EQ(context, nullptr);
  EXPECT_EQ(kCallbacks.hash_update(nullptr, data.data(), 4, nullptr), TSS2_ESYS_RC_BAD_REFERENCE);
  EXPECT_EQ(kCallbacks.hash_finish(&context, too_small.data(), &size, nullptr), TSS2_ESYS_RC_BAD_REFERENCE);

  ASSERT_EQ(kCallbacks.hash_start(&context, TPM2_ALG_SHA256, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(kCallbacks.hash_update(context, nullptr, 4, nullptr), TSS2_ESYS_RC_BAD_REFERENCE);
  EXPECT_EQ(kCallbacks.hash_finish(&context, nullptr, &size, nullptr), TSS2_ESYS_RC_BAD_REFERENCE);
  EXPECT_EQ(kCallbacks.hash_finish(&context, too_small.data(), &size, nullptr), TSS2_ESYS_RC_BAD_SIZE);
  kCallbacks.hmac_abort(&context, nullptr);  // as ESYS's KDFe does
  EXPECT_EQ(context, nullptr);

  ASSERT_EQ(kCallbacks.hmac_start(&context, TPM2_ALG_SHA256, data.data(), 4, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(kCallbacks.hmac_finish(&context, too_small.data(), &size, nullptr), TSS2_ESYS_RC_BAD_SIZE);
  kCallbacks.hash_abort(&context, nullptr);  // as where ESYS authorises
  EXPECT_EQ(context, nullptr);
  kCallbacks.hash_abort(&context, nullptr);
  kCallbacks.hash_abort(nullptr, nullptr);
}

TEST(CryptoCallbacks, Random) {
  TPM2B_NONCE first{};
  TPM2B_NONCE second{};
  ASSERT_EQ(kCallbacks.get_random2b(&first, 32, nullptr), TSS2_RC_SUCCESS);
  ASSERT_EQ(kCallbacks.get_random2b(&second, 32, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(first.size, 32);
  EXPECT_NE(Hex({first.buffer, 32}), Hex({second.buffer, 32}));
  EXPECT_EQ(Hex({first.buffer + 32, 32}), std::string(64, '0'));
  ASSERT_EQ(kCallbacks.get_random2b(&first, 0, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(first.size, sizeof first.buffer);
  EXPECT_EQ(kCallbacks.get_random2b(&first, sizeof first.buffer + 1, nullptr), TSS2_ESYS_RC_BAD_SIZE);
  EXPECT_EQ(kCallbacks.get_random2b(nullptr, 1, nullptr), TSS2_ESYS_RC_BAD_REFERENCE);
}

TSS2_RC Aes(CryptoCallbacks::Aes* call, Bytes key, Bytes& data, TPM2_ALG_ID algorithm = TPM2_ALG_AES,
            TPM2_ALG_ID mode = TPM2_ALG_CFB) {
  Bytes iv = FromHex("000102030405060708090a0b0c0d0e0f");
  const auto bits = static_cast<TPMI_AES_KEY_BITS>(key.size() * 8);
  return call(key.data(), algorithm, bits, mode, data.data(), data.size(), iv.data(), nullptr);
}

// NIST SP 800-38A, F.3.13 to F.3.18.
TEST(CryptoCallbacks, AesCfb) {
  constexpr std::string_view kPlain =
      "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
      "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
  struct {
    std::string_view key, encrypted;
  } constexpr kVectors[] = {{"2b7e151628aed2a6abf7158809cf4f3c",
                             "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
                             "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6"},
                            {"8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
                             "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a"
                             "2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff"},
                            {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                             "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
                             "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471"}};
  for (const auto& vector : kVectors) {
    for (const size_t size : {64, 20, 1}) {
      Bytes data = FromHex(kPlain.substr(0, 2 * size));
      EXPECT_EQ(Aes(kCallbacks.aes_encrypt, FromHex(vector.key), data), TSS2_RC_SUCCESS);
      EXPECT_EQ(Hex(data), vector.encrypted.substr(0, 2 * size));
      EXPECT_EQ(Aes(kCallbacks.aes_decrypt, FromHex(vector.key), data), TSS2_RC_SUCCESS);
      EXPECT_EQ(Hex(data), kPlain.substr(0, 2 * size));
    }
  }
}

TEST(CryptoCallbacks, RefuseAnotherCipher) {
  for (CryptoCallbacks::Aes* call : {kCallbacks.aes_encrypt, kCallbacks.aes_decrypt}) {
    Bytes data(16, 1);
    EXPECT_EQ(Aes(call, Bytes(16), data, TPM2_ALG_SM4), TSS2_ESYS_RC_BAD_VALUE);
    EXPECT_EQ(Aes(call, Bytes(16), data, TPM2_ALG_AES, TPM2_ALG_CTR), TSS2_ESYS_RC_BAD_VALUE);
    EXPECT_EQ(Aes(call, Bytes(8), data), TSS2_ESYS_RC_BAD_VALUE);
    EXPECT_EQ(Hex(data), Hex(Bytes(16, 1)));
    EXPECT_EQ(call(data.data(), TPM2_ALG_AES, 128, TPM2_ALG_CFB, data.data(), 16, nullptr, nullptr),
              TSS2_ESYS_RC_BAD_REFERENCE);
    EXPECT_EQ(call(nullptr, TPM2_ALG_AES, 128, TPM2_ALG_CFB, data.data(), 16, data.data(), nullptr),
              TSS2_ESYS_RC_BAD_REFERENCE);
  }
}

std::span<uint8_t> NumberOf(const AsymmetricKey& key, const char* name, std::span<uint8_t> room) {
  BIGNUM* number = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key.get(), name, &number), 1);
  const BigNumber owned(number);
  return room.first(static_cast<size_t>(BN_bn2bin(number, room.data())));
}

const AsymmetricKey& RsaPair() {
  static const AsymmetricKey pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}));
  return pair;
}

TPM2B_PUBLIC PublicOf(const AsymmetricKey& pair, TPM2_ALG_ID name_algorithm) {
  TPM2B_PUBLIC area{};
  area.publicArea.type = TPM2_ALG_RSA;
  area.publicArea.nameAlg = name_algorithm;
  area.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_OAEP;
  auto& modulus = area.publicArea.unique.rsa;
  modulus.size = static_cast<UINT16>(NumberOf(pair, OSSL_PKEY_PARAM_RSA_N, modulus.buffer).size());
  return area;
}

constexpr char kLabel[] = "SECRET";  // the label has the final 0

TSS2_RC Encrypt(TPM2B_PUBLIC key, Bytes secret, Bytes& encrypted) {
  size_t size = 0;
  const TSS2_RC rc = kCallbacks.rsa_pk_encrypt(&key, secret.size(), secret.data(), encrypted.size(),
                                               encrypted.data(), &size, kLabel, nullptr);
  if (rc == TSS2_RC_SUCCESS) encrypted.resize(size);
  return rc;
}

std::string DecryptOaep(const AsymmetricKey& pair, const EVP_MD* digest, const Bytes& encrypted) {
  const AsymmetricContext context(EVP_PKEY_CTX_new(pair.get(), nullptr));
  EXPECT_EQ(EVP_PKEY_decrypt_init(context.get()), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest), 1);
  EXPECT_EQ(
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), OPENSSL_memdup(kLabel, sizeof kLabel), sizeof kLabel),
      1);
  Bytes decrypted(256);
  size_t size = decrypted.size();
  EXPECT_EQ(EVP_PKEY_decrypt(context.get(), decrypted.data(), &size, encrypted.data(), encrypted.size()), 1);
  return Hex(std::span(decrypted).first(size));
}

TEST(CryptoCallbacks, RsaOaep) {
  const Bytes secret = Message(32);
  const std::pair<TPM2_ALG_ID, const EVP_MD*> digests[] = {{TPM2_ALG_SHA1, EVP_sha1()},
                                                           {TPM2_ALG_SHA256, EVP_sha256()},
                                                           {TPM2_ALG_SHA384, EVP_sha384()},
                                                           {TPM2_ALG_SHA512, EVP_sha512()}};
  for (const auto& [algorithm, digest] : digests) {
    for (const UINT32 exponent : {0, 65537}) {
      TPM2B_PUBLIC key = PublicOf(RsaPair(), algorithm);
      key.publicArea.parameters.rsaDetail.exponent = exponent;
      Bytes encrypted(512);
      ASSERT_EQ(Encrypt(key, secret, encrypted), TSS2_RC_SUCCESS);
      EXPECT_EQ(encrypted.size(), 256U);
      EXPECT_EQ(DecryptOaep(RsaPair(), digest, encrypted), Hex(secret));
    }
  }
}

TEST(CryptoCallbacks, RefuseAnRsaKeyThatIsNone) {
  const TPM2B_PUBLIC key = PublicOf(RsaPair(), TPM2_ALG_SHA256);
  const auto refusal = [&](size_t room, size_t secret, auto change) {
    TPM2B_PUBLIC changed = key;
    change(changed.publicArea);
    Bytes encrypted(room);
    return Encrypt(changed, Bytes(secret), encrypted);
  };
  const auto nothing = [](TPMT_PUBLIC&) {};
  EXPECT_EQ(refusal(256, 32, nothing), TSS2_RC_SUCCESS);
  EXPECT_EQ(refusal(255, 32, nothing), TSS2_ESYS_RC_BAD_SIZE);
  EXPECT_EQ(refusal(256, 191, nothing), TSS2_ESYS_RC_GENERAL_FAILURE);  // 190 at most
  EXPECT_EQ(refusal(256, 32, [](auto& area) { area.unique.rsa.size = 0; }), TSS2_ESYS_RC_GENERAL_FAILURE);
  EXPECT_EQ(refusal(256, 32, [](auto& area) { area.nameAlg = TPM2_ALG_NULL; }), TSS2_ESYS_RC_NOT_IMPLEMENTED);
  EXPECT_EQ(refusal(256, 32, [](auto& area) { area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSAES; }),
            TSS2_ESYS_RC_BAD_VALUE);
  EXPECT_EQ(kCallbacks.rsa_pk_encrypt(nullptr, 0, nullptr, 0, nullptr, nullptr, kLabel, nullptr),
            TSS2_ESYS_RC_BAD_REFERENCE);
}

/// A public area as a TPM gives it that leaves leading zeros out.
TPM2B_PUBLIC EcPublicOf(const AsymmetricKey& pair, TPMI_ECC_CURVE curve) {
  TPM2B_PUBLIC area{};
  area.publicArea.type = TPM2_ALG_ECC;
  area.publicArea.parameters.eccDetail.curveID = curve;
  auto& [x, y] = area.publicArea.unique.ecc;
  x.size = static_cast<UINT16>(NumberOf(pair, OSSL_PKEY_PARAM_EC_PUB_X, x.buffer).size());
  y.size = static_cast<UINT16>(NumberOf(pair, OSSL_PKEY_PARAM_EC_PUB_Y, y.buffer).size());
  return area;
}

struct Agreed {
  TSS2_RC rc;
  TPM2B_ECC_PARAMETER z{};
  TPMS_ECC_POINT q{};
  Bytes marshalled = Bytes(sizeof(TPMU_ENCRYPTED_SECRET));

  explicit Agreed(TPM2B_PUBLIC key, size_t room = sizeof(TPMU_ENCRYPTED_SECRET)) {
    size_t size = 0;
    rc = kCallbacks.get_ecdh_point(&key, room, &z, &q, marshalled.data(), &size, nullptr);
    marshalled.resize(size);
  }
};

/// ECDH from the other side, with the private key.
std::string Derive(const AsymmetricKey& pair, const TPMS_ECC_POINT& point) {
  Bytes encoded{4};
  for (const TPM2B_ECC_PARAMETER* number : {&point.x, &point.y}) {
    encoded.insert(encoded.end(), number->buffer, number->buffer + number->size);
  }
  const AsymmetricKey peer(EVP_PKEY_new());
  EXPECT_EQ(EVP_PKEY_copy_parameters(peer.get(), pair.get()), 1);
  EXPECT_EQ(EVP_PKEY_set1_encoded_public_key(peer.get(), encoded.data(), encoded.size()), 1);
  const AsymmetricContext context(EVP_PKEY_CTX_new(pair.get(), nullptr));
  EXPECT_EQ(EVP_PKEY_derive_init(context.get()), 1);
  EXPECT_EQ(EVP_PKEY_derive_set_peer(context.get(), peer.get()), 1);
  Bytes derived(128);
  size_t size = derived.size();
  EXPECT_EQ(EVP_PKEY_derive(context.get(), derived.data(), &size), 1);
  return Hex(std::span(derived).first(size));
}

AsymmetricKey EcPair(const char* curve) {
  return AsymmetricKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
}

void ExpectAgreement(const AsymmetricKey& pair, TPMI_ECC_CURVE curve, size_t field_size) {
  const Agreed agreed(EcPublicOf(pair, curve));
  ASSERT_EQ(agreed.rc, TSS2_RC_SUCCESS);
  EXPECT_EQ(agreed.z.size, field_size);
  EXPECT_EQ(agreed.q.x.size, field_size);
  EXPECT_EQ(agreed.q.y.size, field_size);
  EXPECT_EQ(HexOf(agreed.z), Derive(pair, agreed.q));
  const std::string size = Hex(std::array{uint8_t{0}, static_cast<uint8_t>(field_size)});
  EXPECT_EQ(Hex(agreed.marshalled), size + HexOf(agreed.q.x) + size + HexOf(agreed.q.y));
}

TEST(CryptoCallbacks, Ecdh) {
  ExpectAgreement(EcPair("P-192"), TPM2_ECC_NIST_P192, 24);
  ExpectAgreement(EcPair("P-224"), TPM2_ECC_NIST_P224, 28);
  ExpectAgreement(EcPair("P-256"), TPM2_ECC_NIST_P256, 32);
  ExpectAgreement(EcPair("P-384"), TPM2_ECC_NIST_P384, 48);
  ExpectAgreement(EcPair("P-521"), TPM2_ECC_NIST_P521, 66);
}

TEST(CryptoCallbacks, EcdhWithAKeyWhoseCoordinateBeginsWithZero) {
  std::array<uint8_t, 32> x{};
  AsymmetricKey pair;
  for (int i = 0; i < 10'000; i++) {  // one in 256 does
    pair = EcPair("P-256");
    if (NumberOf(pair, OSSL_PKEY_PARAM_EC_PUB_X, x).size() < x.size()) break;
  }
  ASSERT_LT(NumberOf(pair, OSSL_PKEY_PARAM_EC_PUB_X, x).size(), x.size());
  ExpectAgreement(pair, TPM2_ECC_NIST_P256, 32);
}

TEST(CryptoCallbacks, RefuseAPointThatIsNotOnTheCurve) {
  TPM2B_PUBLIC key = EcPublicOf(EcPair("P-256"), TPM2_ECC_NIST_P256);
  auto& [x, y] = key.publicArea.unique.ecc;
  EXPECT_EQ(Agreed(key, 67).rc, TSS2_MU_RC_INSUFFICIENT_BUFFER);
  y.buffer[y.size - 1] ^= 1;
  EXPECT_EQ(Agreed(key).rc, TSS2_ESYS_RC_GENERAL_FAILURE);
  y.buffer[y.size - 1] ^= 1;
  x.size = 33;
  EXPECT_EQ(Agreed(key).rc, TSS2_ESYS_RC_GENERAL_FAILURE);
  x.size = y.size = 0;
  EXPECT_EQ(Agreed(key).rc, TSS2_ESYS_RC_GENERAL_FAILURE);
  key.publicArea.parameters.eccDetail.curveID = TPM2_ECC_BN_P256;
  EXPECT_EQ(Agreed(key).rc, TSS2_ESYS_RC_NOT_IMPLEMENTED);
  EXPECT_EQ(kCallbacks.get_ecdh_point(&key, 0, nullptr, nullptr, nullptr, nullptr, nullptr),
            TSS2_ESYS_RC_BAD_REFERENCE);
}

TEST(CryptoCallbacks, LeaveNoSecretInFreedMemory) {
  ASSERT_TRUE(kWatching);
  const Bytes secret = FromHex("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
  watched = secret;
  void* const control = OPENSSL_memdup(secret.data(), secret.size());
  OPENSSL_free(control);
  EXPECT_EQ(std::exchange(left_behind, 0), 1);

  const std::string_view text(reinterpret_cast<const char*>(secret.data()), secret.size());
  Hash(TPM2_ALG_SHA256, text);
  Hmac(TPM2_ALG_SHA256, text, text);
  Context* context = nullptr;
  EXPECT_EQ(kCallbacks.hmac_start(&context, TPM2_ALG_SHA256, secret.data(), secret.size(), nullptr),
            TSS2_RC_SUCCESS);
  kCallbacks.hmac_abort(&context, nullptr);
  Bytes data(16);
  EXPECT_EQ(Aes(kCallbacks.aes_encrypt, secret, data), TSS2_RC_SUCCESS);
  Bytes encrypted(256);
  EXPECT_EQ(Encrypt(PublicOf(RsaPair(), TPM2_ALG_SHA256), secret, encrypted), TSS2_RC_SUCCESS);
  watched = {};
  EXPECT_EQ(left_behind, 0);
}

/// A key in the TPM that decrypts for whoever asks.
TPM2B_PUBLIC Template(TPMI_ALG_PUBLIC type) {
  TPM2B_PUBLIC area{};
  area.publicArea.type = type;
  area.publicArea.nameAlg = TPM2_ALG_SHA256;
  area.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                     TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                     TPMA_OBJECT_DECRYPT;
  if (type == TPM2_ALG_RSA) {
    auto& rsa = area.publicArea.parameters.rsaDetail;
    rsa.symmetric.algorithm = TPM2_ALG_NULL;
    rsa.scheme.scheme = TPM2_ALG_NULL;
    rsa.keyBits = 2048;
  } else {
    auto& ecc = area.publicArea.parameters.eccDetail;
    ecc.symmetric.algorithm = TPM2_ALG_NULL;
    ecc.scheme.scheme = TPM2_ALG_NULL;
    ecc.curveID = TPM2_ECC_NIST_P256;
    ecc.kdf.scheme = TPM2_ALG_NULL;
  }
  return area;
}

class TpmCrypto : public Tpm {
 protected:
  void SetUp() override {
    Tpm::SetUp();
    if (!tcti_.empty()) connection_.emplace(tcti_, kDefaultTimeout);
  }
  void TearDown() override {
    connection_.reset();
    Tpm::TearDown();
  }
  ESYS_CONTEXT* esys() { return &connection_->esys(); }

  Object Make(TPMI_ALG_PUBLIC type, TPM2B_PUBLIC& area) {
    const TPM2B_PUBLIC wanted = Template(type);
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION pcrs{};
    ESYS_TR key = ESYS_TR_NONE;
    TPM2B_PUBLIC* made = nullptr;
    EXPECT_EQ(
        Esys_CreatePrimary(esys(), ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                           &wanted, &outside, &pcrs, &key, &made, nullptr, nullptr, nullptr),
        TSS2_RC_SUCCESS);
    const EsysPtr<TPM2B_PUBLIC> owned(made);
    area = *made;
    return Object(*esys(), key);
  }

  std::optional<Connection> connection_;
};

TEST_F(TpmCrypto, TheTpmDecryptsWhatIsEncryptedForIt) {
  TPM2B_PUBLIC area{};
  const Object key = Make(TPM2_ALG_RSA, area);
  area.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_OAEP;  // as ESYS does
  const Bytes secret = Message(32);
  Bytes encrypted(256);
  ASSERT_EQ(Encrypt(area, secret, encrypted), TSS2_RC_SUCCESS);

  TPM2B_PUBLIC_KEY_RSA cipher{.size = 256, .buffer = {}};
  std::ranges::copy(encrypted, cipher.buffer);
  const TPMT_RSA_DECRYPT scheme{.scheme = TPM2_ALG_OAEP, .details = {.oaep = {TPM2_ALG_SHA256}}};
  TPM2B_DATA label{.size = sizeof kLabel, .buffer = {}};
  std::ranges::copy(kLabel, label.buffer);
  TPM2B_PUBLIC_KEY_RSA* answered = nullptr;
  ASSERT_EQ(Esys_RSA_Decrypt(esys(), key.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &cipher,
                             &scheme, &label, &answered),
            TSS2_RC_SUCCESS);
  const EsysPtr<TPM2B_PUBLIC_KEY_RSA> decrypted(answered);
  EXPECT_EQ(Hex({decrypted->buffer, decrypted->size}), Hex(secret));
}

TEST_F(TpmCrypto, TheTpmAgreesOnTheSamePoint) {
  TPM2B_PUBLIC area{};
  const Object key = Make(TPM2_ALG_ECC, area);
  const Agreed agreed(area);
  ASSERT_EQ(agreed.rc, TSS2_RC_SUCCESS);
  const TPM2B_ECC_POINT point{.size = 0, .point = agreed.q};
  TPM2B_ECC_POINT* answered = nullptr;
  ASSERT_EQ(
      Esys_ECDH_ZGen(esys(), key.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &point, &answered),
      TSS2_RC_SUCCESS);
  const EsysPtr<TPM2B_ECC_POINT> product(answered);
  EXPECT_EQ(HexOf(product->point.x), HexOf(agreed.z));
}

TEST_F(TpmCrypto, AreUsedFromLibtss2Version4On) { EXPECT_EQ(UseCryptoCallbacks(*esys()), TSS2_MAJOR >= 4); }

}  // namespace
}  // namespace aws_hmac::tpm
