import { readFileSync } from "node:fs";
import path from "node:path";
import { defaultTimeout } from "../../../lib/core/validate.js";
import { defaultMfaTimeout } from "../../../lib/credentials/mfa.js";
import { refreshTimes } from "../../../lib/credentials/refresh-ahead.js";
import { refusals } from "../../../lib/credentials/sts-refusals.js";
import * as library from "../../../lib/index.js";

const root = path.join(__dirname, "..", "..", "..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const page = read("docs/credentials.md");

/** The cells of the table that has this head. */
function table(head: string): string[][] {
  const [, after = ""] = page.split(`| ${head} |\n`);
  const rows = after.split("\n\n")[0]?.split("\n").slice(1) ?? [];
  return rows.filter(Boolean).map((row) => row.slice(2, -2).split(" | "));
}

/** The options that an interface has, without those that it extends. */
function members(file: string, name: string): string[] {
  const [, body = ""] =
    new RegExp(`export interface ${name}[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(read(file)) ?? [];
  return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, option]) => option as string);
}

test("the table of what STS says is the code's", () => {
  const rows = Object.entries(refusals).map(([reason, { code, remedy, retryable }]) => [
    ...[`\`${reason}\``, `\`${code}\``, retryable ? "yes" : "no", remedy],
  ]);
  expect(table("`reason` | `code` | retryable | remedy")).toEqual(rows);
});

test("the table of options names exactly those there are, and where", () => {
  const all = [
    ...members("lib/sigv4/sdk-identity.ts", "SdkIdentityOptions"),
    ...members("lib/credentials/sts-provider.ts", "StsProviderOptions"),
  ];
  const mfa = members("lib/credentials/mfa.ts", "MfaOptions");
  for (const file of ["assume-role", "session-token", "federation-token"]) {
    const name = `From${file.replace(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase())}Options`;
    expect(members(`lib/credentials/from-${file}.ts`, name)).toEqual(["params"]);
  }
  const told = table("option | of | is").map(([option, of]) => [option?.replaceAll("`", ""), of]);
  expect(new Map(told as [string, string][])).toEqual(
    new Map([
      ...[...all, "params"].map((option): [string, string] => [option, "all"]),
      ...mfa.map((option): [string, string] => [option, "`fromAssumeRole`, `fromSessionToken`"]),
    ]),
  );
});

test("the table of calls names those there are", () => {
  const calls = Object.keys(library).filter((name) => name.startsWith("from"));
  expect(table("call | STS action | gives").map(([call]) => call)).toEqual(
    calls.map((call) => `\`${call}\``).sort(order),
  );
});
const order = (one: string, other: string): number => page.indexOf(one) - page.indexOf(other);

test("the times are the code's", () => {
  const { longestLead, leadOfLifetime, firstPause, longestPause } = refreshTimes;
  expect(leadOfLifetime).toBe(1 / 4);
  for (const words of [
    `whole refresh (${defaultTimeout.toLocaleString("en")}):`,
    `may take (${defaultMfaTimeout.toLocaleString("en")}),`,
    `ahead.** ${longestLead / 60_000} minutes before the end (or a quarter of the lifetime`,
    `again after ${firstPause / 1_000} seconds`,
    `${longestPause / 1_000} seconds, plus`,
  ]) {
    expect(page.replaceAll("\n", " ").replaceAll(/ +/g, " ")).toContain(words);
  }
});

test("every error code and every public name that the page gives is there", () => {
  for (const [code] of page.matchAll(/ERR_\w+/g)) expect(library.errorCodes).toContain(code);
  for (const [, names = ""] of page.matchAll(/import \{([^}]+)\} from "aws-hmac"/g)) {
    for (const name of names.split(",")) expect(library).toHaveProperty(name.trim());
  }
});
