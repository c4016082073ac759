#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "other_user.h"
#include "pkcs11_fixture.h"

namespace aws_hmac::pkcs11 {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class Recovery : public Pkcs11 {
 protected:
  OpenOptions Copying(const std::string& key, milliseconds lifetime) const {
    OpenOptions options = Open(key);
    options.session_copy = true;
    options.copy_for = lifetime;
    return options;
  }

  void Destroy(const std::string& key) const {
    int destroyed = 0;
    const OtherUser other(module_);
    other.OnEachToken([&](CK_SESSION_HANDLE session) {
      for (const CK_OBJECT_HANDLE object : other.Find(session, key)) {
        if (FlagOf(other, session, object, CKA_TOKEN)) {
          destroyed += other->C_DestroyObject(session, object) == CKR_OK;
        }
      }
    });
    EXPECT_EQ(destroyed, 1);
  }

  static bool FlagOf(const OtherUser& other, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                     CK_ATTRIBUTE_TYPE type) {
    CK_BBOOL value = 2;
    CK_ATTRIBUTE attribute{type, &value, sizeof value};
    EXPECT_EQ(other->C_GetAttributeValue(session, object, &attribute, 1), CKR_OK) << type;
    return value == CK_TRUE;
  }

  // The MAC or a failure of the device or of a call that somebody else disturbed.
  static bool Signs(HmacDevice& device) {
    try {
      EXPECT_TRUE(std::ranges::equal(device.Sign(AsBytes(kMessage)).bytes, kMac));
      return true;
    } catch (const Failure& failure) {
      EXPECT_NE(failure.number, 0U) << failure.what();
      return false;
    }
  }
};

TEST_F(Recovery, ASessionCopyIsOfTheSessionAndAsSecretAsTheKey) {
  Import("copied");
  const auto device = OpenKey(Copying("copied", hours(1)));
  const auto second = OpenKey(Copying("copied", hours(1)));  // finds the key, not the copy
  ExpectMac(*device);
  ExpectMac(*second);
  const OtherUser other(module_);
  int copies = 0;
  other.OnEachToken([&](CK_SESSION_HANDLE session) {
    for (const CK_OBJECT_HANDLE object : other.Find(session, "copied")) {
      if (FlagOf(other, session, object, CKA_TOKEN)) continue;
      ++copies;
      EXPECT_TRUE(FlagOf(other, session, object, CKA_SENSITIVE));
      EXPECT_FALSE(FlagOf(other, session, object, CKA_EXTRACTABLE));
      uint8_t value[64];
      CK_ATTRIBUTE attribute{CKA_VALUE, value, sizeof value};
      EXPECT_EQ(other->C_GetAttributeValue(session, object, &attribute, 1), CKR_ATTRIBUTE_SENSITIVE);
    }
  });
  EXPECT_EQ(copies, 2);
}

TEST_F(Recovery, ASessionCopyOfARemovedKeySignsNoLongerThanItsTime) {
  Import("removed");
  const auto longer = OpenKey(Copying("removed", hours(1)));
  const auto shorter = OpenKey(Copying("removed", milliseconds(0)));
  ExpectMac(*shorter);
  Destroy("removed");
  ExpectMac(*longer);
  ExpectFailure("ERR_KEY_NOT_FOUND", [&] { shorter->Sign(AsBytes(kMessage)); });
  ExpectFailure("ERR_KEY_NOT_FOUND", [&] { shorter->Sign(AsBytes(kMessage)); });
  Import("removed");
  ExpectMac(*shorter);
}

TEST_F(Recovery, CopiesThatWereReplacedAreRemoved) {
  Import("replaced");
  const auto device = OpenKey(Copying("replaced", milliseconds(0)));
  for (int i = 0; i < 20; ++i) ExpectMac(*device);
  const OtherUser other(module_);
  other.OnEachToken([&](CK_SESSION_HANDLE session) {
    const auto objects = other.Find(session, "replaced");
    EXPECT_TRUE(objects.empty() || objects.size() == 2) << objects.size();
  });
}

TEST_F(Recovery, KeysOfOneModuleGoOnWhenItIsStartedAnewForOneOfThem) {
  Import("one");
  Import("other");
  const auto one = OpenKey(Open("one"));
  const auto other = OpenKey(Copying("other", hours(1)));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(OtherUser(module_)->C_Finalize(nullptr), CKR_OK);
    ExpectMac(*one);
    ExpectMac(*other);
    ExpectMac(*one);
  }
}

TEST_F(Recovery, ThreadsSignWhileSomebodyElseLogsOut) {
  Import("disturbed");
  OpenOptions options = Open("disturbed");
  options.threads = 8;
  std::vector<std::unique_ptr<HmacDevice>> lanes;
  lanes.push_back(OpenKey(std::move(options)));
  while (auto lane = lanes.front()->Another()) lanes.push_back(std::move(lane));
  ASSERT_EQ(lanes.size(), 8U);
  std::atomic<int> signatures = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (auto& lane : lanes) {
    threads.emplace_back([&] {
      while (!over) signatures += Signs(*lane);
    });
  }
  const OtherUser other(module_);
  for (int round = 0; round < 40; ++round) {
    const int enough = signatures + 40;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (signatures < enough && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_GE(signatures, enough) << "round " << round;
    other.OnEachToken([&](CK_SESSION_HANDLE session) { other->C_Logout(session); });
  }
  over = true;
  for (auto& thread : threads) thread.join();
  for (auto& lane : lanes) ExpectMac(*lane);
}

}  // namespace
}  // namespace aws_hmac::pkcs11
