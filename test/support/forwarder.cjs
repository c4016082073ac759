// A thread that forwards TCP connections to a TPM. It has an event loop of its own: tests that wait for tpm2-tools
// without turning theirs need the TPM at the other end to hear that we have closed our connection.
const { appendFileSync } = require("node:fs");
const { connect, createServer } = require("node:net");
const { parentPort, workerData } = require("node:worker_threads");

const { port, target, record, counts } = workerData;
const connections = new Int32Array(counts);
const sockets = new Set();
let stalled = false;
let stallAfter; // the command code whose response is held

function stall() {
  stalled = true;
  for (const socket of sockets) socket.pause();
}

function pipe(from, to, see) {
  sockets.add(from);
  if (stalled) from.pause();
  from.on("data", (bytes) => {
    appendFileSync(record, bytes);
    to.write(bytes);
    see(bytes);
  });
  from.on("error", () => to.destroy());
  from.on("close", () => {
    sockets.delete(from);
    to.destroy();
  });
}

function forwardTo(channel) {
  return createServer((near) => {
    Atomics.add(connections, channel, 1);
    const far = connect(target + channel, "127.0.0.1");
    for (const socket of [near, far]) socket.setNoDelay(true);
    pipe(near, far, (command) => {
      if (channel !== 0 || stallAfter === undefined || command.readUInt32BE(6) !== stallAfter) return;
      stallAfter = undefined;
      stall();
    });
    pipe(far, near, () => undefined);
  });
}

const servers = [0, 1].map(forwardTo);
let listening = 0;
servers.forEach((server, channel) => {
  server.listen(port + channel, "127.0.0.1", () => {
    if (++listening === servers.length) parentPort.postMessage("done");
  });
});

parentPort.on("message", (order) => {
  if (order.stall) stall();
  if (order.stallAfter !== undefined) stallAfter = order.stallAfter;
  if (order.resume) {
    stalled = false;
    for (const socket of sockets) socket.resume();
  }
  parentPort.postMessage("done");
});
