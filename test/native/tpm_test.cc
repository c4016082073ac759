#include "tpm/tpm.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "core/failure.h"
#include "tpm/capability.h"
#include "tpm/connection.h"
#include "tpm/key_area.h"
#include "tpm/objects.h"
#include "tpm/primary.h"

namespace aws_hmac::tpm {
namespace {

constexpr std::string_view kKey = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kPassword = "correct horse battery staple";
constexpr TPM2_HANDLE kHandle = 0x81008177;

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string Hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

struct Vector {
  size_t length;
  const char* mac;
};

// Python's hmac over the bytes 0, 1, … 250, 0, … of that length, with kKey.
constexpr Vector kVectors[] = {
    {0, "e0032d4c19f7f0d6bff8773a98bdc07cf430a4f4a1ac1c0970e847d8805fc81d"},
    {1024, "40b3fafb8104d8ca38341a9a97c12086c4c3671aebb4a19439757ea45033d94b"},
    {1025, "6334e7a83624b29789801332d4c1621e699e416bb6592c42cdc7db004ed08757"},
    {5000, "520bfad0252c75317b72c2b04c7bae642022602d2c09a75e6103745c33e24fd3"},
};

Bytes Message(size_t length) {
  Bytes message(length);
  for (size_t i = 0; i < length; i++) message[i] = static_cast<uint8_t>(i % 251);
  return message;
}

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

class Tpm : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* tcti = getenv("AWS_HMAC_TEST_TCTI");
    if (tcti == nullptr) GTEST_SKIP() << "AWS_HMAC_TEST_TCTI names no TPM to test with";
    tcti_ = tcti;
  }

  // Every test must leave the TPM as it found it.
  void TearDown() override {
    if (tcti_.empty()) return;
    EXPECT_FALSE(HasAny(TPM2_TRANSIENT_FIRST)) << "a transient object is left in the TPM";
    EXPECT_FALSE(HasAny(TPM2_LOADED_SESSION_FIRST)) << "a session is left in the TPM";
  }

  Imported Import(std::string_view password = "", std::optional<uint32_t> handle = {}) {
    const Bytes message = Message(1024);
    const Bytes mac = FromHex(kVectors[1].mac);
    return ImportKey({tcti_, SecretBytes(AsBytes(kKey)), SecretBytes(AsBytes(password)), handle},
                     {message, mac});
  }

  OpenOptions Options(const Imported& key, std::string_view password = "") {
    return {tcti_, LoadedKey{{key.parent}, key.public_area, key.private_area},
            Protection{SecretBytes(AsBytes(password))}};
  }

  static std::string Sign(HmacDevice& device, size_t length) {
    return Hex(device.Sign(Message(length)).bytes);
  }

  bool HasAny(UINT32 first) {
    const Connection connection(tcti_);
    TPMI_YES_NO more = TPM2_NO;
    TPMS_CAPABILITY_DATA* answer = nullptr;
    EXPECT_EQ(Esys_GetCapability(&connection.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 TPM2_CAP_HANDLES, first, 1, &more, &answer),
              TSS2_RC_SUCCESS);
    const EsysPtr<TPMS_CAPABILITY_DATA> data(answer);
    const auto& handles = data->data.handles;
    return handles.count > 0 && handles.handle[0] >> TPM2_HR_SHIFT == first >> TPM2_HR_SHIFT;
  }

  void Evict(TPM2_HANDLE handle) {
    const Connection connection(tcti_);
    Object key = FindPersistent(connection.esys(), handle);
    ESYS_TR gone = ESYS_TR_NONE;
    ASSERT_EQ(Esys_EvictControl(&connection.esys(), ESYS_TR_RH_OWNER, key.get(), ESYS_TR_PASSWORD,
                                ESYS_TR_NONE, ESYS_TR_NONE, handle, &gone),
              TSS2_RC_SUCCESS);
    key.Release();
  }

  std::string tcti_;
};

template <typename Call>
Failure FailureOf(Call call) {
  try {
    call();
  } catch (const Failure& failure) {
    return failure;
  }
  return Failure(Api::kNone, "no failure", "");
}

TEST_F(Tpm, EveryProtectionGivesTheRightMac) {
  const Imported key = Import(kPassword);
  for (const bool encrypt : {false, true}) {
    for (const bool in_clear : {false, true}) {
      OpenOptions options = Options(key, kPassword);
      options.protection.encrypt = encrypt;
      options.protection.password_in_clear = in_clear;
      const auto device = OpenKey(std::move(options));
      for (const Vector& vector : kVectors) {
        EXPECT_EQ(Sign(*device, vector.length), vector.mac)
            << vector.length << " bytes, encrypt " << encrypt << ", password in clear " << in_clear;
      }
    }
  }
}

TEST_F(Tpm, AKeyWithoutPassword) {
  const Imported key = Import();
  for (const bool encrypt : {false, true}) {
    OpenOptions options = Options(key);
    options.protection.encrypt = encrypt;
    const auto device = OpenKey(std::move(options));
    EXPECT_EQ(Sign(*device, 1024), kVectors[1].mac);
    EXPECT_EQ(Sign(*device, 1025), kVectors[2].mac);
  }
}

TEST_F(Tpm, GuessesCountForAKeyWithAPasswordOnly) {
  const auto no_da = [](const Imported& key) {
    return (UnmarshalPublic(key.public_area).publicArea.objectAttributes & TPMA_OBJECT_NODA) != 0;
  };
  EXPECT_TRUE(no_da(Import()));
  EXPECT_FALSE(no_da(Import(kPassword)));
}

TEST_F(Tpm, TrailingZeroBytesOfAPasswordDoNotCount) {
  const Imported key = Import(std::string_view("secret\0\0", 8));
  const auto device = OpenKey(Options(key, std::string_view("secret\0", 7)));
  EXPECT_EQ(Sign(*device, 1024), kVectors[1].mac);
}

TEST_F(Tpm, APersistentKey) {
  Import(kPassword, kHandle);
  {
    const auto device = OpenKey({tcti_, PersistentKey{kHandle}, Protection{SecretBytes(AsBytes(kPassword))}});
    for (const Vector& vector : kVectors) EXPECT_EQ(Sign(*device, vector.length), vector.mac);
  }
  const Failure taken = FailureOf([&] { Import("", kHandle); });
  EXPECT_STREQ(taken.code, "ERR_TPM_HANDLE_IN_USE");
  EXPECT_EQ(taken.number_name, "TPM_RC_NV_DEFINED");
  Evict(kHandle);
  const Failure missing = FailureOf([&] { OpenKey({tcti_, PersistentKey{kHandle}, {}}); });
  EXPECT_STREQ(missing.code, "ERR_KEY_NOT_FOUND");
}

TEST_F(Tpm, AFailedImportLeavesNothing) {
  const Bytes message = Message(8);
  const Bytes wrong(32, 0);
  const Failure failure = FailureOf([&] {
    ImportKey({tcti_, SecretBytes(AsBytes(kKey)), SecretBytes(), kHandle}, {message, wrong});
  });
  EXPECT_STREQ(failure.code, "ERR_IMPORT_VERIFY");
  EXPECT_FALSE(HasHandle(Connection(tcti_).esys(), kHandle));
}

TEST_F(Tpm, AKeyUnderAPersistentParent) {
  constexpr TPM2_HANDLE kParent = 0x81000177;
  const Imported key = Import(kPassword);
  {
    const Connection connection(tcti_);
    const Object primary = CreatePrimary(connection.esys(), ESYS_TR_RH_OWNER);
    ESYS_TR persistent = ESYS_TR_NONE;
    ASSERT_EQ(Esys_EvictControl(&connection.esys(), ESYS_TR_RH_OWNER, primary.get(), ESYS_TR_PASSWORD,
                                ESYS_TR_NONE, ESYS_TR_NONE, kParent, &persistent),
              TSS2_RC_SUCCESS);
    Object(connection.esys(), persistent);
  }
  OpenOptions options = Options(key, kPassword);
  std::get<LoadedKey>(options.key).parent.handle = kParent;
  EXPECT_EQ(Sign(*OpenKey(std::move(options)), 1024), kVectors[1].mac);

  OpenOptions parent_as_key{tcti_, PersistentKey{kParent}, {}};
  EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(parent_as_key)); }).code, "ERR_KEY_UNSUITABLE");
  Evict(kParent);

  OpenOptions orphan = Options(key, kPassword);
  std::get<LoadedKey>(orphan.key).parent.handle = kParent;
  EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(orphan)); }).code, "ERR_TPM_PARENT");
  OpenOptions elsewhere = Options(key, kPassword);
  std::get<LoadedKey>(elsewhere.key).parent.handle = TPM2_RH_ENDORSEMENT;
  EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(elsewhere)); }).code, "ERR_TPM_PARENT");
  OpenOptions nowhere = Options(key, kPassword);
  std::get<LoadedKey>(nowhere.key).parent.handle = TPM2_TRANSIENT_FIRST;
  EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(nowhere)); }).code, "ERR_TPM_PARENT");
}

TEST_F(Tpm, AnAlteredKeyFile) {
  Imported key = Import();
  OpenOptions garbage = Options(key);
  std::get<LoadedKey>(garbage.key).public_area = {0, 200, 1, 2};
  EXPECT_STREQ(FailureOf([&] { OpenKey(std::move(garbage)); }).code, "ERR_TPM_FILE_INVALID");
  key.private_area[10] ^= 1;
  EXPECT_STREQ(FailureOf([&] { OpenKey(Options(key)); }).code, "ERR_TPM_PARENT");
}

TEST_F(Tpm, LengthsAreChecked) {
  const std::string long_password(33, 'p');
  EXPECT_STREQ(FailureOf([&] { Import(long_password); }).code, "ERR_INVALID_ARGUMENT");
  const auto import = [&](SecretBytes key) {
    return FailureOf([&] { ImportKey({tcti_, std::move(key), {}, {}}, {}); });
  };
  EXPECT_STREQ(import(SecretBytes()).code, "ERR_INVALID_ARGUMENT");
  EXPECT_STREQ(import(SecretBytes(65)).code, "ERR_INVALID_ARGUMENT");
}

// How many times the process's writable memory holds these bytes, the place that is given itself not counted.
size_t OtherCopies(std::string_view bytes) {
  std::ifstream maps("/proc/self/maps");
  std::ifstream memory("/proc/self/mem", std::ios::binary);
  const std::boyer_moore_horspool_searcher searcher(bytes.begin(), bytes.end());
  const auto itself = reinterpret_cast<uintptr_t>(bytes.data());
  constexpr uintptr_t kShadow = 1 << 30;  // a sanitizer's own memory is larger than anything of ours
  size_t copies = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" rw") == std::string::npos) continue;
    const uintptr_t first = std::stoul(line, nullptr, 16);
    const uintptr_t last = std::stoul(line.substr(line.find('-') + 1), nullptr, 16);
    if (last - first > kShadow) continue;
    Bytes pages(last - first);  // may lie within the very memory that it is a copy of
    const auto own = reinterpret_cast<uintptr_t>(pages.data());
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(first));
    memory.read(reinterpret_cast<char*>(pages.data()), static_cast<std::streamsize>(pages.size()));
    for (auto at = pages.begin(); (at = std::search(at, pages.end(), searcher)) != pages.end(); ++at) {
      const uintptr_t address = first + static_cast<size_t>(at - pages.begin());
      if (address != itself && (address < own || address >= own + pages.size())) copies++;
    }
    Wipe(pages.data(), pages.size());
  }
  return copies;
}

TEST_F(Tpm, NeitherSecretNorPasswordStaysInMemory) {
  std::string secret;  // made at run time, so that no constant of the program has it
  for (size_t i = 0; i < 48; i++) secret += static_cast<char>('!' + (i * 37 + 11) % 90);
  const std::string password = secret.substr(20, 20);
  {
    const SecretBytes copy(AsBytes(secret));
    EXPECT_EQ(OtherCopies(secret), 1u) << "the search itself must work";
  }
  const Bytes message = Message(8);
  const Bytes wrong(32, 0);
  const Failure failure = FailureOf([&] {
    ImportKey({tcti_, SecretBytes(AsBytes(secret)), SecretBytes(AsBytes(password)), {}}, {message, wrong});
  });
  EXPECT_STREQ(failure.code, "ERR_IMPORT_VERIFY");
  EXPECT_EQ(OtherCopies(secret), 0u);
  EXPECT_EQ(OtherCopies(password), 1u) << "only the part of our own secret";
}

}  // namespace
}  // namespace aws_hmac::tpm
