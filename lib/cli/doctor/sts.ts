import type { HmacKey } from "../../core/hmac-key.js";
import { callerIdentity } from "../../credentials/caller-identity.js";
import { type Finding, failure, ok, problem, warning } from "./finding.js";

/** Seconds by which a clock may be wrong: STS refuses five minutes. */
const [noticeable, harmful] = [30, 240];

/** Asks STS who signs, and compares its clock with this machine's. */
export async function sts(options: {
  key: HmacKey;
  accessKeyId: string;
  region: string;
  timeout: number | undefined;
}): Promise<Finding[]> {
  const { key, accessKeyId, region, timeout } = options;
  const { identity, error, status, skew } = await callerIdentity({
    ...{ key, accessKeyId, timeout, clientConfig: { region } },
  });
  const found: Finding[] = [];
  if (identity) found.push(ok("STS", `account ${identity.account || "not told"}, ${identity.arn}`));
  else if (status === 405 || status === 501) {
    found.push(
      warning(
        "STS",
        `this server has no GetCallerIdentity (HTTP ${status})`,
        "AWS has it: see AWS_ENDPOINT_URL_STS",
      ),
    );
  } else found.push(failure("STS", error));
  if (skew !== undefined) found.push(clock(skew / 1000));
  return found;
}

function clock(seconds: number): Finding {
  const off = Math.abs(seconds);
  const found =
    off < 2 ? "as that of STS" : `${off.toFixed(0)} s ${seconds > 0 ? "behind" : "ahead of"} that of STS`;
  const remedy = "set this machine's clock, and keep it so: timedatectl set-ntp true";
  if (off >= harmful) return problem("clock", found, remedy);
  return off >= noticeable ? warning("clock", found, remedy) : ok("clock", found);
}
