// Presigns a URL with a key in Vault or OpenBao, after a login that needs no token from elsewhere.
//
//   AWS_ACCESS_KEY_ID=AKIA… SIGNING_KEY='vault:https://vault.example:8200/transit/signer?version=1' \
//   ROLE_ID=… SECRET_ID_FILE=/run/secrets/secret-id node examples/vault.mjs https://bucket.s3.eu-central-1.amazonaws.com/report.pdf
//
// In a pod KUBERNETES_ROLE=signer logs in with the pod's service account instead (its token is in JWT_FILE, by default where
// Kubernetes puts it); with neither the token is that of VAULT_TOKEN. VAULT_CACERT is the server's authority.
import process from "node:process";
import { HmacSigner, openKey, vaultAppRole, vaultKubernetes } from "aws-hmac";

const { env } = process;

/** How to log in, by what is configured; undefined for a token of the environment. */
function login() {
  if (env.ROLE_ID) return vaultAppRole({ roleId: env.ROLE_ID, secretIdFile: env.SECRET_ID_FILE });
  if (env.KUBERNETES_ROLE) return vaultKubernetes({ role: env.KUBERNETES_ROLE, jwtFile: env.JWT_FILE });
  return undefined;
}

try {
  const key = await openKey(env.SIGNING_KEY, { token: login() });
  const signer = new HmacSigner({
    ...{ key, accessKeyId: env.AWS_ACCESS_KEY_ID, region: env.AWS_REGION ?? "eu-central-1", service: "s3" },
  });
  console.log(await signer.presignUrl(process.argv[2]));
  await signer.close();
  await key.close();
} catch (error) {
  console.error(error.code, error.message);
  process.exitCode = 1;
}
