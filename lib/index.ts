/**
 * The public interface.
 *
 * @module aws-hmac
 */
export type { Aead, AeadOptions } from "./core/aead.js";
export type { KeyAlgorithm } from "./core/aws4-key.js";
export type {
  CacheOutcome,
  CredentialsEvent,
  FallbackEvent,
  MacEvent,
  OperationEvent,
  SignEvent,
} from "./core/diagnostics.js";
export {
  AwsHmacError,
  type AwsHmacErrorOptions,
  CredentialsError,
  type ErrorCode,
  errorCodes,
  KeysetError,
  KmsError,
  Pkcs11Error,
  SigningError,
  TpmError,
  VaultError,
} from "./core/errors.js";
export type { HmacKey, MacOptions, MacSource } from "./core/hmac-key.js";
export {
  type AssumeRoleParams,
  type FromAssumeRoleOptions,
  fromAssumeRole,
} from "./credentials/from-assume-role.js";
export {
  type FromFederationTokenOptions,
  fromFederationToken,
} from "./credentials/from-federation-token.js";
export { type FromSessionTokenOptions, fromSessionToken } from "./credentials/from-session-token.js";
export type { MfaCodeProvider, MfaOptions } from "./credentials/mfa.js";
export type {
  TemporaryCredentials,
  TemporaryCredentialsProvider,
  TemporaryCredentialsRequest,
} from "./credentials/refresh-ahead.js";
export type { StsClientConfig } from "./credentials/sts-client.js";
export type { StsProviderOptions } from "./credentials/sts-provider.js";
export { type AwsKmsKeyOptions, openAwsKmsKey } from "./keys/aws-kms.js";
export type { FallbackSource } from "./keys/fallback/member.js";
export { type FallbackEntry, type FallbackOptions, fallbackKey } from "./keys/fallback.js";
export { insecureMemoryKey } from "./keys/memory.js";
export { type OpenKeyOptions, openKey } from "./keys/open-key.js";
export type { Pkcs11KeyName, Pkcs11Token } from "./keys/pkcs11/options.js";
export type { Pin, Pkcs11Login } from "./keys/pkcs11/pin.js";
export { openPkcs11Key, type Pkcs11KeyOptions } from "./keys/pkcs11.js";
export type { TinkKek } from "./keys/tink/options.js";
export type { TinkKeysetSource } from "./keys/tink/source.js";
export { openTinkKey, type TinkKeyOptions } from "./keys/tink.js";
export type { TpmDevice } from "./keys/tpm/options.js";
export type { TpmHierarchy, TpmParent, TpmParentAuth } from "./keys/tpm/parent.js";
export type {
  TpmAuthorizeStep,
  TpmCommand,
  TpmDuplicationSelectStep,
  TpmNewParent,
  TpmPcrBank,
  TpmPcrStep,
  TpmPolicy,
  TpmPolicyStep,
  TpmSecretStep,
} from "./keys/tpm/policy/policy.js";
export { policyDigest } from "./keys/tpm/policy/policy-digest.js";
export type { TpmSaltKey, TpmSaltOptions } from "./keys/tpm/salt-key.js";
export type { TpmBlobs, TpmKeySource } from "./keys/tpm/source.js";
export { openTpmKey, type TpmAuth, type TpmKeyOptions } from "./keys/tpm.js";
export { openVaultKey, type VaultKeyOptions } from "./keys/vault.js";
export type { AwsKmsClient, AwsKmsClientConfig } from "./kms/aws-options.js";
export type { GcpKmsClient, GcpKmsClientConfig } from "./kms/gcp-client.js";
export { type AwsKmsImportOptions, type ImportedAwsKmsKey, importAwsKmsKey } from "./provision/aws-kms.js";
export {
  importWrappedTpmKey,
  type TpmVerified,
  type TpmWrappedImportBase,
  type TpmWrappedImportToHandle,
  type TpmWrappedImportToPem,
} from "./provision/import-wrapped-tpm.js";
export {
  type ListedPkcs11Key,
  type ListedPkcs11Token,
  listPkcs11Keys,
  type Pkcs11Attribute,
  type Pkcs11Listing,
  type Pkcs11ListOptions,
  type Pkcs11RemoveOptions,
  removePkcs11Key,
} from "./provision/pkcs11/housekeeping.js";
export type { Pkcs11Wrapped, Pkcs11WrappingKey } from "./provision/pkcs11/wrapped.js";
export { type ImportedPkcs11Key, importPkcs11Key, type Pkcs11ImportOptions } from "./provision/pkcs11.js";
export { type ImportedTinkKey, importTinkKey, type TinkImportOptions } from "./provision/tink.js";
export type {
  ImportedTpmHandle,
  ImportedTpmPem,
  TpmToHandle,
  TpmToPem,
} from "./provision/tpm/destination.js";
export {
  type ListedTpmKey,
  listTpmKeys,
  removeTpmKey,
  type TpmAttribute,
  type TpmListOptions,
  type TpmRemoveOptions,
} from "./provision/tpm/housekeeping.js";
export type { TpmOwnerAuth, TpmPlaceAuth } from "./provision/tpm/owner.js";
export {
  importTpmKey,
  type TpmImportBase,
  type TpmImportToHandle,
  type TpmImportToPem,
} from "./provision/tpm.js";
export { removeVaultKey, type VaultRemoveOptions } from "./provision/vault/housekeeping.js";
export { type ImportedVaultKey, importVaultKey, type VaultImportOptions } from "./provision/vault.js";
export { type WrapForTpmOptions, wrapForTpm } from "./provision/wrap-for-tpm.js";
export {
  type CacheTokenTarget,
  type DsqlTokenTarget,
  IamAuthTokens,
  type IamAuthTokensOptions,
  type IamTokenTerms,
  type MskToken,
  type RdsTokenTarget,
} from "./sigv4/auth-tokens.js";
export type { SignableRequest } from "./sigv4/canonical-input.js";
export type { ChunkTrailer } from "./sigv4/chunk-trailer.js";
export type { Difference } from "./sigv4/differences.js";
export type { EcdsaCacheMode } from "./sigv4/ecdsa-keys.js";
export type { ExplainOptions, Explanation } from "./sigv4/explain.js";
export { type HttpOptionsSigningArguments, signedHttpOptions } from "./sigv4/http-options.js";
export type { KeyCacheMetrics, KeyCacheMode } from "./sigv4/key-cache.js";
export {
  createPresignedPost,
  type PostCondition,
  type PresignedPost,
  type PresignedPostOptions,
} from "./sigv4/presigned-post.js";
export { type SdkIdentity, type SdkIdentityOptions, sdkIdentity } from "./sigv4/sdk-identity.js";
export type { SignChunksOptions, SignedChunks } from "./sigv4/signed-chunks.js";
export { createSignedFetch, type SignedFetch, type SignedFetchOptions } from "./sigv4/signed-fetch.js";
export { HmacSigner } from "./sigv4/signer.js";
export type {
  HmacSignerOptions,
  PresignUrlItem,
  PresignUrlOptions,
  PresignUrlsOptions,
} from "./sigv4/signer-options.js";
export { HmacSignerV4a, type HmacSignerV4aOptions } from "./sigv4/signer-v4a.js";
export type { KeySource, SigningKeySource, SigningScope } from "./sigv4/signing-key-source.js";
export { type HttpSigner, signedRequest } from "./sigv4/web-request.js";
export {
  type VaultAppRoleOptions,
  type VaultKubernetesOptions,
  type VaultSecret,
  vaultAppRole,
  vaultKubernetes,
} from "./vault/auth.js";
export type { VaultBody } from "./vault/json.js";
export type { VaultServerOptions } from "./vault/options.js";
export type { VaultLogin, VaultTokenCallback, VaultTokenContext } from "./vault/token.js";
export type { TransitKey } from "./vault/transit.js";
