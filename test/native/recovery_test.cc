#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "other_user.h"
#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"
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

  void Remove(const std::string& key, const Bytes& id) const {
    RemoveKey({.token = Token(), .label = key, .id = id, .login = Login(), .force = false});
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

TEST_F(Recovery, SessionCopiesOfSeveralThreadsStopWithTheKey) {
  EXPECT_EQ(OpenOptions{}.copy_for, std::chrono::seconds(30));
  Import("several");
  OpenOptions options = Copying("several", milliseconds(0));
  options.threads = 4;
  std::vector<std::unique_ptr<HmacDevice>> lanes;
  lanes.push_back(OpenKey(std::move(options)));
  while (auto lane = lanes.front()->Another()) lanes.push_back(std::move(lane));
  ASSERT_EQ(lanes.size(), 4U);
  for (auto& lane : lanes) ExpectMac(*lane);
  Destroy("several");
  for (auto& lane : lanes) ExpectFailure("ERR_KEY_NOT_FOUND", [&] { lane->Sign(AsBytes(kMessage)); });
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

// While an open key is replaced, two have its name for a moment.
TEST_F(Recovery, AnOpenKeyWaitsForOneOfTwoWithItsNameToGo) {
  Import("twins", {1});
  const auto device = OpenKey(Open("twins"));
  ExpectMac(*device);
  Import("twins", {2});
  Import("twins", {3});
  Remove("twins", {1});
  const Module& module = *LoadModules(Token()).loaded.front();
  const uint64_t before = module.shuffles();
  auto signing = std::async(std::launch::async, [&] { ExpectMac(*device); });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto is_searching = [&] {  // for the second time: the first one found two
    return module.shuffles() > before + 1 || signing.wait_for(milliseconds(0)) == std::future_status::ready;
  };
  while (!is_searching() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  Remove("twins", {3});
  EXPECT_NO_THROW(signing.get());
  ExpectMac(*device);
}

TEST_F(Recovery, AnOpenKeyWaitsForATimeForOneOfTwoToGo) {
  Import("pair", {4});
  const auto device = OpenKey(Open("pair"));
  Import("pair", {5});
  Import("pair", {6});
  Remove("pair", {4});
  const auto begin = std::chrono::steady_clock::now();
  ExpectFailure("ERR_KEY_AMBIGUOUS", [&] { device->Sign(AsBytes(kMessage)); });
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(200));
  ExpectFailure("ERR_KEY_AMBIGUOUS", [&] { OpenKey(Open("pair")); });
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

// RFC 4231, test case 2.
TEST_F(Recovery, NoKeySignsForAnotherWhenTheModuleIsStartedAnew) {
  constexpr std::string_view question = "what do ya want for nothing?";
  constexpr uint8_t answer[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                                0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                                0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
  Import("first");
  ImportKey(
      {.token = Token(), .label = "second", .id = {}, .login = Login(), .key = SecretBytes(AsBytes("Jefe"))},
      {.message = AsBytes(question), .mac = answer});
  std::atomic<bool> over = false;
  std::atomic<int> right = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  const auto sign = [&](const std::string& key, std::string_view message, std::span<const uint8_t> mac) {
    threads.emplace_back([&, key, message, mac] {
      const auto device = OpenKey(Open(key));
      while (!over) {
        try {
          ++(std::ranges::equal(device->Sign(AsBytes(message)).bytes, mac) ? right : wrong);
        } catch (const Failure& failure) {
          ADD_FAILURE() << failure.what();
        }
      }
    });
  };
  for (int i = 0; i < 2; ++i) sign("first", kMessage, kMac);
  for (int i = 0; i < 2; ++i) sign("second", question, answer);
  const Modules modules = LoadModules(Token());
  Module& module = *modules.loaded.front();
  for (int round = 0; round < 200; ++round) {
    const int enough = right + 20;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (right < enough && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_GE(right, enough) << "round " << round;
    EXPECT_TRUE(module.Restart(module.starts(), std::chrono::seconds(10)));
  }
  over = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Recovery, NothingIsOpenedOnATokenOfAnEarlierStart) {
  const Modules modules = LoadModules(Token());
  const pkcs11::Token before = FindToken(modules, Token());
  Module& module = *modules.loaded.front();
  ASSERT_TRUE(module.Restart(module.starts(), std::chrono::seconds(10)));
  const Module::Use use(module);
  // Its slot may be another token's by now, and that one would get the PIN.
  ExpectFailure("ERR_TOKEN_NOT_FOUND", [&] { const Session session(before, Access::kRead); });
}

}  // namespace
}  // namespace aws_hmac::pkcs11
