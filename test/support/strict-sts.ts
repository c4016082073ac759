import type { HttpRequest } from "@smithy/types";
import { judgedAuthorization } from "./captured-requests.js";
import type { Answer, Received } from "./http.js";
import { accessKeyId, credentialsXml, errorXml, parameters, secret, stsThat, type ToldSts } from "./sts.js";

interface Issued {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  end: number;
}

/** An STS with the rules of AWS's, in aws4's judgement: see {@link startStrictSts}. */
export interface StrictSts extends ToldSts {
  /** The actions of the calls that were accepted. */
  accepted: string[];
  issued: Issued[];
  /** What is done with a call for credentials instead of judging it. */
  instead: ((judged: () => Answer) => Answer) | undefined;
  /** The server's time, milliseconds since 1970. */
  now: () => number;
  /** What it says in `Date`; its time by default. */
  date: () => number;
}

const five = 5 * 60_000;

/**
 * An STS that knows the user's key and those that it gave, takes a signature that aws4 makes too and that is not five minutes
 * old or early, and gives new credentials at each call, which end.
 */
export async function startStrictSts(): Promise<StrictSts> {
  let answer: (request: Received) => Answer = () => undefined;
  const told = await stsThat((request) => answer(request));
  const sts: StrictSts = {
    ...told,
    accepted: [],
    issued: [],
    instead: undefined,
    now: () => Date.now(),
    date: () => sts.now(),
  };
  answer = (request) => {
    const judged = (): Answer => judge(sts, request);
    const harmed = parameters(request).Action !== "GetCallerIdentity" && sts.instead;
    const answered = harmed ? harmed(judged) : judged();
    return answered && { headers: { date: new Date(sts.date()).toUTCString() }, ...answered };
  };
  return sts;
}

function judge(sts: StrictSts, request: Received): Answer {
  const { authorization = "", ...headers } = request.headers;
  const [, id, , region] = /Credential=([^/]+)\/([^/]+)\/([^/]+)\/sts\//.exec(authorization) ?? [];
  const temporary = sts.issued.find((one) => one.accessKeyId === id);
  const user = { accessKeyId, secretAccessKey: secret, sessionToken: undefined, end: Number.MAX_VALUE };
  const signer = id === accessKeyId ? user : temporary;
  if (!signer || region !== "eu-west-1") return errorXml(403, "InvalidClientTokenId");
  if (headers["x-amz-security-token"] !== signer.sessionToken) return errorXml(403, "InvalidClientTokenId");
  if (sts.now() >= signer.end) return errorXml(400, "ExpiredToken");
  const signed = { ...request, hostname: headers.host, path: "/", query: {} } as unknown as HttpRequest;
  if (authorization !== judgedAuthorization(signed, signer)) {
    return errorXml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match");
  }
  const [, date, time] = /^(\d{8})T(\d{6})Z$/.exec(String(headers["x-amz-date"])) ?? [];
  const when = Date.parse(
    `${date?.replace(/(....)(..)(..)/, "$1-$2-$3")}T${time?.replace(/(..)(..)(..)/, "$1:$2:$3")}Z`,
  );
  if (Math.abs(when - sts.now()) > five) {
    const words = when < sts.now() ? "Signature expired" : "Signature not yet current";
    return errorXml(403, "SignatureDoesNotMatch", `${words}: ${date}T${time}Z is not now`);
  }
  const { Action = "", DurationSeconds = "3600" } = parameters(request);
  sts.accepted.push(Action);
  if (Action === "GetCallerIdentity") return callerIdentity(signer.accessKeyId);
  const number = sts.issued.length + 1;
  const issued = {
    accessKeyId: `ASIA000000000000000${number}`,
    secretAccessKey: `temporary/secret+${number}`,
    sessionToken: `token/${number}+==`,
    end: Math.floor(sts.now() / 1000) * 1000 + Number(DurationSeconds) * 1000,
  };
  sts.issued.push(issued);
  return credentialsXml(Action, new Date(issued.end).toISOString(), issued);
}

function callerIdentity(id: string): Answer {
  const result = `<GetCallerIdentityResult><Arn>${id}</Arn></GetCallerIdentityResult>`;
  return { status: 200, body: `<GetCallerIdentityResponse>${result}</GetCallerIdentityResponse>` };
}
