#include <algorithm>
#include <optional>

#include "tpm/authorization.h"
#include "tpm/key_area.h"
#include "tpm/primary.h"
#include "tpm_fixture.h"

namespace aws_hmac::tpm {
namespace {

/// A key made by TPM2_Create under a parent that OpenKey must find again.
class CreatedKey {
 public:
  CreatedKey(ESYS_CONTEXT& esys, ESYS_TR parent, ESYS_TR session) {
    TPM2B_SENSITIVE_CREATE sensitive{};
    sensitive.sensitive.data.size = static_cast<UINT16>(kKey.size());
    std::ranges::copy(kKey, sensitive.sensitive.data.buffer);
    const TPM2B_PUBLIC area = HmacKeyTemplate(false);
    const TPM2B_DATA nothing{};
    const TPML_PCR_SELECTION no_pcr{};
    TPM2B_PUBLIC* created_public = nullptr;
    TPM2B_PRIVATE* created_private = nullptr;
    EXPECT_EQ(Esys_Create(&esys, parent, session, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &area, &nothing,
                          &no_pcr, &created_private, &created_public, nullptr, nullptr, nullptr),
              TSS2_RC_SUCCESS);
    public_area = Marshal(*EsysPtr<TPM2B_PUBLIC>(created_public));
    private_area = Marshal(*EsysPtr<TPM2B_PRIVATE>(created_private));
  }

  Bytes public_area;
  Bytes private_area;
};

TEST_F(Tpm, AKeyUnderEveryPrimary) {
  struct Place {
    TPM2_HANDLE handle;
    ESYS_TR hierarchy;
    Primary primary;
  };
  for (const Place& place : {Place{TPM2_RH_NULL, ESYS_TR_RH_NULL, Primary::kStorageEcc},
                             Place{TPM2_RH_PLATFORM, ESYS_TR_RH_PLATFORM, Primary::kStorageRsa},
                             Place{TPM2_RH_ENDORSEMENT, ESYS_TR_RH_ENDORSEMENT, Primary::kEkEcc},
                             Place{TPM2_RH_ENDORSEMENT, ESYS_TR_RH_ENDORSEMENT, Primary::kEkRsa}}) {
    std::optional<CreatedKey> key;
    {
      const Connection connection(tcti_, kDefaultTimeout);
      ESYS_CONTEXT& esys = connection.esys();
      const Object primary = CreatePrimary(esys, place.hierarchy, place.primary);
      const bool is_ek = place.primary == Primary::kEkEcc || place.primary == Primary::kEkRsa;
      EXPECT_EQ(WantsEndorsementPolicy(ReadPublic(esys, primary.get())->publicArea), is_ek);
      const SessionHandle policy = is_ek ? StartPolicySession(esys) : SessionHandle();
      if (is_ek) {
        ASSERT_EQ(
            Esys_PolicySecret(&esys, ESYS_TR_RH_ENDORSEMENT, policy.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr),
            TSS2_RC_SUCCESS);
      }
      key.emplace(esys, primary.get(), is_ek ? policy.get() : ESYS_TR_PASSWORD);
    }
    for (const bool encrypt : {false, true}) {
      OpenOptions options{
          tcti_, LoadedKey{{place.handle, place.primary}, key->public_area, key->private_area}, {}};
      options.protection.encrypt = encrypt;
      EXPECT_EQ(Sign(*OpenKey(std::move(options)), 1024), kVectors[1].mac);
    }
    // An empty hierarchy wants the empty password: any other is wrong.
    OpenOptions wrong{tcti_,
                      LoadedKey{{place.handle, place.primary, {}, SecretBytes(AsBytes("wrong"))},
                                key->public_area,
                                key->private_area},
                      {}};
    EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(wrong)); }).code, "ERR_TPM_AUTH");
  }
}

TEST_F(Tpm, WrappedKeysThatCannotBeImported) {
  const auto import = [&](Bytes public_area, Bytes duplicate, Bytes seed) {
    return FailureOf([&] {
      WrappedKey key{std::move(public_area), std::move(duplicate), std::move(seed)};
      ImportKey({tcti_, std::move(key), {}, {}}, {});
    });
  };
  const Bytes some{0, 4, 0, 1, 2, 3};
  TPM2B_PUBLIC area = HmacKeyTemplate(false);
  area.publicArea.unique.keyedHash.size = 32;
  EXPECT_STREQ(import(Marshal(area), some, some).code, "ERR_TPM_FILE_INVALID");  // fixedTPM
  area.publicArea.objectAttributes &= ~(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT);
  EXPECT_STREQ(import(Marshal(area), some, some).code, "ERR_TPM_PARENT");
  EXPECT_STREQ(import(Marshal(area), {0, 9, 1}, some).code, "ERR_TPM_FILE_INVALID");
  EXPECT_STREQ(import(Marshal(area), some, {0}).code, "ERR_TPM_FILE_INVALID");
  EXPECT_STREQ(import({0, 1, 2}, some, some).code, "ERR_TPM_FILE_INVALID");
  area.publicArea.objectAttributes &= ~TPMA_OBJECT_SIGN_ENCRYPT;
  EXPECT_STREQ(import(Marshal(area), some, some).code, "ERR_KEY_UNSUITABLE");
}

TEST_F(Tpm, ASavedContextThatIsNone) {
  OpenOptions options{tcti_, SavedKey{{1, 2, 3}}, {}};
  EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(options)); }).code, "ERR_TPM_FILE_INVALID");
}

}  // namespace
}  // namespace aws_hmac::tpm
