import { CreateBucketCommand } from "@aws-sdk/client-s3";
import type { Server } from "../../test/support/process.js";
import { type Gateway, startGateway } from "../../test/support/rgw.js";
import { type Device, startToken, startTpm } from "./devices.js";
import { Report } from "./report.js";
import { Bucket, s3Client, show } from "./show.js";

/** Runs the demo; rejects unless everything was as promised. Whatever it starts it also ends. */
async function demo(): Promise<void> {
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
    console.log(`  Each of the ${calls.length} imports was checked by its device; that is not counted here.`);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  console.log(
    `  ${((performance.now() - start) / 1000).toFixed(1)} s; everything started here has been stopped and removed.`,
  );
}

/** 128 + the signal's number, as shells give it. */
const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

for (const [signal, code] of Object.entries(signals)) {
  // the servers end with this process
  process.on(signal, () => process.exit(code));
}
demo().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
