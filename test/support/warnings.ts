import { realProcess } from "./process.js";

/** The warnings that Node gives while `work` is done: of listeners that leak, say. */
export async function warningsDuring(work: () => unknown): Promise<Error[]> {
  const warnings: Error[] = [];
  const keep = (warning: Error): void => void warnings.push(warning);
  realProcess.on("warning", keep);
  try {
    await work();
    await new Promise((next) => setImmediate(next));
    return warnings;
  } finally {
    realProcess.off("warning", keep);
  }
}
