import { InvalidArgumentError } from "commander";

/** A flag's value as a whole number; what range it has is checked where it is used. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
