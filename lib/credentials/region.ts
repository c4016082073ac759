import type { Provider } from "@smithy/types";
import { CredentialsError } from "../core/errors.js";
import type { StsClientConfig } from "./sts-client.js";

/**
 * The region for STS, each time it is asked: `clientConfig.region`, else where the SDK looks (`AWS_REGION`, the profile's
 * `region`), else `AWS_DEFAULT_REGION` as the AWS CLI does, else the EC2 instance's as the SDK does. None is made up.
 *
 * @throws CredentialsError `ERR_REGION_MISSING`
 */
export async function regionOf({
  region,
  profile,
}: Pick<StsClientConfig, "region" | "profile">): Promise<Provider<string>> {
  const sdk = await import("@smithy/core/config");
  const instance = sdk.NODE_REGION_CONFIG_OPTIONS.default as Provider<string>;
  const found =
    region ??
    sdk.loadConfig(
      {
        ...sdk.NODE_REGION_CONFIG_OPTIONS,
        default: async () => process.env.AWS_DEFAULT_REGION || instance(),
      },
      { ...sdk.NODE_REGION_CONFIG_FILE_OPTIONS, ...(profile !== undefined && { profile }) },
    );
  return async () => {
    try {
      const name = typeof found === "function" ? await found() : found;
      if (typeof name === "string" && name !== "") return name;
    } catch (cause) {
      throw noRegion(cause);
    }
    throw noRegion();
  };
}

function noRegion(cause?: unknown): CredentialsError {
  const message = "no region for STS: give clientConfig.region or set AWS_REGION";
  return new CredentialsError("ERR_REGION_MISSING", message, { cause });
}
