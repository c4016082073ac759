#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace aws_hmac::pkcs11 {

/// The module itself, past p11-kit: what another user of it in the same process has.
class OtherUser {
 public:
  explicit OtherUser(const std::string& module) : library_(dlopen(module.c_str(), RTLD_NOW)) {
    if (library_ == nullptr) throw std::runtime_error(dlerror());
    const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library_, "C_GetFunctionList"));
    get(&functions_);
  }
  OtherUser(const OtherUser&) = delete;
  OtherUser& operator=(const OtherUser&) = delete;
  ~OtherUser() { dlclose(library_); }

  CK_FUNCTION_LIST* operator->() const { return functions_; }

  std::vector<CK_SLOT_ID> Slots() const {
    std::vector<CK_SLOT_ID> slots(16);
    CK_ULONG count = slots.size();
    EXPECT_EQ(functions_->C_GetSlotList(CK_TRUE, slots.data(), &count), CKR_OK);
    slots.resize(count);
    return slots;
  }

  /// The objects with a label: at most 16.
  std::vector<CK_OBJECT_HANDLE> Find(CK_SESSION_HANDLE session, std::string label) const {
    CK_ATTRIBUTE attribute{CKA_LABEL, label.data(), label.size()};
    std::vector<CK_OBJECT_HANDLE> objects(16);
    CK_ULONG count = 0;
    EXPECT_EQ(functions_->C_FindObjectsInit(session, &attribute, 1), CKR_OK);
    EXPECT_EQ(functions_->C_FindObjects(session, objects.data(), objects.size(), &count), CKR_OK);
    EXPECT_EQ(functions_->C_FindObjectsFinal(session), CKR_OK);
    objects.resize(count);
    return objects;
  }

  /// Does something with a read-write session on every token.
  void OnEachToken(const std::function<void(CK_SESSION_HANDLE)>& action) const {
    for (const CK_SLOT_ID slot : Slots()) {
      CK_SESSION_HANDLE session = 0;
      const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
      if (functions_->C_OpenSession(slot, flags, nullptr, nullptr, &session) != CKR_OK) continue;
      action(session);
      functions_->C_CloseSession(session);
    }
  }

 private:
  void* library_;
  CK_FUNCTION_LIST* functions_ = nullptr;
};

}  // namespace aws_hmac::pkcs11
