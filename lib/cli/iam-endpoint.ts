import { invalid } from "../core/validate.js";
import type { Settings } from "./settings.js";

/** Where IAM is, and the region that signatures for it name. */
export interface IamEndpoint {
  url: URL;
  region: string;
}

/** IAM has one endpoint in each partition (AWS General Reference, "IAM endpoints"): by the region's beginning. */
const partitions: readonly [prefix: string, host: string, region: string][] = [
  ["cn-", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"],
  ["us-gov-", "iam.us-gov.amazonaws.com", "us-gov-west-1"],
  ["us-iso-", "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"],
  ["us-isob-", "iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"],
  ["eusc-", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"],
  ["", "iam.amazonaws.com", "us-east-1"],
];

/**
 * IAM's endpoint: that of the settings, else that of the region's partition, which is AWS's public one where no region is set.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export async function iamEndpoint(settings: Settings): Promise<IamEndpoint> {
  const [given, region = ""] = [await settings.find("iamEndpoint"), await settings.find("region")];
  const [, host, signingRegion] = partitions.find(([prefix]) =>
    region.startsWith(prefix),
  ) as (typeof partitions)[number];
  const text = given ?? `https://${host}/`;
  const url = new URL(URL.canParse(text) ? text : "about:blank");
  const isLocal = /^(localhost|127\..*|\[::1\])$/.test(url.hostname);
  const isSafe = url.protocol === "https:" || (url.protocol === "http:" && isLocal);
  if (!isSafe || url.username !== "") {
    throw invalid(
      "IAM's endpoint must be an https:// URL: a new key's secret comes from there (http:// on this machine only)",
    );
  }
  return { url, region: signingRegion };
}
