import aws4 from "aws4";

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

/** POSTs one call of an AWS query API (IAM, STS) as a form, signed by `aws4`. */
export async function callQueryApi(
  endpoint: string,
  service: "iam" | "sts",
  parameters: Record<string, string>,
  credentials: Credentials,
): Promise<{ status: number; text: string }> {
  // Ceph signs over %20 where URLSearchParams writes +, and moto over %2A where it writes *
  const body = new URLSearchParams(parameters).toString().replaceAll("+", "%20").replaceAll("*", "%2A");
  const { host } = new URL(endpoint);
  const { headers } = aws4.sign(
    {
      ...{ method: "POST", host, path: "/", service, region: "us-east-1", body },
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    },
    credentials,
  );
  // fetch sets these itself
  const { Host, "Content-Length": length, ...rest } = headers as Record<string, string>;
  const response = await fetch(endpoint, { method: "POST", headers: rest, body });
  return { status: response.status, text: await response.text() };
}
