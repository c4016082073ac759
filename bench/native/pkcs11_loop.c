// pkcs11_loop [-c] [-t] [-i INIT-ARGS] MODULE TOKEN-LABEL KEY-LABEL SECONDS: C_SignInit and C_Sign
// (CKM_SHA256_HMAC) in one session of a module that p11-kit manages. -c: with a copy of the key that lives in
// the session. -t: while the process has another thread, which sleeps. -i: what the module is initialised
// with.

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"

typedef struct {
  CK_FUNCTION_LIST* module;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE object;
} Key;

static void ComputeMac(void* opaque, uint8_t mac[kMacBytes]) {
  const Key* key = opaque;
  CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
  Check("C_SignInit", key->module->C_SignInit(key->session, &mechanism, key->object));
  CK_BYTE answer[64];
  CK_ULONG length = sizeof answer;
  Check("C_Sign", key->module->C_Sign(key->session, (CK_BYTE*)kMessage, sizeof kMessage, answer, &length));
  memcpy(mac, answer, kMacBytes);
}

static CK_SLOT_ID FindToken(CK_FUNCTION_LIST* module, const char* label) {
  CK_SLOT_ID slots[16];
  CK_ULONG count = sizeof slots / sizeof slots[0];
  Check("C_GetSlotList", module->C_GetSlotList(CK_TRUE, slots, &count));
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO token;
    Check("C_GetTokenInfo", module->C_GetTokenInfo(slots[i], &token));
    if (p11_kit_space_strlen(token.label, sizeof token.label) == strlen(label) &&
        memcmp(token.label, label, strlen(label)) == 0) {
      return slots[i];
    }
  }
  fprintf(stderr, "no token %s\n", label);
  exit(1);
}

static CK_OBJECT_HANDLE FindKey(CK_FUNCTION_LIST* module, CK_SESSION_HANDLE session, char* label) {
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, label, strlen(label)}};
  CK_OBJECT_HANDLE object;
  CK_ULONG found = 0;
  Check("C_FindObjectsInit", module->C_FindObjectsInit(session, wanted, 2));
  Check("C_FindObjects", module->C_FindObjects(session, &object, 1, &found));
  Check("C_FindObjectsFinal", module->C_FindObjectsFinal(session));
  if (found == 1) return object;
  fprintf(stderr, "no key %s\n", label);
  exit(1);
}

static CK_OBJECT_HANDLE CopyKey(const Key* key) {
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE in_session = {CKA_TOKEN, &no, sizeof no};
  CK_OBJECT_HANDLE copy;
  Check("C_CopyObject", key->module->C_CopyObject(key->session, key->object, &in_session, 1, &copy));
  return copy;
}

static void* Sleep(void* nothing) {
  pause();
  return nothing;
}

static void Initialize(CK_FUNCTION_LIST* module, char* init_args) {
  if (init_args == NULL) {
    Check("p11_kit_module_initialize", p11_kit_module_initialize(module));
  } else {
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = init_args};
    Check("C_Initialize", module->C_Initialize(&args));
  }
}

int main(int argc, char** argv) {
  int with_copy = 0;
  int with_thread = 0;
  char* init_args = NULL;
  for (int option; (option = getopt(argc, argv, "cti:")) != -1;) {
    if (option == '?') argc = 0;
    if (option == 'c') with_copy = 1;
    if (option == 't') with_thread = 1;
    if (option == 'i') init_args = optarg;
  }
  if (argc - optind != 4) {
    fprintf(stderr,
            "usage: pkcs11_loop [-c] [-t] [-i INIT-ARGS] MODULE TOKEN-LABEL KEY-LABEL SECONDS < PIN\n");
    return 2;
  }
  argv += optind;
  char pin[256];
  const size_t pin_length = ReadPassword(pin, sizeof pin);

  Key key = {.module = p11_kit_module_load(argv[0], 0)};
  if (key.module == NULL) {
    fprintf(stderr, "%s: %s\n", argv[0], p11_kit_message());
    return 1;
  }
  Initialize(key.module, init_args);
  const CK_SLOT_ID slot = FindToken(key.module, argv[1]);
  Check("C_OpenSession", key.module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &key.session));
  Check("C_Login", key.module->C_Login(key.session, CKU_USER, (CK_UTF8CHAR*)pin, pin_length));
  key.object = FindKey(key.module, key.session, argv[2]);
  if (with_copy) key.object = CopyKey(&key);
  pthread_t thread;
  if (with_thread) Check("pthread_create", (unsigned long)pthread_create(&thread, NULL, Sleep, NULL));

  MeasureLoop(ComputeMac, &key, atof(argv[3]));

  Check("p11_kit_module_finalize", p11_kit_module_finalize(key.module));
  p11_kit_module_release(key.module);
  return 0;
}
