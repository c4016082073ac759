#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>

#include <string>
#include <string_view>

#include "core/failure.h"
#include "tpm/connection.h"
#include "tpm/objects.h"
#include "tpm/tpm.h"

/// What the tests that need a TPM share.
namespace aws_hmac::tpm {

inline constexpr std::string_view kKey = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
inline constexpr std::string_view kPassword = "correct horse battery staple";
inline constexpr TPM2_HANDLE kHandle = 0x81008177;

inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline std::string Hex(std::span<const uint8_t> bytes) {
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
inline constexpr Vector kVectors[] = {
    {0, "e0032d4c19f7f0d6bff8773a98bdc07cf430a4f4a1ac1c0970e847d8805fc81d"},
    {1024, "40b3fafb8104d8ca38341a9a97c12086c4c3671aebb4a19439757ea45033d94b"},
    {1025, "6334e7a83624b29789801332d4c1621e699e416bb6592c42cdc7db004ed08757"},
    {5000, "520bfad0252c75317b72c2b04c7bae642022602d2c09a75e6103745c33e24fd3"},
};

inline Bytes Message(size_t length) {
  Bytes message(length);
  for (size_t i = 0; i < length; i++) message[i] = static_cast<uint8_t>(i % 251);
  return message;
}

inline Bytes FromHex(std::string_view hex) {
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
    return {tcti_, LoadedKey{{kOwnerHierarchy}, key.public_area, key.private_area},
            Protection{SecretBytes(AsBytes(password))}};
  }

  static std::string Sign(HmacDevice& device, size_t length) {
    return Hex(device.Sign(Message(length)).bytes);
  }

  bool HasAny(UINT32 first) {
    const Connection connection(tcti_, kDefaultTimeout);
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
    const Connection connection(tcti_, kDefaultTimeout);
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

}  // namespace aws_hmac::tpm
