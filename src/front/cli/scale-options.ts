/** The options of `tidegauge scale`, checked: bad ones end the command in one sentence with status 2. */
import { Failure } from "./failure.ts";
import { sizeOption } from "./options.ts";

export interface ScaleOptions {
  to?: string;
  limit?: string;
  sizes?: string;
  start?: string;
  env: string[];
  stdin?: string;
  make?: string;
  from: string[];
  time: string;
  repeats: string;
  memory?: string;
  unit?: string;
  json?: boolean;
  csv?: string;
  output?: string;
  force?: boolean;
  quiet?: boolean;
  python?: string;
}

/** "1e8", "10_000", "2.5k", "1M": a size of the input, a whole number from 1. */
export function numberOf(option: string, text: string): number {
  const match = /^(\d[\d_]*(?:\.\d*)?(?:e\+?\d+)?)\s*([kMGT]?)$/i.exec(text.trim());
  const power = match ? ["", "k", "m", "g", "t"].indexOf(match[2].toLowerCase()) * 3 : 0;
  const n = match ? Math.round(Number(match[1].replaceAll("_", "")) * 10 ** power) : NaN;
  if (Number.isNaN(n))
    throw new Failure(2, `${option} ${text}: not a size of the input; write a number such as 50000, 1e8 or 2M`);
  if (n < 1) throw new Failure(2, `${option} ${text}: a size is at least 1`);
  if (n > 1e15) throw new Failure(2, `${option} ${text}: too large; the most is 1e15`);
  return n;
}

/** `--sizes 1e4,2e4,5e4`: at least `least`, ascending. */
export function sizesOf(text: string, least = 2): number[] {
  const sizes = text
    .split(",")
    .filter((word) => word.trim() !== "")
    .map((word) => numberOf("--sizes", word));
  if (sizes.length < least)
    throw new Failure(
      2,
      `--sizes ${text}: one size cannot show growth; name at least two, better eight, such as 1e4,2e4,3e4,5e4,9e4`,
    );
  const at = sizes.findIndex((n, i) => i > 0 && n <= sizes[i - 1]);
  if (at > 0)
    throw new Failure(2, `--sizes ${text}: ${sizes[at]} comes after ${sizes[at - 1]}; write them ascending, each once`);
  return sizes;
}

/** "90", "90s", "10min", "2h" in seconds. */
export function timeOf(text: string): number {
  const match = /^(\d+(?:\.\d*)?)\s*(s|m|min|h)?$/.exec(text.trim());
  const factor = { s: 1, m: 60, min: 60, h: 3600 }[match?.[2] ?? "s"] ?? 1;
  const seconds = match ? Number(match[1]) * factor : NaN;
  if (!(seconds > 0)) throw new Failure(2, `--time ${text}: not a time; write seconds, or such as 90s, 10m or 2h`);
  return seconds;
}

export function repeatsOf(text: string): number {
  if (!/^[1-9]$/.test(text.trim())) throw new Failure(2, `--repeats ${text}: write a number from 1 to 9`);
  return Number(text);
}

export function envOf(words: readonly string[]): [string, string][] {
  return words.map((word) => {
    const at = word.indexOf("=");
    if (at < 1) throw new Failure(2, `--env ${word}: write NAME=VALUE, such as --env N={n}`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

export function limitOf(text: string | undefined): number | null {
  return text === undefined ? null : sizeOption("--limit", text, 1);
}
