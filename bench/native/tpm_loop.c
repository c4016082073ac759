// tpm_loop TCTI HANDLE password|session SECONDS: TPM2_HMAC by a persistent key, as fast as synchronous ESYS
// goes. TCTI: one that libtss2 knows, or kept:host=…,port=… for swtpm over one connection. password:
// TPM_RS_PW. session: one HMAC session, salted by a key of the null hierarchy, AES-128-CFB both ways.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "kept_tcti.h"
#include "loop.h"

typedef struct {
  ESYS_CONTEXT* esys;
  ESYS_TR object;
  ESYS_TR authorization;
} Key;

static void ComputeMac(void* opaque, uint8_t mac[kMacBytes]) {
  const Key* key = opaque;
  TPM2B_MAX_BUFFER message = {.size = sizeof kMessage};
  memcpy(message.buffer, kMessage, sizeof kMessage);
  TPM2B_DIGEST* digest = NULL;
  Check("Esys_HMAC", Esys_HMAC(key->esys, key->object, key->authorization, ESYS_TR_NONE, ESYS_TR_NONE,
                               &message, TPM2_ALG_SHA256, &digest));
  memcpy(mac, digest->buffer, kMacBytes);
  Esys_Free(digest);
}

/// A storage primary of the null hierarchy, to salt with.
static ESYS_TR CreateSaltKey(ESYS_CONTEXT* esys) {
  const TPM2B_SENSITIVE_CREATE sensitive = {0};
  const TPM2B_PUBLIC template = {
      .publicArea = {
          .type = TPM2_ALG_ECC,
          .nameAlg = TPM2_ALG_SHA256,
          .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                              TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
                              TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
          .parameters.eccDetail = {
              .symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
              .scheme.scheme = TPM2_ALG_NULL,
              .curveID = TPM2_ECC_NIST_P256,
              .kdf.scheme = TPM2_ALG_NULL}}};
  const TPM2B_DATA outside = {0};
  const TPML_PCR_SELECTION pcrs = {0};
  ESYS_TR primary = ESYS_TR_NONE;
  Check("Esys_CreatePrimary",
        Esys_CreatePrimary(esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                           &template, &outside, &pcrs, &primary, NULL, NULL, NULL, NULL));
  return primary;
}

static ESYS_TR StartSession(ESYS_CONTEXT* esys) {
  ESYS_TR salt_key = CreateSaltKey(esys);
  const TPMT_SYM_DEF aes = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
  ESYS_TR session = ESYS_TR_NONE;
  Check("Esys_StartAuthSession",
        Esys_StartAuthSession(esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                              TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &session));
  Check("Esys_FlushContext", Esys_FlushContext(esys, salt_key));
  const TPMA_SESSION attributes = TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
  Check("Esys_TRSess_SetAttributes", Esys_TRSess_SetAttributes(esys, session, attributes, 0xff));
  return session;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: tpm_loop TCTI HANDLE password|session SECONDS < PASSWORD\n");
    return 2;
  }
  const TPM2_HANDLE handle = (TPM2_HANDLE)strtoul(argv[2], NULL, 0);
  const char kept_prefix[] = "kept:";
  const int kept = strncmp(argv[1], kept_prefix, strlen(kept_prefix)) == 0;
  const int with_session = strcmp(argv[3], "session") == 0;

  char line[sizeof((TPM2B_AUTH*)0)->buffer];
  TPM2B_AUTH password = {.size = (UINT16)ReadPassword(line, sizeof line)};
  memcpy(password.buffer, line, password.size);

  TSS2_TCTI_CONTEXT* tcti = NULL;
  Key key = {0};
  if (kept) {
    tcti = OpenKeptTcti(argv[1] + strlen(kept_prefix));
  } else {
    Check("Tss2_TctiLdr_Initialize", Tss2_TctiLdr_Initialize(argv[1], &tcti));
  }
  Check("Esys_Initialize", Esys_Initialize(&key.esys, tcti, NULL));
  Check("Esys_TR_FromTPMPublic",
        Esys_TR_FromTPMPublic(key.esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key.object));
  Check("Esys_TR_SetAuth", Esys_TR_SetAuth(key.esys, key.object, &password));
  key.authorization = with_session ? StartSession(key.esys) : ESYS_TR_PASSWORD;

  MeasureLoop(ComputeMac, &key, atof(argv[4]));

  if (with_session) Check("Esys_FlushContext", Esys_FlushContext(key.esys, key.authorization));
  Esys_Finalize(&key.esys);
  if (kept) {
    CloseKeptTcti(tcti);
  } else {
    Tss2_TctiLdr_Finalize(&tcti);
  }
  return 0;
}
