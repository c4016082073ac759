#include <tss2/tss2_mu.h>

#include "other_copies.h"
#include "tpm/authorization.h"
#include "tpm/command.h"
#include "tpm/key_area.h"
#include "tpm/policy_values.h"
#include "tpm_fixture.h"

namespace aws_hmac::tpm {
namespace {

constexpr uint32_t kPcr = 23;  // which can be reset
const Bytes kSelected = {0, 0, 0x80};

PolicyPcr Pcr(Bytes digest = {}) { return {"policy[0].pcr", TPM2_ALG_SHA256, kSelected, std::move(digest)}; }

class TpmPolicy : public Tpm {
 protected:
  void TearDown() override {
    if (tcti_.empty()) return;
    ResetPcr();
    Tpm::TearDown();
  }

  void ExtendPcr() {
    const Connection connection(tcti_, kDefaultTimeout);
    TPML_DIGEST_VALUES values{};
    values.count = 1;
    values.digests[0].hashAlg = TPM2_ALG_SHA256;
    values.digests[0].digest.sha256[0] = 7;
    ASSERT_EQ(Esys_PCR_Extend(&connection.esys(), ESYS_TR_PCR0 + kPcr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, &values),
              TSS2_RC_SUCCESS);
  }

  void ResetPcr() {
    const Connection connection(tcti_, kDefaultTimeout);
    ASSERT_EQ(
        Esys_PCR_Reset(&connection.esys(), ESYS_TR_PCR0 + kPcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
        TSS2_RC_SUCCESS);
  }

  static void Trial(ESYS_CONTEXT& esys, ESYS_TR session, const PolicyStep& step) {
    TSS2_RC rc = TPM2_RC_FAILURE;
    if (const auto* pcr = std::get_if<PolicyPcr>(&step)) {
      TPML_PCR_SELECTION selection{};
      selection.count = 1;
      selection.pcrSelections[0] = {TPM2_ALG_SHA256, 3, {0, 0, 0x80}};
      TPM2B_DIGEST digest{};
      digest.size = static_cast<UINT16>(pcr->digest.size());
      std::ranges::copy(pcr->digest, digest.buffer);
      rc = Esys_PolicyPCR(&esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &selection);
    } else if (std::holds_alternative<PolicyAuthValue>(step)) {
      rc = Esys_PolicyAuthValue(&esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
    } else if (const auto* all = std::get_if<PolicyOr>(&step)) {
      TPML_DIGEST list{};
      for (const Bytes& bytes : all->digests) {
        list.digests[list.count].size = static_cast<UINT16>(bytes.size());
        std::ranges::copy(bytes, list.digests[list.count++].buffer);
      }
      rc = Esys_PolicyOR(&esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &list);
    } else if (std::holds_alternative<PolicySecret>(step)) {
      rc = Esys_PolicySecret(&esys, ESYS_TR_RH_OWNER, session, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                             nullptr, nullptr, nullptr, 0, nullptr, nullptr);
    }
    EXPECT_EQ(rc, TSS2_RC_SUCCESS);
  }

  // By the TPM itself, in a trial session.
  Bytes DigestOf(const std::vector<PolicyStep>& steps) {
    const Connection connection(tcti_, kDefaultTimeout);
    ESYS_CONTEXT& esys = connection.esys();
    const TPMT_SYM_DEF none{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    ESYS_TR trial = ESYS_TR_NONE;
    EXPECT_EQ(Esys_StartAuthSession(&esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    ESYS_TR_NONE, nullptr, TPM2_SE_TRIAL, &none, TPM2_ALG_SHA256, &trial),
              TSS2_RC_SUCCESS);
    for (const PolicyStep& step : steps) Trial(esys, trial, step);
    TPM2B_DIGEST* digest = nullptr;
    EXPECT_EQ(Esys_PolicyGetDigest(&esys, trial, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest),
              TSS2_RC_SUCCESS);
    const EsysPtr<TPM2B_DIGEST> owned(digest);
    EXPECT_EQ(Esys_FlushContext(&esys, trial), TSS2_RC_SUCCESS);
    return {digest->buffer, digest->buffer + digest->size};
  }

  Imported ImportWith(Policy policy) {
    const Bytes message = Message(1024);
    const Bytes mac = FromHex(kVectors[1].mac);
    ImportOptions options{tcti_, SecretBytes(AsBytes(kKey)), SecretBytes(AsBytes(kPassword)), {}};
    options.policy = std::move(policy);
    return ImportKey(std::move(options), {message, mac});
  }

  OpenOptions OptionsWith(const Imported& key, Policy policy, std::string_view password = kPassword) {
    OpenOptions options = Options(key, password);
    options.policy = std::move(policy);
    return options;
  }
};

PolicySecret OwnerSecret(std::string_view password) {
  return {"policy[0].secret", TPM2_RH_OWNER, SecretBytes(AsBytes(password)), {}};
}

TEST_F(TpmPolicy, PcrAndPasswordUnderEveryProtection) {
  const auto policy = [](bool may_be_sent) {
    Policy result{.paths = {}, .digest = {}, .has_password = true};
    result.paths.push_back({"policy", {}});
    result.paths[0].steps.emplace_back(Pcr());
    result.paths[0].steps.emplace_back(PolicyAuthValue{may_be_sent});
    return result;
  };
  Policy known = policy(false);
  known.digest = DigestOf(known.paths[0].steps);
  const Imported key = ImportWith(std::move(known));
  EXPECT_EQ(UnmarshalPublic(key.public_area).publicArea.objectAttributes & TPMA_OBJECT_USERWITHAUTH, 0u);
  for (const bool encrypt : {false, true}) {
    for (const bool in_clear : {false, true}) {
      OpenOptions options = OptionsWith(key, policy(in_clear));
      options.protection.encrypt = encrypt;
      options.protection.password_in_clear = in_clear;
      const auto device = OpenKey(std::move(options));
      for (const Vector& vector : kVectors) EXPECT_EQ(Sign(*device, vector.length), vector.mac);
      device->Rest();
      ExtendPcr();
      const Failure failure = FailureOf([&] { Sign(*device, 8); });
      EXPECT_STREQ(failure.code, "ERR_POLICY_UNSATISFIED");
      EXPECT_EQ(failure.number_name, "TPM_RC_POLICY_FAIL");
      device->Rest();
      ResetPcr();
      EXPECT_EQ(Sign(*device, 1025), kVectors[2].mac) << "the session stays usable";
    }
  }
  EXPECT_STREQ(FailureOf([&] { OpenKey(Options(key, kPassword)); }).code, "ERR_TPM_POLICY");
  Policy other = policy(false);
  other.digest = Bytes(32, 1);
  EXPECT_STREQ(FailureOf([&] { OpenKey(OptionsWith(key, std::move(other))); }).code, "ERR_TPM_POLICY");
}

TEST_F(TpmPolicy, PathsAreTriedInTheirOrder) {
  const Bytes never(32, 9);
  const std::vector<Bytes> branches = {never, DigestOf([&] {
                                         std::vector<PolicyStep> steps;
                                         steps.emplace_back(Pcr(never));
                                         return steps;
                                       }()),
                                       DigestOf([] {
                                         std::vector<PolicyStep> steps;
                                         steps.emplace_back(OwnerSecret(""));
                                         return steps;
                                       }())};
  const auto policy = [&](std::string_view owner_password) {
    Policy result{.paths = {}, .digest = {}, .has_password = false};
    for (const char* name : {"or[0]", "or[1]", "or[2]", "or[3]"}) result.paths.push_back({name, {}});
    result.paths[0].steps.emplace_back(PolicyNever{"it is for something else"});
    result.paths[1].steps.emplace_back(PolicyAuthValue{false});
    result.paths[2].steps.emplace_back(Pcr(never));
    result.paths[3].steps.emplace_back(OwnerSecret(owner_password));
    for (PolicyPath& path : result.paths) path.steps.emplace_back(PolicyOr{"or", branches});
    return result;
  };
  Policy known = policy("");
  std::vector<PolicyStep> last;
  last.emplace_back(OwnerSecret(""));
  last.emplace_back(PolicyOr{"or", branches});
  known.digest = DigestOf(last);
  const Imported key = ImportWith(std::move(known));
  EXPECT_EQ(Sign(*OpenKey(OptionsWith(key, policy(""))), 1024), kVectors[1].mac);

  const Failure wrong = FailureOf([&] { Sign(*OpenKey(OptionsWith(key, policy("wrong"))), 8); });
  EXPECT_STREQ(wrong.code, "ERR_TPM_AUTH");
  EXPECT_EQ(wrong.operation, "TPM2_PolicySecret");

  Policy without = policy("");
  without.paths.pop_back();
  const Failure none = FailureOf([&] { Sign(*OpenKey(OptionsWith(key, std::move(without))), 8); });
  EXPECT_STREQ(none.code, "ERR_POLICY_UNSATISFIED");
  for (const char* words : {"or[0]: it is for", "or[1]: the key's password", "or[2]: policy[0].pcr"}) {
    EXPECT_NE(std::string(none.what()).find(words), std::string::npos) << none.what();
  }
}

TEST_F(TpmPolicy, AnImportThatCannotBeCheckedThroughItsPolicyIsCheckedByATwin) {
  Policy tomorrow{.paths = {}, .digest = {}, .has_password = true};
  tomorrow.paths.push_back({"policy", {}});
  tomorrow.paths[0].steps.emplace_back(Pcr(Bytes(32, 9)));
  tomorrow.digest = DigestOf(tomorrow.paths[0].steps);
  const Bytes digest = tomorrow.digest;
  const Imported key = ImportWith(std::move(tomorrow));
  const TPMT_PUBLIC area = UnmarshalPublic(key.public_area).publicArea;
  EXPECT_TRUE(std::ranges::equal(std::span(area.authPolicy.buffer, area.authPolicy.size), digest));

  Policy never{.paths = {}, .digest = digest, .has_password = true};
  never.paths.push_back({"policy", {}});
  never.paths[0].steps.emplace_back(PolicyNever{"it is for something else"});
  const Bytes message = Message(8);
  const Bytes mac(32, 0);
  ImportOptions options{tcti_, SecretBytes(AsBytes(kKey)), SecretBytes(), {}};
  options.policy = std::move(never);
  EXPECT_STREQ(FailureOf([&] { ImportKey(std::move(options), {message, mac}); }).code, "ERR_IMPORT_VERIFY");
}

TEST_F(TpmPolicy, NoPasswordOfAPolicyStaysInMemory) {
  std::string text;  // made at run time, so that no constant of the program has it
  for (size_t i = 0; i < 48; i++) text += static_cast<char>('!' + (i * 41 + 17) % 90);
  const std::string password = text.substr(0, 24);
  const std::string of_owner = text.substr(24);
  std::fill(text.begin(), text.end(), ' ');
  const auto change_owner = [&](std::string_view before, std::string_view after) {
    const Connection connection(tcti_, kDefaultTimeout);
    UsePassword(connection.esys(), ESYS_TR_RH_OWNER, AsBytes(before));
    Wiped<TPM2B_AUTH> changed;
    SetPassword(AsBytes(after), changed.value);
    ASSERT_EQ(Esys_HierarchyChangeAuth(&connection.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &changed.value),
              TSS2_RC_SUCCESS);
  };
  Policy policy{.paths = {}, .digest = {}, .has_password = true};
  policy.paths.push_back({"policy", {}});
  policy.paths[0].steps.emplace_back(PolicyAuthValue{false});
  policy.paths[0].steps.emplace_back(OwnerSecret(""));
  policy.digest = DigestOf(policy.paths[0].steps);
  ImportOptions import{tcti_, SecretBytes(AsBytes(kKey)), SecretBytes(AsBytes(password)), {}};
  import.policy = std::move(policy);
  const Bytes message = Message(1024);
  const Bytes mac = FromHex(kVectors[1].mac);
  const Imported key = ImportKey(std::move(import), {message, mac});

  change_owner("", of_owner);
  const size_t before = OtherCopies(of_owner);
  {
    Policy used{.paths = {}, .digest = {}, .has_password = true};
    used.paths.push_back({"policy", {}});
    used.paths[0].steps.emplace_back(PolicyAuthValue{false});
    used.paths[0].steps.emplace_back(OwnerSecret(of_owner));
    OpenOptions options = OptionsWith(key, std::move(used), password);
    std::get<LoadedKey>(options.key).parent.hierarchy_password = SecretBytes(AsBytes(of_owner));
    const auto device = OpenKey(std::move(options));
    EXPECT_EQ(Sign(*device, 1024), kVectors[1].mac);
    EXPECT_EQ(Sign(*device, 1025), kVectors[2].mac);
    EXPECT_GT(OtherCopies(password), 0u) << "the search itself must work";
  }
  // libtss2 4 frees copies of passwords unwiped: the threat model says so.
  if constexpr (TSS2_MAJOR < 4) {
    EXPECT_EQ(OtherCopies(password), 0u);
    EXPECT_LE(OtherCopies(of_owner), before);
  }
  change_owner(of_owner, "");
}

TEST_F(TpmPolicy, ReadsPcrsAndNames) {
  Import("", kHandle);
  PolicyQuery query{.tcti = tcti_, .timeout = kDefaultTimeout, .pcrs = {}, .objects = {}};
  query.objects.push_back({.handle = kHandle});
  query.objects.push_back({.handle = kHandle + 1});
  query.objects.push_back({.handle = TPM2_RH_ENDORSEMENT, .primary = Primary::kEkRsa});
  query.pcrs.push_back({"", TPM2_ALG_SHA256, {0xff, 0xff, 0xff}, {}});
  query.pcrs.push_back({"", TPM2_ALG_SHA1, {1, 0, 0x80}, {}});
  query.pcrs.push_back({"", TPM2_ALG_SHA3_256, {1, 0, 0}, {}});
  const PolicyValues values = ReadPolicyValues(query);
  Evict(kHandle);
  ASSERT_EQ(values.pcrs.size(), 3u);
  EXPECT_EQ(values.pcrs[0].size(), 24u * 32);
  EXPECT_EQ(values.pcrs[1].size(), 2u * 20);
  EXPECT_EQ(values.pcrs[2].size(), 0u);
  ASSERT_EQ(values.names.size(), 3u);
  EXPECT_EQ(values.names[0].size(), 34u);
  EXPECT_TRUE(values.names[1].empty());
  EXPECT_EQ(values.names[2].size(), 34u);
}

}  // namespace
}  // namespace aws_hmac::tpm
