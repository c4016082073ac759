#include "tpm/primary.h"
#include "tpm/salt.h"
#include "tpm_fixture.h"

namespace aws_hmac::tpm {
namespace {

constexpr uint32_t kOwner = 0x40000001;

/// The name and the P-256 key of the owner hierarchy's primary.
SaltKey KnownPrimary(ESYS_CONTEXT& esys) {
  const Object primary = CreatePrimary(esys, ESYS_TR_RH_OWNER);
  const EsysPtr<TPM2B_PUBLIC> area = ReadPublic(esys, primary.get());
  const TPMS_ECC_POINT& point = area->publicArea.unique.ecc;
  SaltKey key{.handle = kOwner, .public_key = FromHex("00230003")};
  key.public_key.insert(key.public_key.end(), point.x.buffer, point.x.buffer + point.x.size);
  key.public_key.insert(key.public_key.end(), point.y.buffer, point.y.buffer + point.y.size);
  TPM2B_NAME* name = nullptr;
  EXPECT_EQ(Esys_TR_GetName(&esys, primary.get(), &name), TSS2_RC_SUCCESS);
  const EsysPtr<TPM2B_NAME> owned(name);
  key.name.assign(name->name, name->name + name->size);
  return key;
}

TEST_F(Tpm, SaltsWithTheKeyThatIsKnownAndWithNoOther) {
  const Imported key = Import(kPassword);
  SaltKey known = KnownPrimary(Connection(tcti_, kDefaultTimeout).esys());
  const Bytes name = known.name;
  auto open = [&](Bytes expected_name, Bytes expected_key) {
    OpenOptions options = Options(key, kPassword);
    options.protection.salt_key =
        SaltKey{.handle = kOwner, .name = std::move(expected_name), .public_key = std::move(expected_key)};
    return Sign(*OpenKey(std::move(options)), kVectors[1].length);
  };
  EXPECT_EQ(open({}, {}), kVectors[1].mac);
  EXPECT_EQ(open(name, known.public_key), kVectors[1].mac);

  for (Bytes* part : {&known.name, &known.public_key}) {
    for (const size_t at : {size_t{0}, size_t{1}, part->size() - 1}) {
      (*part)[at] ^= 1;
      EXPECT_STREQ(FailureOf([&] { open(known.name, known.public_key); }).code, "ERR_TPM_SALT_KEY");
      (*part)[at] ^= 1;
    }
  }
}

TEST_F(Tpm, RefusesAMissingSaltKey) {
  const Connection connection(tcti_, kDefaultTimeout);
  const Failure failure =
      FailureOf([&] { FindSalt(connection.esys(), SaltKey{.handle = kHandle + 0x1000}); });
  EXPECT_STREQ(failure.code, "ERR_TPM_SALT_KEY");
  EXPECT_EQ(failure.number_name, "TPM_RC_HANDLE");
}

}  // namespace
}  // namespace aws_hmac::tpm
