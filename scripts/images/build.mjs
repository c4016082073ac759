// Does what a Dockerfile says, in root folders: FROM, ENV, WORKDIR, COPY, RUN, USER, ENTRYPOINT and CMD, as examples/docker use them.
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DockerfileParser } from "dockerfile-ast";
import { debianRoot } from "../rooms.mjs";
import { run, Stop, say } from "../run.mjs";
import { baseRoot, rooms } from "./roots.mjs";

/** Where an image is kept: `root`, and `config.json` beside it. */
export function imageFolder(tag) {
  return path.join(rooms, `image-${tag.replaceAll(/[/:]/g, "-")}`);
}

function copy({ root, workdir }, instruction, { context, stages }) {
  const [flag] = instruction.getFlags();
  if (flag && flag.getName() !== "from") throw new Stop(`COPY --${flag.getName()} is not done here`);
  const from = flag ? stages.get(flag.getValue())?.root : context;
  if (!from) throw new Stop(`COPY --from=${flag.getValue()}: no such stage`);
  const words = instruction.getArguments().map((word) => word.getValue());
  const target = words.pop();
  const place = path.join(root, path.posix.resolve(workdir, target));
  for (const word of words) {
    const source = path.join(from, word);
    const isInto = target.endsWith("/") && !statSync(source).isDirectory();
    const file = isInto ? path.join(place, path.basename(source)) : place;
    mkdirSync(path.dirname(file), { recursive: true });
    cpSync(source, file, { recursive: true, verbatimSymlinks: true });
  }
}

async function runs({ root, workdir, env }, text) {
  const settings = Object.entries(env).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  await run(debianRoot, ["enter", root, "--in", workdir, ...settings, "--", "/bin/sh", "-euc", text], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

async function follow(stage, instruction, where) {
  const text = instruction.getRawArgumentsContent() ?? "";
  const keyword = instruction.getKeyword();
  say(`${keyword} ${text}`);
  if (keyword === "RUN") await runs(stage, text.replaceAll(/\\\n/g, ""));
  else if (keyword === "COPY") copy(stage, instruction, where);
  else if (keyword === "WORKDIR") {
    stage.workdir = path.posix.resolve(stage.workdir, text);
    mkdirSync(path.join(stage.root, stage.workdir), { recursive: true });
  } else if (keyword === "ENV") {
    for (const property of instruction.getProperties()) stage.env[property.getName()] = property.getValue();
  } else if (keyword === "USER") stage.user = text;
  else if (keyword === "ENTRYPOINT") stage.entrypoint = JSON.parse(text);
  else if (keyword === "CMD") stage.cmd = JSON.parse(text);
  else throw new Stop(`${keyword} is not done here`);
}

/** Makes the image `tag` of a Dockerfile and its context, a folder. */
export async function buildImage(tag, file, context) {
  const folder = imageFolder(tag);
  rmSync(folder, { recursive: true, force: true });
  const stages = new Map();
  let stage;
  for (const instruction of DockerfileParser.parse(readFileSync(file, "utf8")).getInstructions()) {
    if (instruction.getKeyword() === "FROM") {
      const image = instruction.getImage();
      const root = path.join(folder, `stage-${stages.size}`);
      mkdirSync(root, { recursive: true });
      say(`FROM ${image}`);
      await run("cp", ["-a", `${stages.get(image)?.root ?? (await baseRoot(image))}/.`, root]);
      stage = { env: {}, workdir: "/", entrypoint: [], cmd: [], user: "0", ...stages.get(image), root };
      stages.set(instruction.getBuildStage() ?? String(stages.size), stage);
    } else await follow(stage, instruction, { context, stages });
  }
  for (const { root } of stages.values()) if (root !== stage.root) rmSync(root, { recursive: true });
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(stage));
}
