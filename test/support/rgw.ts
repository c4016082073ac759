import { Ceph } from "./ceph.js";
import { freePorts, listens } from "./ports.js";
import { type Server, temporaryFolder, which } from "./process.js";
import { type Credentials, callQueryApi } from "./query-api.js";

const user = "tester";
const role = "S3Access";
const chained = "S3AccessOfRole";
const credentials: Credentials = {
  accessKeyId: "RGWTESTACCESSKEY0001",
  secretAccessKey: "rgwTest/Secret+Key0001rgwTest/Secret+Key",
};

/** The programs without which there is no gateway. */
const cephPrograms = ["ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"] as const;

export function missingCephPrograms(): string[] {
  return cephPrograms.filter((program) => which(program) === undefined);
}

/** A Ceph RADOS Gateway: S3, STS and IAM on one endpoint. */
export interface Gateway extends Server, Credentials {
  endpoint: string;
  /** A role that the user may assume and that may do anything in S3. */
  roleArn: string;
  /** A role with the same rights, which that role alone may assume. */
  chainedRoleArn: string;
}

/** Starts a throwaway Ceph (one monitor, one in-memory OSD) with a gateway, a user and a role. */
export async function startGateway(): Promise<Gateway> {
  const missing = missingCephPrograms();
  if (missing.length > 0) throw new Error(`not installed: ${missing.join(", ")} (npm run setup)`);
  const { folder, remove } = temporaryFolder("rgw");
  const ceph = new Ceph(folder);
  const stop = async (): Promise<void> => {
    await ceph.stop();
    remove();
  };
  try {
    const port = await freePorts(2);
    await ceph.start(port + 1, port);
    // made before the gateway starts, so that it finds its default zone
    await createUser(ceph);
    await createRole(ceph, role, `user/${user}`);
    await createRole(ceph, chained, `role/${role}`);
    await ceph.serve("radosgw", ["-n", "client.rgw"], () => listens(port));
    const endpoint = `http://127.0.0.1:${port}`;
    await allowSts(endpoint);
    return { endpoint, ...credentials, roleArn: arnOf(role), chainedRoleArn: arnOf(chained), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createUser(ceph: Ceph): Promise<void> {
  const { accessKeyId, secretAccessKey } = credentials;
  const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`];
  const rights = "--caps=roles=*;user-policy=*";
  await ceph.admin("user", "create", `--uid=${user}`, `--display-name=${user}`, ...keys, rights);
}

const arnOf = (roleName: string): string => `arn:aws:iam:::role/${roleName}`;

async function createRole(ceph: Ceph, roleName: string, trusted: string): Promise<void> {
  const trust = policy({ Principal: { AWS: [`arn:aws:iam:::${trusted}`] }, Action: ["sts:AssumeRole"] });
  const rights = policy({ Action: ["s3:*", "sts:AssumeRole"], Resource: "*" });
  const name = `--role-name=${roleName}`;
  await ceph.admin("role", "create", name, "--path=/", `--assume-role-policy-doc=${trust}`);
  await ceph.admin("role-policy", "put", name, "--policy-name=all", `--policy-doc=${rights}`);
}

function policy(statement: object): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] });
}

/** GetSessionToken needs a user policy, which the IAM API alone can set. */
async function allowSts(endpoint: string): Promise<void> {
  const parameters = {
    Action: "PutUserPolicy",
    Version: "2010-05-08",
    UserName: user,
    PolicyName: "sts",
    PolicyDocument: policy({ Action: ["sts:*"], Resource: "*" }),
  };
  const { status, text } = await callQueryApi(endpoint, "iam", parameters, credentials);
  if (status !== 200) throw new Error(`PutUserPolicy: ${status} ${text}`);
}
