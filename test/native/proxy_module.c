// A PKCS#11 module that hands every call on to another one and, as it is told, delays it, holds it, has it
// fail, or answers as tokens do of which there is no software kind: those with a PIN pad, those that lock.
//
// AWS_HMAC_PROXY_MODULE   path of the module behind it
// AWS_HMAC_PROXY_CONTROL  path of a file of instructions, one a line. It may be missing, and is read again
// when another
//                         file has been renamed to it, which also starts all counts anew:
//   delay CALL MICROSECONDS     before the call is handed on
//   hang CALL [SKIP]            after SKIP of them (0 by default) the call does not return before the file
//                               says otherwise
//   fail CALL CODE [TIMES]      the next TIMES calls (all by default) give this code and are not handed on
//   broken CODE                 every call but C_Initialize gives this code, until C_Finalize has been called
//   limit NUMBER                so many sessions at once, counted from when the module was started
//   logout CALL TIMES           somebody else in the process logs the token's user out, TIMES times, each
//                               before the hundredth such call since, while no other is in the module
//   close CALL TIMES            the same with all sessions of the token closed
//                               (for both CALL is C_SignInit or C_Sign)
//
//   refuse ATTRIBUTE CODE       no key is made with this CK_ATTRIBUTE_TYPE in its template (C_CreateObject,
//                               C_UnwrapKey)
//
//   wrap MECHANISM              C_WrapKey gives a key out by this CK_MECHANISM_TYPE: it says so, that is
//   tell ATTRIBUTE VALUE        what C_GetAttributeValue says of this CK_BBOOL
//   set FLAGS, clear FLAGS      bits of the tokens' CK_TOKEN_INFO
//   pad PIN                     what somebody enters at the tokens' PIN pad (C_Login without a PIN)
//   tries NUMBER                so many wrong PINs lock the tokens, as long as the process lives
//
// AWS_HMAC_PROXY_LOG      path of a file that gets a line for each call: its name, for C_Login also `pin` or
// `pad`
//
// AWS_HMAC_PROXY_RESERVED for C_Initialize's pReserved, instead of the program's: what NSS is started with
//
// Numbers are as in C. CALL is one of those that ADVISE names below.
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { kMaxRules = 32, kEvery = 100 };

struct rule {
  char what[16];
  char call[32];
  unsigned long number;
  unsigned long times;
  unsigned long calls;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t inside = PTHREAD_RWLOCK_INITIALIZER;  // held while the module is called
static CK_FUNCTION_LIST* real;
static CK_FUNCTION_LIST ours;
static struct rule rules[kMaxRules];
static size_t rule_count;
static char pad_pin[64];
static struct timespec read_at;
static ino_t read_inode;
static unsigned long wrong_pins;
static unsigned long sessions;

static void parse(const char* line) {
  struct rule rule = {.times = (unsigned long)-1};
  char value[64] = "";
  char times[32] = "";
  if (sscanf(line, "pad %63s", pad_pin) == 1) return;
  if (sscanf(line, "%15s %31s %63s %31s", rule.what, rule.call, value, times) < 2) return;
  if (times[0] != '\0') rule.times = strtoul(times, NULL, 0);
  rule.number = strtoul(value[0] != '\0' ? value : rule.call, NULL, 0);
  if (rule_count < kMaxRules) rules[rule_count++] = rule;
}

// With the mutex held.
static void refresh(void) {
  const char* path = getenv("AWS_HMAC_PROXY_CONTROL");
  struct stat status;
  if (path == NULL || stat(path, &status) != 0) {
    rule_count = 0;
    pad_pin[0] = '\0';
    read_inode = 0;
    return;
  }
  if (status.st_ino == read_inode && memcmp(&status.st_mtim, &read_at, sizeof read_at) == 0) return;
  read_inode = status.st_ino;
  read_at = status.st_mtim;
  rule_count = 0;
  pad_pin[0] = '\0';
  FILE* file = fopen(path, "re");
  if (file == NULL) return;
  char line[256];
  while (fgets(line, sizeof line, file) != NULL) parse(line);
  fclose(file);
}

// With the mutex held.
static struct rule* find(const char* what, const char* call) {
  for (size_t i = 0; i < rule_count; i++) {
    if (strcmp(rules[i].what, what) == 0 && (call == NULL || strcmp(rules[i].call, call) == 0))
      return &rules[i];
  }
  return NULL;
}

static void pause_for(unsigned long microseconds) {
  struct timespec rest = {(time_t)(microseconds / 1000000), (long)(microseconds % 1000000) * 1000};
  while (nanosleep(&rest, &rest) != 0) continue;
}

static void note(const char* call, const char* detail) {
  const char* path = getenv("AWS_HMAC_PROXY_LOG");
  if (path == NULL) return;
  const int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  dprintf(file, "%s%s%s\n", call, *detail == '\0' ? "" : " ", detail);
  close(file);
}

// What the instructions make of a call: CKR_OK for handing it on.
static CK_RV advise(const char* call, const char* detail) {
  note(call, detail);
  for (;;) {
    pthread_mutex_lock(&mutex);
    refresh();
    struct rule* const hanging = find("hang", call);
    const int hangs = hanging != NULL && hanging->number == 0;
    if (hanging != NULL && !hangs) hanging->number--;
    struct rule* const failing = hangs ? NULL : find("fail", call);
    const struct rule* const delayed = find("delay", call);
    const unsigned long delay = delayed == NULL ? 0 : delayed->number;
    CK_RV rv = CKR_OK;
    struct rule* const broken = hangs ? NULL : find("broken", NULL);
    if (broken != NULL && broken->times > 0) {
      if (strcmp(call, "C_Finalize") == 0) broken->times = 0;
      if (strcmp(call, "C_Initialize") != 0 && broken->times > 0) rv = broken->number;
    }
    if (rv == CKR_OK && failing != NULL && failing->times > 0) {
      rv = failing->number;
      if (failing->times != (unsigned long)-1) failing->times--;
    }
    pthread_mutex_unlock(&mutex);
    pause_for(hangs ? 1000 : delay);
    if (!hangs) return rv;
  }
}

static int takes(const char* what, const char* call) {
  pthread_mutex_lock(&mutex);
  struct rule* const rule = find(what, call);
  const int takes = rule != NULL && rule->number > 0 && ++rule->calls % kEvery == 0;
  if (takes) rule->number--;
  pthread_mutex_unlock(&mutex);
  return takes;
}

// What somebody else in the process does before a call on this session.
static void disturb(const char* call, CK_SESSION_HANDLE session) {
  const int logs_out = takes("logout", call);
  const int closes = takes("close", call);
  if (!logs_out && !closes) return;
  CK_SESSION_INFO info;
  pthread_rwlock_wrlock(&inside);
  if (real->C_GetSessionInfo(session, &info) == CKR_OK) {
    if (logs_out) real->C_Logout(session);
    if (closes) real->C_CloseAllSessions(info.slotID);
  }
  pthread_rwlock_unlock(&inside);
}

#define ADVISE(name, parameters, arguments) \
  static CK_RV proxy_##name parameters {    \
    CK_RV rv = advise(#name, "");           \
    if (rv != CKR_OK) return rv;            \
    pthread_rwlock_rdlock(&inside);         \
    rv = real->name arguments;              \
    pthread_rwlock_unlock(&inside);         \
    return rv;                              \
  }

ADVISE(C_GetInfo, (CK_INFO * info), (info))
ADVISE(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID* list, CK_ULONG* count), (present, list, count))
ADVISE(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count), (slot, list, count))
ADVISE(C_CloseAllSessions, (CK_SLOT_ID slot), (slot))
ADVISE(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO* info), (session, info))
ADVISE(C_Logout, (CK_SESSION_HANDLE session), (session))
ADVISE(C_GenerateKeyPair,
       (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* public_template,
        CK_ULONG public_count, CK_ATTRIBUTE* private_template, CK_ULONG private_count,
        CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key),
       (session, mechanism, public_template, public_count, private_template, private_count, public_key,
        private_key))
ADVISE(C_SetAttributeValue,
       (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* template, CK_ULONG count),
       (session, object, template, count))
ADVISE(C_CopyObject,
       (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE from, CK_ATTRIBUTE* template, CK_ULONG count,
        CK_OBJECT_HANDLE* to),
       (session, from, template, count, to))
ADVISE(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object))
ADVISE(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE* template, CK_ULONG count),
       (session, template, count))
ADVISE(C_FindObjects, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG most, CK_ULONG* count),
       (session, objects, most, count))
ADVISE(C_FindObjectsFinal, (CK_SESSION_HANDLE session), (session))
ADVISE(C_GenerateKey,
       (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* template, CK_ULONG count,
        CK_OBJECT_HANDLE* key),
       (session, mechanism, template, count, key))

static CK_RV proxy_C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
  CK_RV rv = advise("C_SignInit", "");
  if (rv != CKR_OK) return rv;
  disturb("C_SignInit", session);
  pthread_rwlock_rdlock(&inside);
  rv = real->C_SignInit(session, mechanism, key);
  pthread_rwlock_unlock(&inside);
  return rv;
}

static CK_RV proxy_C_Sign(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG size, CK_BYTE* signature,
                          CK_ULONG* signature_size) {
  CK_RV rv = advise("C_Sign", "");
  if (rv != CKR_OK) return rv;
  disturb("C_Sign", session);
  pthread_rwlock_rdlock(&inside);
  rv = real->C_Sign(session, data, size, signature, signature_size);
  pthread_rwlock_unlock(&inside);
  return rv;
}

// What the instructions say of an attribute or a mechanism; 0 for nothing.
static int attribute_rule(const char* what, CK_ATTRIBUTE_TYPE type, unsigned long* value) {
  int found = 0;
  pthread_mutex_lock(&mutex);
  for (size_t i = 0; i < rule_count && !found; i++) {
    found = strcmp(rules[i].what, what) == 0 && strtoul(rules[i].call, NULL, 0) == type;
    if (found) *value = rules[i].number;
  }
  pthread_mutex_unlock(&mutex);
  return found;
}

static CK_RV proxy_C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE wrapping,
                             CK_OBJECT_HANDLE key, CK_BYTE* wrapped, CK_ULONG* size) {
  const CK_RV rv = advise("C_WrapKey", "");
  unsigned long nothing = 0;
  if (rv != CKR_OK || attribute_rule("wrap", mechanism->mechanism, &nothing)) return rv;
  return real->C_WrapKey(session, mechanism, wrapping, key, wrapped, size);
}

static CK_RV judge(const CK_ATTRIBUTE* template, CK_ULONG count) {
  unsigned long code = CKR_OK;
  for (CK_ULONG i = 0; i < count; i++) {
    if (attribute_rule("refuse", template[i].type, &code)) return code;
  }
  return CKR_OK;
}

static CK_RV proxy_C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE* template, CK_ULONG count,
                                  CK_OBJECT_HANDLE* object) {
  CK_RV rv = advise("C_CreateObject", "");
  if (rv == CKR_OK) rv = judge(template, count);
  return rv == CKR_OK ? real->C_CreateObject(session, template, count, object) : rv;
}

static CK_RV proxy_C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
                               CK_OBJECT_HANDLE unwrapping, CK_BYTE* wrapped, CK_ULONG size,
                               CK_ATTRIBUTE* template, CK_ULONG count, CK_OBJECT_HANDLE* key) {
  CK_RV rv = advise("C_UnwrapKey", "");
  if (rv == CKR_OK) rv = judge(template, count);
  if (rv != CKR_OK) return rv;
  return real->C_UnwrapKey(session, mechanism, unwrapping, wrapped, size, template, count, key);
}

static CK_RV proxy_C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                       CK_ATTRIBUTE* template, CK_ULONG count) {
  CK_RV rv = advise("C_GetAttributeValue", "");
  pthread_rwlock_rdlock(&inside);
  if (rv == CKR_OK) rv = real->C_GetAttributeValue(session, object, template, count);
  pthread_rwlock_unlock(&inside);
  unsigned long value = 0;
  for (CK_ULONG i = 0; i < count; i++) {
    if (template[i].pValue == NULL || !attribute_rule("tell", template[i].type, &value)) continue;
    *(CK_BBOOL*)template[i].pValue = value != 0;
    template[i].ulValueLen = sizeof(CK_BBOOL);
    rv = CKR_OK;
  }
  return rv;
}

static CK_RV proxy_C_Initialize(void* init) {
  const CK_RV rv = advise("C_Initialize", "");
  if (rv != CKR_OK) return rv;
  char* const reserved = getenv("AWS_HMAC_PROXY_RESERVED");
  CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
  return real->C_Initialize(reserved == NULL ? init : &args);
}

static CK_RV proxy_C_Finalize(void* reserved) {
  CK_RV rv = advise("C_Finalize", "");
  if (rv == CKR_OK) rv = real->C_Finalize(reserved);
  pthread_mutex_lock(&mutex);
  sessions = 0;
  pthread_mutex_unlock(&mutex);
  return rv;
}

static CK_RV proxy_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void* app, CK_NOTIFY notify,
                                 CK_SESSION_HANDLE* session) {
  CK_RV rv = advise("C_OpenSession", "");
  if (rv != CKR_OK) return rv;
  pthread_mutex_lock(&mutex);
  const struct rule* const limit = find("limit", NULL);
  pthread_rwlock_rdlock(&inside);
  rv = limit != NULL && sessions >= limit->number ? CKR_SESSION_COUNT
                                                  : real->C_OpenSession(slot, flags, app, notify, session);
  pthread_rwlock_unlock(&inside);
  if (rv == CKR_OK) sessions++;
  pthread_mutex_unlock(&mutex);
  return rv;
}

static CK_RV proxy_C_CloseSession(CK_SESSION_HANDLE session) {
  CK_RV rv = advise("C_CloseSession", "");
  pthread_rwlock_rdlock(&inside);
  if (rv == CKR_OK) rv = real->C_CloseSession(session);
  pthread_rwlock_unlock(&inside);
  pthread_mutex_lock(&mutex);
  if (rv == CKR_OK) sessions--;
  pthread_mutex_unlock(&mutex);
  return rv;
}

static CK_FLAGS lock_flags(unsigned long wrong, unsigned long tries) {
  if (wrong >= tries) return CKF_USER_PIN_LOCKED;
  return (wrong > 0 ? CKF_USER_PIN_COUNT_LOW : 0) | (wrong + 1 == tries ? CKF_USER_PIN_FINAL_TRY : 0);
}

static CK_RV proxy_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  CK_RV rv = advise("C_GetTokenInfo", "");
  if (rv == CKR_OK) rv = real->C_GetTokenInfo(slot, info);
  if (rv != CKR_OK) return rv;
  pthread_mutex_lock(&mutex);
  const struct rule* const tries = find("tries", NULL);
  const struct rule* const set = find("set", NULL);
  const struct rule* const clear = find("clear", NULL);
  if (tries != NULL) {
    info->flags &= ~(CK_FLAGS)(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
    info->flags |= lock_flags(wrong_pins, tries->number);
  }
  if (set != NULL) info->flags |= set->number;
  if (clear != NULL) info->flags &= ~clear->number;
  pthread_mutex_unlock(&mutex);
  return CKR_OK;
}

static CK_RV proxy_C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size) {
  CK_RV rv = advise("C_Login", pin == NULL ? "pad" : "pin");
  if (rv != CKR_OK) return rv;
  pthread_mutex_lock(&mutex);
  const struct rule* const tries = find("tries", NULL);
  const int locked = tries != NULL && wrong_pins >= tries->number;
  char entered[sizeof pad_pin];
  memcpy(entered, pad_pin, sizeof entered);
  pthread_mutex_unlock(&mutex);
  if (locked) return CKR_PIN_LOCKED;
  if (pin == NULL && entered[0] == '\0') return CKR_FUNCTION_CANCELED;
  pthread_rwlock_rdlock(&inside);
  if (pin == NULL) {
    rv = real->C_Login(session, user, (CK_UTF8CHAR*)entered, strlen(entered));
  } else {
    rv = real->C_Login(session, user, pin, size);
  }
  pthread_rwlock_unlock(&inside);
  pthread_mutex_lock(&mutex);
  if (rv == CKR_PIN_INCORRECT) wrong_pins++;
  if (rv == CKR_OK) wrong_pins = 0;
  pthread_mutex_unlock(&mutex);
  return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  pthread_mutex_lock(&mutex);
  if (real == NULL) {
    const char* path = getenv("AWS_HMAC_PROXY_MODULE");
    void* const library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const CK_C_GetFunctionList get =
        library == NULL ? NULL : (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
    if (get != NULL && get(&real) == CKR_OK) {
      ours = *real;
      ours.C_GetFunctionList = C_GetFunctionList;
#define OURS(name) ours.name = proxy_##name
      OURS(C_Initialize), OURS(C_Finalize), OURS(C_GetInfo), OURS(C_GetSlotList), OURS(C_GetTokenInfo);
      OURS(C_GetMechanismList), OURS(C_OpenSession), OURS(C_CloseSession), OURS(C_CloseAllSessions);
      OURS(C_GetSessionInfo), OURS(C_Login), OURS(C_Logout), OURS(C_CreateObject), OURS(C_CopyObject);
      OURS(C_DestroyObject), OURS(C_GetAttributeValue), OURS(C_FindObjectsInit), OURS(C_FindObjects);
      OURS(C_FindObjectsFinal), OURS(C_SignInit), OURS(C_Sign), OURS(C_GenerateKey), OURS(C_WrapKey);
      OURS(C_UnwrapKey), OURS(C_GenerateKeyPair), OURS(C_SetAttributeValue);
    }
  }
  pthread_mutex_unlock(&mutex);
  if (real == NULL) return CKR_GENERAL_ERROR;
  *list = &ours;
  return CKR_OK;
}
