#!/usr/bin/env node
import path from "node:path";
import process from "node:process";
import { run } from "./run.js";

/** Profiles that name a peer's program need not be changed where a link of that name leads here. */
const peers = ["aws-tpm-process-credential", "aws-pkcs-process-credential"];
const [, program = "", ...args] = process.argv;

void run(peers.includes(path.basename(program)) ? ["credential-process", ...args] : args).then((code) => {
  process.exitCode = code;
});
