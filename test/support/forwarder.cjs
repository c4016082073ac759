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
let intrusion; // a command of somebody else's that gets in before those with a code, so many times

function stall() {
  stalled = true;
  for (const socket of sockets) socket.pause();
}

/** Has the TPM run somebody else's command, whose response nobody gets, and then this one. */
function intrude(far, command) {
  const { bytes } = intrusion;
  if (--intrusion.times === 0) intrusion = undefined;
  const [deliver] = far.listeners("data");
  far.off("data", deliver);
  far.once("data", () => {
    far.on("data", deliver);
    far.write(command);
  });
  far.write(bytes);
}

function pipe(from, to, see, pass = (bytes) => to.write(bytes)) {
  sockets.add(from);
  if (stalled) from.pause();
  from.on("data", (bytes) => {
    appendFileSync(record, bytes);
    pass(bytes);
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
    const isCommand = (bytes, code) => channel === 0 && code !== undefined && bytes.readUInt32BE(6) === code;
    pipe(
      near,
      far,
      (command) => {
        if (!isCommand(command, stallAfter)) return;
        stallAfter = undefined;
        stall();
      },
      (command) => (isCommand(command, intrusion?.before) ? intrude(far, command) : far.write(command)),
    );
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
  if (order.intrusion) intrusion = order.intrusion;
  if (order.resume) {
    stalled = false;
    for (const socket of sockets) socket.resume();
  }
  parentPort.postMessage("done");
});
