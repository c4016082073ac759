// Links in the README and the guides lead to files that are there, and to headings that are in them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const root = path.join(__dirname, "..", "..");
const guides = readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md"));
const others = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md", "examples/README.md"];
const pages = [...others, ...guides.map((name) => `docs/${name}`)];

const textOf = (page: string): string =>
  readFileSync(path.join(root, page), "utf8").replaceAll(/```[\s\S]*?```/g, "");

/** The anchors that GitHub gives a page's headings. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-"),
  );
}

test.each(pages)("%s", (page) => {
  const links = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  for (const link of links.filter((one) => !/^[a-z]+:/.test(one))) {
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? page : path.join(path.dirname(page), file);
    expect([link, existsSync(path.join(root, target))]).toEqual([link, true]);
    if (anchor !== undefined)
      expect([link, anchorsOf(target)]).toEqual([link, expect.arrayContaining([anchor])]);
  }
});
