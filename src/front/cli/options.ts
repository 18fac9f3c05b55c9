/** Values of options, checked: bad ones end the command in one sentence with status 2. */
import { parseBytes } from "../../base/format.ts";
import { Failure } from "./failure.ts";

/** A size in bytes for `option`, within its bounds. */
export function sizeOption(option: string, text: string, least = 0): number {
  const bytes = parseBytes(text);
  if (bytes === undefined)
    throw new Failure(2, `${option} ${text}: not a size; write bytes or a binary unit, such as 65536, 64K or 1.5M`);
  if (bytes < least) throw new Failure(2, `${option} ${text}: too small; the least is ${least} bytes`);
  if (bytes > Number.MAX_SAFE_INTEGER) throw new Failure(2, `${option} ${text}: too large`);
  return Math.round(bytes);
}

/** A share in percent, above 0 and up to 100; a percent sign may follow. */
export function percentOption(option: string, text: string): number {
  const match = /^(\d+(?:\.\d*)?|\.\d+)\s*%?$/.exec(text.trim());
  const percent = match ? Number(match[1]) : NaN;
  if (!(percent > 0 && percent <= 100))
    throw new Failure(2, `${option} ${text}: not a share; write percent above 0 and up to 100, such as 3`);
  return percent;
}
