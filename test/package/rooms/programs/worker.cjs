// The same in a worker thread, and in a second one that runs beside it.
const path = require("node:path");
const { Worker } = require("node:worker_threads");

for (let count = 0; count < 2; count++) new Worker(path.join(__dirname, "sign.cjs"));
