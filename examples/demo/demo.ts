import { CreateBucketCommand } from "@aws-sdk/client-s3";
import type { Server } from "../../test/support/process.js";
import { type Gateway, startGateway } from "../../test/support/rgw.js";
import { type Device, startToken, startTpm } from "./devices.js";
import { Report } from "./report.js";
import { Bucket, s3Client, show } from "./show.js";

/** Runs the demo; rejects unless everything was as promised. Whatever it starts it also ends. */
export async function demo(): Promise<void> {
  const start = performance.now();
  const servers: Server[] = [];
  async function started<T extends Server>(name: string, starting: () => Promise<T>): Promise<T> {
    const server = await new Report().step(name, starting);
    servers.push(server);
    return server;
  }
  try {
    Report.heading("Throwaway devices and servers on this machine");
    const devices: Device[] = [
      await started("a software TPM 2.0 (swtpm)", startTpm),
      await started("a PKCS#11 token (SoftHSM)", startToken),
    ];
    const gateway: Gateway = await started("S3, STS and IAM (Ceph RADOS Gateway)", startGateway);
    await s3Client(gateway, { credentials: gateway }).send(new CreateBucketCommand({ Bucket }));

    const calls: number[] = [];
    for (const device of devices) calls.push(...(await show(device, gateway)));

    const total = calls.reduce((sum, count) => sum + count, 0);
    Report.heading("All as promised");
    console.log(
      `  ${calls.length} keys in ${devices.length} devices made ${total} signing calls: one for each key and UTC day.`,
    );
    console.log(`  ${calls.length} more calls checked the imports.`);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  console.log(
    `  ${((performance.now() - start) / 1000).toFixed(1)} s; everything started here has been stopped and removed.`,
  );
}
