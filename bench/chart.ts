// Draws the tables of the benchmark: npm run bench -- sign | npx tsx bench/chart.ts > docs/performance.svg
import { text } from "node:stream/consumers";

interface Bar {
  name: string;
  rate: number;
  ratio: number;
}

interface Table {
  title: string;
  bars: Bar[];
}

const width = 760;
const nameWidth = 250;
const rowHeight = 26;
const titleHeight = 40;

/** The tables that were printed: a title, a line of columns that begins with `per second`, and a line each. */
function tablesIn(output: string): Table[] {
  const tables: Table[] = [];
  const lines = output.split("\n");
  lines.forEach((line, index) => {
    if (/^\s+per second\s+ratio\b/.test(line)) tables.push({ title: lines[index - 1] ?? "", bars: [] });
    const [, name, rate, ratio] = /^ {2}(\S.*?) {2,}([\d,.]+) +([\d.]+)(?: |$)/.exec(line) ?? [];
    if (name === undefined || rate === undefined) return;
    tables.at(-1)?.bars.push({ name, rate: Number(rate.replaceAll(",", "")), ratio: Number(ratio) });
  });
  return tables.filter(({ bars }) => bars.length > 0);
}

const asXml = (words: string): string => words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function draw(tables: Table[]): string {
  const widest = Math.max(...tables.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)));
  const parts: string[] = [];
  let y = 0;
  for (const { title, bars } of tables) {
    parts.push(`<text x="0" y="${y + 26}" class="title">${asXml(title)}: times the first</text>`);
    y += titleHeight;
    for (const { name, rate, ratio } of bars) {
      const length = Math.max(1, (ratio / widest) * (width - nameWidth - 170));
      const label = `${ratio}  (${rate.toLocaleString("en")} a second)`;
      parts.push(
        `<text x="${nameWidth - 8}" y="${y + 17}" text-anchor="end">${asXml(name)}</text>`,
        `<rect x="${nameWidth}" y="${y + 4}" width="${length.toFixed(1)}" height="${rowHeight - 8}" class="${name.startsWith("aws-hmac") ? "ours" : "peer"}"/>`,
        `<text x="${(nameWidth + length + 8).toFixed(1)}" y="${y + 17}">${label}</text>`,
      );
      y += rowHeight;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 10}" font-family="sans-serif" font-size="13" fill="#57606a">
<title>Rates of presigned URLs and signed requests, as ratios to smithy</title>
<style>.title { font-size: 15px; font-weight: bold } .ours { fill: #1a7f37 } .peer { fill: #8c959f }</style>
${parts.join("\n")}
</svg>
`;
}

async function main(): Promise<void> {
  const tables = tablesIn(await text(process.stdin));
  if (tables.length === 0)
    throw new Error("no table of the benchmark on stdin: npm run bench -- sign | npx tsx bench/chart.ts");
  process.stdout.write(draw(tables));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
