import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import path from "node:path";
import type { Bao } from "./bao.js";
import { close, freePorts, listen } from "./ports.js";
import type { Server } from "./process.js";

/** What a cluster's API server does for logins to OpenBao: it reviews the tokens of service accounts. */
export interface Cluster extends Server {
  /** A token of the service account `signer` in the namespace `apps`. */
  jwt: string;
  /** How many tokens were reviewed. */
  reviews(): number;
  /** Takes the account away. */
  removeAccount(): void;
}

/** Starts such a server with the certificate of `bao`, and has OpenBao's method `kubernetes` ask it. */
export async function startCluster(bao: Bao): Promise<Cluster> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const account = { name: "signer", uid: "f5bd5a0b-6d4d-4ab1-ac63-2a3aa4ba4d1e" };
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    ...{ aud: ["https://kubernetes.default.svc"], iss: "https://kubernetes.default.svc" },
    ...{ exp: now + 3600, iat: now, nbf: now, sub: "system:serviceaccount:apps:signer" },
    "kubernetes.io": { namespace: "apps", serviceaccount: account },
  };
  const head = `${part({ alg: "RS256", kid: "1" })}.${part(claims)}`;
  const jwt = `${head}.${sign("sha256", Buffer.from(head), privateKey).toString("base64url")}`;
  let reviews = 0;
  let isThere = true;
  const pem = (name: string): string => readFileSync(path.join(bao.folder, "tls", name), "utf8");
  const server = createServer(
    { cert: pem("vault-cert.pem"), key: pem("vault-key.pem") },
    async (request, answer) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      const isReview = request.url === "/apis/authentication.k8s.io/v1/tokenreviews";
      if (!isReview || request.headers.authorization !== "Bearer reviewer")
        return void answer.writeHead(403).end();
      reviews++;
      const authenticated = isThere && JSON.parse(body).spec.token === jwt;
      const user = { username: "system:serviceaccount:apps:signer", uid: account.uid, groups: [] };
      const status = authenticated
        ? { authenticated, user, audiences: claims.aud }
        : { authenticated, error: "unknown token" };
      const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", status };
      answer.writeHead(201, { "Content-Type": "application/json" }).end(JSON.stringify(review));
    },
  );
  const port = await freePorts(1);
  await listen(server, port);
  await bao.call("sys/auth/kubernetes", { body: { type: "kubernetes" } });
  const config = {
    ...{ kubernetes_host: `https://127.0.0.1:${port}`, kubernetes_ca_cert: bao.ca },
    ...{ token_reviewer_jwt: "reviewer", disable_local_ca_jwt: true },
  };
  await bao.call("auth/kubernetes/config", { body: config });
  return {
    jwt,
    reviews: () => reviews,
    removeAccount() {
      isThere = false;
    },
    async stop() {
      server.closeAllConnections();
      await close(server);
    },
  };
}
