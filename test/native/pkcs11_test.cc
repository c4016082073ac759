#include "pkcs11/pkcs11.h"

#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/failure.h"
#include "other_user.h"
#include "pkcs11_fixture.h"

namespace aws_hmac::pkcs11 {
namespace {

TEST_F(Pkcs11, SignsWithAKeyThatItImported) {
  EXPECT_FALSE(Import("imported").extractable);
  const auto device = OpenKey(Open("imported"));
  ExpectMac(*device);
  ExpectMac(*device);
}

TEST_F(Pkcs11, SignsMessagesOfAnyLength) {
  Import("any length");
  const auto device = OpenKey(Open("any length"));
  // The first bytes of what Python's hmac.new(20 * b"\x0b", …, "sha256") gives for b"" and bytes(1000000).
  constexpr uint8_t empty[] = {0x99, 0x9a, 0x90, 0x12};
  constexpr uint8_t million[] = {0x27, 0xec, 0xf3, 0xaa};
  const Mac of_empty = device->Sign({});
  const Mac of_million = device->Sign(Bytes(1000000));
  EXPECT_TRUE(std::ranges::equal(std::span(of_empty.bytes).first(4), empty));
  EXPECT_TRUE(std::ranges::equal(std::span(of_million.bytes).first(4), million));
}

TEST_F(Pkcs11, MakesKeysThatSignAndDoNothingElse) {
  Import("attributes");
  const auto keeper = OpenKey(Open("attributes"));  // keeps the login for the other user
  const OtherUser other(module_);
  int keys = 0;
  other.OnEachToken([&](CK_SESSION_HANDLE session) {
    const std::vector<CK_OBJECT_HANDLE> found = other.Find(session, "attributes");
    if (found.empty()) return;
    const CK_OBJECT_HANDLE key = found.front();
    ++keys;
    const auto flag = [&](CK_ATTRIBUTE_TYPE type) {
      CK_BBOOL value = 2;
      CK_ATTRIBUTE attribute{type, &value, sizeof value};
      EXPECT_EQ(other->C_GetAttributeValue(session, key, &attribute, 1), CKR_OK) << type;
      return value;
    };
    for (const CK_ATTRIBUTE_TYPE type : {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN}) {
      EXPECT_EQ(flag(type), CK_TRUE) << type;
    }
    for (const CK_ATTRIBUTE_TYPE type :
         {CKA_EXTRACTABLE, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE}) {
      EXPECT_EQ(flag(type), CK_FALSE) << type;
    }
    Bytes value(64);
    CK_ATTRIBUTE attribute{CKA_VALUE, value.data(), value.size()};
    EXPECT_EQ(other->C_GetAttributeValue(session, key, &attribute, 1), CKR_ATTRIBUTE_SENSITIVE);
    EXPECT_EQ(attribute.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    EXPECT_EQ(value, Bytes(64));
  });
  EXPECT_EQ(keys, 1);
}

TEST_F(Pkcs11, DestroysAKeyThatGivesWrongMacs) {
  const Bytes wrong(32, 0xff);
  ExpectFailure("ERR_IMPORT_VERIFY", [&] { ImportWith("wrong mac", {}, wrong); });
  ExpectFailure("ERR_KEY_NOT_FOUND", [&] { OpenKey(Open("wrong mac")); });
}

TEST_F(Pkcs11, RefusesToImportOverAKey) {
  Import("taken", {1, 2});
  ExpectFailure("ERR_KEY_EXISTS", [&] { Import("taken", {1, 2}); });
  Import("taken", {1, 3});
  ExpectFailure("ERR_KEY_AMBIGUOUS", [&] { OpenKey(Open("taken")); });
  OpenOptions by_id = Open("taken");
  by_id.id = Bytes{1, 3};
  ExpectMac(*OpenKey(std::move(by_id)));
}

TEST_F(Pkcs11, NeedsAPinForAPrivateKey) {
  Import("private");
  OpenOptions options = Open("private");
  options.login.reset();
  ExpectFailure("ERR_PIN_REQUIRED", [&] { OpenKey(std::move(options)); });
}

TEST_F(Pkcs11, RefusesAKeyThatCannotSign) {
  const auto keeper = OpenKey((Import("keeper"), Open("keeper")));  // keeps the login for the other user
  const OtherUser other(module_);
  CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
  CK_KEY_TYPE aes = CKK_AES;
  CK_BBOOL yes = CK_TRUE;
  std::string label = "an AES key";
  Bytes value(32, 1);
  CK_ATTRIBUTE attributes[] = {{CKA_CLASS, &secret_key, sizeof secret_key},
                               {CKA_KEY_TYPE, &aes, sizeof aes},
                               {CKA_TOKEN, &yes, sizeof yes},
                               {CKA_LABEL, label.data(), label.size()},
                               {CKA_VALUE, value.data(), value.size()}};
  other.OnEachToken([&](CK_SESSION_HANDLE session) {
    CK_OBJECT_HANDLE object = 0;
    other->C_CreateObject(session, attributes, std::size(attributes), &object);
  });
  ExpectFailure("ERR_KEY_UNSUITABLE", [&] { OpenKey(Open(label)); });
}

TEST_F(Pkcs11, SignsAgainAfterAnotherUserLoggedOut) {
  Import("logged out");
  const auto device = OpenKey(Open("logged out"));
  const OtherUser other(module_);
  int logouts = 0;
  other.OnEachToken([&](CK_SESSION_HANDLE session) { logouts += other->C_Logout(session) == CKR_OK; });
  EXPECT_GE(logouts, 1);
  ExpectMac(*device);
}

TEST_F(Pkcs11, SignsAgainAfterItsSessionWasClosed) {
  Import("session closed");
  const auto device = OpenKey(Open("session closed"));
  const OtherUser other(module_);
  for (const CK_SLOT_ID slot : other.Slots()) EXPECT_EQ(other->C_CloseAllSessions(slot), CKR_OK);
  ExpectMac(*device);
}

TEST_F(Pkcs11, SignsAgainAfterTheModuleWasFinalizedByAnother) {
  Import("finalized");
  const auto device = OpenKey(Open("finalized"));
  EXPECT_EQ(OtherUser(module_)->C_Finalize(nullptr), CKR_OK);
  ExpectMac(*device);
}

TEST_F(Pkcs11, FindsAKeyThatWasMadeAnewAndMissesOneThatIsGone) {
  Import("recreated");
  const auto device = OpenKey(Open("recreated"));
  const OtherUser other(module_);
  const auto destroy = [&](const std::string& label) {
    int destroyed = 0;
    other.OnEachToken([&](CK_SESSION_HANDLE session) {
      for (const CK_OBJECT_HANDLE key : other.Find(session, label)) {
        destroyed += other->C_DestroyObject(session, key) == CKR_OK;
      }
    });
    EXPECT_EQ(destroyed, 1);
  };
  destroy("recreated");
  Import("recreated");
  ExpectMac(*device);
  destroy("recreated");
  ExpectFailure("ERR_KEY_NOT_FOUND", [&] { device->Sign(AsBytes(kMessage)); });
  Import("recreated");
  ExpectMac(*device);
}

TEST_F(Pkcs11, ClosingOneInstanceLeavesTheOther) {
  Import("two instances");
  auto one = OpenKey(Open("two instances"));
  const auto other = OpenKey(Open("two instances"));
  one.reset();
  ExpectMac(*other);
}

TEST_F(Pkcs11, CodesWhatIsNotThere) {
  const auto open = [&](TokenQuery query) {
    return [this, query] { OpenKey({.token = query, .label = "any", .id = std::nullopt, .login = Login()}); };
  };
  ExpectFailure("ERR_MODULE_NOT_FOUND", open({"/nonexistent/module.so", token_, {}, {}}));
  ExpectFailure("ERR_MODULE_FAILED", open({"/proc/self/exe", token_, {}, {}}));
  ExpectFailure("ERR_TOKEN_NOT_FOUND", open({module_, "no such token", {}, {}}));
  ExpectFailure("ERR_TOKEN_NOT_FOUND", open({module_, token_, "no such serial", {}}));
  ExpectFailure("ERR_TOKEN_NOT_FOUND", open({module_, token_, {}, 999999}));
  ExpectFailure("ERR_KEY_NOT_FOUND", [&] { OpenKey(Open("no such key")); });
}

TEST_F(Pkcs11, SendsAWrongPinOnce) {
  Import("wrong pin");
  const auto open = [&] {
    OpenOptions options = Open("wrong pin");
    options.login = LoginWith("certainly wrong");
    OpenKey(std::move(options));
  };
  for (const uint64_t answer : {uint64_t{CKR_PIN_INCORRECT}, uint64_t{0}}) {
    try {
      open();
      ADD_FAILURE() << "took a wrong PIN";
    } catch (const Failure& failure) {
      EXPECT_STREQ(failure.code, "ERR_PIN_INCORRECT");
      EXPECT_EQ(failure.number, answer);
      EXPECT_EQ(std::string(failure.what()).find("certainly wrong"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace aws_hmac::pkcs11
