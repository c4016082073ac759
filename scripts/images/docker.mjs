#!/usr/bin/env node
// Stands in for `docker` where there is no engine, for what docs/docker.md does: build, run and stop, with the options below and
// no others. An image is a root folder; a container is a process in it, with mounts, processes and a user of its own, and no
// network unless it gets this machine's. As root on Debian.
import { spawn } from "node:child_process";
import { openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { exitCode, program, Stop } from "../run.mjs";
import { buildImage, imageFolder } from "./build.mjs";
import { inside } from "./inside.mjs";
import { rooms } from "./roots.mjs";

const one = { type: "string" };
const many = { type: "string", multiple: true, default: [] };
const yes = { type: "boolean", default: false };

async function build(args) {
  const options = { tag: one, file: one };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [context] = positionals;
  await buildImage(values.tag, values.file, path.resolve(context));
}

const runOptions = {
  ...{ rm: yes, detach: yes, interactive: yes, "read-only": yes, name: one, user: one, network: one },
  ...{ env: many, volume: many, tmpfs: many, "group-add": many, "cap-drop": many, "security-opt": many },
};

/** The options, up to the image's name, and what comes after it. */
function split(args) {
  const { tokens } = parseArgs({
    args,
    options: runOptions,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const { index } = tokens.find(({ kind }) => kind === "positional");
  return { options: args.slice(0, index), image: args[index], command: args.slice(index + 1) };
}

function numeric(user, root) {
  if (/^\d/.test(user)) return user;
  const line = readFileSync(path.join(root, "etc/passwd"), "utf8").match(
    new RegExp(`^${user}:x:(\\d+:\\d+):`, "m"),
  );
  if (!line) throw new Stop(`the image has no user ${user}`);
  return line[1];
}

const pidFile = (name) => path.join(rooms, `container-${name}.pid`);

async function start(args) {
  const { options, image, command } = split(args);
  const { values } = parseArgs({ args: options, options: runOptions });
  // A root is shared by all containers of its image, and an engine would not keep what they write.
  if (!values["read-only"]) throw new Stop("only --read-only is done here");
  if (values.network !== undefined && values.network !== "host")
    throw new Stop("of networks only host is done here");
  const { root, env, entrypoint, cmd, user } = JSON.parse(
    readFileSync(path.join(imageFolder(image), "config.json"), "utf8"),
  );
  const given = values.env.map((text) => {
    const [name, ...value] = text.split("=");
    return [name, value.length > 0 ? value.join("=") : process.env[name]];
  });
  const volumes = values.volume.map((text) => {
    const [from, to, mode = "rw"] = text.split(":");
    return { from, to, mode };
  });
  const container = inside(root, [...entrypoint, ...(command.length > 0 ? command : cmd)], {
    env: { ...env, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) },
    mounts: [...volumes, ...values.tmpfs.map((to) => ({ from: "tmpfs", to, mode: "rw" }))],
    user: numeric(values.user ?? user, root),
    groups: values["group-add"],
    readOnly: true,
    isolated: values.network === undefined,
  });
  const stdin = values.interactive ? "inherit" : "ignore";
  if (!values.detach) {
    process.exitCode = await exitCode("unshare", container.args, {
      env: container.env,
      stdio: [stdin, "inherit", "inherit"],
    });
    return;
  }
  const log = openSync(`${pidFile(values.name)}.log`, "w");
  const child = spawn("unshare", container.args, {
    env: container.env,
    detached: true,
    stdio: ["ignore", log, log],
  });
  writeFileSync(pidFile(values.name), String(child.pid));
  child.unref();
}

function stop([name]) {
  // unshare heeds no other signal; with it ends all that it started.
  process.kill(Number(readFileSync(pidFile(name), "utf8")), "SIGKILL");
  rmSync(pidFile(name));
}

await program(import.meta.url, async ([command, ...args]) => {
  const commands = { build, run: start, stop };
  if (!Object.hasOwn(commands, command ?? "")) throw new Stop(`docker ${command} is not done here`);
  await commands[command](args);
});
