import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import protos from "@google-cloud/kms/build/protos/protos.json";
import {
  credentials,
  Server as GrpcServer,
  type handleUnaryCall,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import type { GcpKmsClientConfig } from "../../lib/kms/gcp-client.js";
import type { Server } from "./process.js";

type Fields = Record<string, unknown>;
type Checksum = { value?: string } | null;

/** A loopback server that speaks Cloud KMS's protocol and encrypts with AES-256-GCM. */
export interface GcpKms extends Server {
  /** For a client of this server. */
  clientConfig: GcpKmsClientConfig;
  /** Each call's method, request and routing header. */
  calls: { method: string; request: Fields; routing: unknown }[];
  /** Changes what is answered, until it is set back: a network that corrupts. */
  tamper(change: ((answer: Fields) => Fields) | undefined): void;
  /** The next calls fail with these statuses, in order; undefined leaves one without an answer. */
  fail(...codes: (number | undefined)[]): void;
  /** Makes another version of the key the primary one. */
  rotate(): void;
}

/** The checksum that the protocol wants: CRC-32C bit by bit (RFC 3720, B.4), as other code than the library's. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** @param key the one key that there is: `projects/…/cryptoKeys/…` */
export async function startGcpKms(key: string): Promise<GcpKms> {
  const versions = [randomBytes(32)];
  const calls: GcpKms["calls"] = [];
  const failures: (number | undefined)[] = [];
  let change: ((answer: Fields) => Fields) | undefined;

  const encrypt = ({ name, ...request }: Fields): Fields => {
    const [plaintext, data] = [bytes(request, "plaintext"), bytes(request, "additionalAuthenticatedData")];
    const version =
      name === key ? versions.length : Number(/\/cryptoKeyVersions\/(\d+)$/.exec(String(name))?.[1]);
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", versions[version - 1] as Buffer, iv).setAAD(data);
    const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const ciphertext = Buffer.concat([Buffer.from([version]), iv, cipher.getAuthTag(), body]);
    return {
      name: `${key}/cryptoKeyVersions/${version}`,
      ...{ ciphertext, ciphertextCrc32c: { value: crc32c(ciphertext) } },
      verifiedPlaintextCrc32c: true,
      verifiedAdditionalAuthenticatedDataCrc32c: data.length > 0,
    };
  };
  const decrypt = (request: Fields): Fields => {
    const [ciphertext, data] = [bytes(request, "ciphertext"), bytes(request, "additionalAuthenticatedData")];
    const decipher = createDecipheriv(
      "aes-256-gcm",
      versions[(ciphertext[0] ?? 0) - 1] as Buffer,
      ciphertext.subarray(1, 13),
    )
      .setAAD(data)
      .setAuthTag(ciphertext.subarray(13, 29));
    const plaintext = Buffer.concat([decipher.update(ciphertext.subarray(29)), decipher.final()]);
    return {
      plaintext,
      plaintextCrc32c: { value: crc32c(plaintext) },
      usedPrimary: ciphertext[0] === versions.length,
    };
  };

  const serve =
    (method: string, work: (request: Fields) => Fields): handleUnaryCall<Fields, Fields> =>
    ({ request, metadata }, callback) => {
      calls.push({ method, request, routing: metadata.get("x-goog-request-params")[0] });
      if (failures.length > 0) {
        const code = failures.shift();
        if (code !== undefined) callback({ code, details: "as told" });
        return;
      }
      const name = String(request.name);
      // Decrypt takes no version's name
      const known = name === key || (method === "Encrypt" && name.startsWith(`${key}/cryptoKeyVersions/`));
      if (!known) return callback({ code: status.NOT_FOUND, details: "no such key" });
      try {
        const answer = work(request);
        callback(null, change ? change(answer) : answer);
      } catch (error) {
        callback({ code: status.INVALID_ARGUMENT, details: String(error) });
      }
    };

  const definition = fromJSON(protos as Parameters<typeof fromJSON>[0], { longs: String, defaults: true });
  const server = new GrpcServer();
  server.addService(definition["google.cloud.kms.v1.KeyManagementService"] as ServiceDefinition, {
    Encrypt: serve("Encrypt", encrypt),
    Decrypt: serve("Decrypt", decrypt),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    clientConfig: {
      apiEndpoint: "127.0.0.1",
      port,
      sslCreds: credentials.createInsecure(),
      // else the client looks for credentials in the network
      credentials: { client_email: "nobody", private_key: "none" },
    },
    calls,
    tamper: (to) => {
      change = to;
    },
    fail: (...codes) => void failures.push(...codes),
    rotate: () => void versions.push(randomBytes(32)),
    stop: async () => server.forceShutdown(),
  };
}

/** A field's bytes, whose checksum must be there and right. */
function bytes(request: Fields, field: string): Buffer {
  const value = (request[field] ?? Buffer.alloc(0)) as Buffer;
  const checksum = request[`${field}Crc32c`] as Checksum;
  if (value.length > 0 && Number(checksum?.value) !== crc32c(value))
    throw new Error(`${field}: wrong checksum`);
  return value;
}
