/**
 * How numbers and places become text: one rule for the terminal, the page and the sentences of the answers.
 * Sizes are binary with three significant digits; what was not measured (NaN) prints as "unknown", never as 0.
 */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Thin space between groups of three digits: reads well, one column wide in a terminal. */
const THIN = "\u2009";

const UNKNOWN = "unknown";

/** Three significant digits of a number below 1,000 that is not negative; whole bytes need no decimals. */
function threeDigits(value: number): string {
  if (value === 0) return "0";
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  if (value >= 0.9995) return value.toFixed(2);
  return value.toFixed(3);
}

/** The unit in which a size has one to three digits before the point ("0.977 KiB" for 1,000 bytes). */
function unitOf(bytes: number): number {
  let unit = 0;
  let value = Math.abs(bytes);
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit;
}

/** "781 KiB", "10.1 MiB", "112 B", "16.5 B" (means are seldom whole), "-2.00 MiB"; NaN is "unknown". */
export function formatBytes(bytes: number): string {
  if (Number.isNaN(bytes)) return UNKNOWN;
  return `${inUnit(bytes, unitOf(bytes))} ${UNITS[unitOf(bytes)]}`;
}

function inUnit(bytes: number, unit: number): string {
  const value = Math.abs(bytes) / 1024 ** unit;
  const sign = bytes < 0 ? "-" : "";
  if (value >= 999.5) return sign + formatCount(value);
  if (unit === 0 && Number.isInteger(value)) return sign + value.toFixed(0);
  return sign + threeDigits(value);
}

/**
 * Reads a size: "64K", "64 KiB", "1.5m", "4096", "2 GiB". Units are binary, with or without "iB" or "B".
 * Returns undefined for anything else (negative and empty included).
 */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([kmgtp])(?:i?b)?|b)?\s*$/i.exec(text);
  if (!match) return undefined;
  const power = match[2] === undefined ? 0 : "kmgtp".indexOf(match[2].toLowerCase()) + 1;
  return Number(match[1]) * 1024 ** power;
}

/** Sizes that belong together, the unit once when they share it: "9.30 → 10.1 MiB", "512 KiB → 1.20 GiB". */
export function formatLevels(levels: readonly number[], between = " → "): string {
  const units = new Set(levels.map(unitOf));
  if (units.size !== 1 || levels.some(Number.isNaN)) return levels.map(formatBytes).join(between);
  const [unit] = units;
  return `${levels.map((bytes) => inUnit(bytes, unit)).join(between)} ${UNITS[unit]}`;
}

/** An estimate with what is known about it: low = high = bytes when exact. Sizes in bytes. */
export interface Interval {
  readonly bytes: number;
  readonly low: number;
  readonly high: number;
}

/** "781 KiB" when exact, "~482 MiB" when sampled, "< 1.50 MiB" when nothing was sampled. */
export function formatEstimate({ bytes, low, high }: Interval): string {
  if (low === high || Number.isNaN(bytes)) return formatBytes(bytes);
  if (bytes === 0) return `< ${formatBytes(high)}`;
  return `~${formatBytes(bytes)}`;
}

/** formatEstimate with its interval in the same unit: "~482 MiB (471 to 493)"; "~0 B" cannot happen, see there. */
export function formatInterval(estimate: Interval): string {
  const { bytes, low, high } = estimate;
  if (low === high || Number.isNaN(bytes) || bytes === 0) return formatEstimate(estimate);
  const unit = unitOf(bytes);
  return `~${formatBytes(bytes)} (${inUnit(low, unit)} to ${inUnit(high, unit)})`;
}

/** Seconds: "4.2 ms", "0.06 s", "41.7 s", "4 min 10 s", "2 h 5 min", "3 d 4 h". */
export function formatSeconds(seconds: number): string {
  if (Number.isNaN(seconds)) return UNKNOWN;
  if (seconds < 0) return `-${formatSeconds(-seconds)}`;
  if (seconds < 0.00995) return `${threeDigits(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return twoUnits(whole, 60, "min", "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return twoUnits(minutes, 60, "h", "min");
  return twoUnits(Math.round(seconds / 3600), 24, "d", "h");
}

function twoUnits(value: number, base: number, large: string, small: string): string {
  const rest = value % base;
  return rest === 0 ? `${Math.floor(value / base)} ${large}` : `${Math.floor(value / base)} ${large} ${rest} ${small}`;
}

/** A whole number with thin spaces: "30 120". */
export function formatCount(count: number): string {
  if (Number.isNaN(count)) return UNKNOWN;
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** An estimated number of things: "~30 100", three significant digits; exact ones as formatCount. */
export function formatEstimatedCount(count: number, exact: boolean): string {
  if (exact || Number.isNaN(count)) return formatCount(count);
  return `~${formatCount(Number(count.toPrecision(3)))}`;
}

/** A share of 1: "30 %", "0.4 %", "100 %" only when it is. */
export function formatShare(share: number): string {
  if (Number.isNaN(share)) return UNKNOWN;
  const percent = share * 100;
  if (percent >= 10) return `${percent >= 99.5 && percent < 100 ? 99 : percent.toFixed(0)} %`;
  return percent === 0 ? "0 %" : `${percent.toFixed(1)} %`;
}

/** "1 call", "2 048 calls": the plural of `noun` is `nouns` unless given. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : nouns}`;
}

/** Cuts the middle of a text to at most `width` characters: "a long t…he end". */
export function shortenMiddle(text: string, width: number, ellipsis = "…"): string {
  if (text.length <= width) return text;
  const room = width - ellipsis.length;
  if (room <= 0) return ellipsis.slice(0, Math.max(0, width));
  const head = Math.floor(room / 2);
  return text.slice(0, head) + ellipsis + text.slice(text.length - (room - head));
}

/** Cuts the end of a text: "x = [0] * 100 …". */
export function shortenEnd(text: string, width: number, ellipsis = "…"): string {
  if (text.length <= width) return text;
  return text.slice(0, Math.max(0, width - ellipsis.length)).trimEnd() + ellipsis.slice(0, Math.max(0, width));
}

/**
 * Shortens a path, with or without ":LINE", to `width` characters: first whole folders from the middle
 * ("src/…/deep/module.py:31"), then the file's name. The line number is never cut, even if the result is wider than asked.
 */
export function shortenPath(path: string, width: number, ellipsis = "…"): string {
  if (path.length <= width) return path;
  const line = /:\d+$/.exec(path)?.[0] ?? "";
  const parts = path.slice(0, path.length - line.length).split("/");
  const root = parts[0] === "" ? 2 : 1; // "/opt" counts as one folder
  const head = parts.slice(0, root).join("/");
  const tails = parts.map((_, from) => `${ellipsis}/${parts.slice(from).join("/")}${line}`);
  const candidates = [...tails.slice(root + 1).map((tail) => `${head}/${tail}`), ...tails.slice(root)];
  const fitting = candidates.find((candidate) => candidate.length <= width);
  if (fitting !== undefined) return fitting;
  const name = parts[parts.length - 1] ?? "";
  return shortenMiddle(name, Math.max(ellipsis.length + 2, width - line.length), ellipsis) + line;
}

/** `path` relative to `folder` when it lies inside it, else as it is. Both absolute; a relative path stays. */
export function relativePath(path: string, folder: string): string {
  const prefix = folder.endsWith("/") ? folder : `${folder}/`;
  return folder !== "" && path.startsWith(prefix) && path.length > prefix.length ? path.slice(prefix.length) : path;
}
