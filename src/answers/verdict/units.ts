/** What one turn is, in words. */

import { NONE } from "../../base/brand.ts";
import { formatCount } from "../../base/format.ts";
import type { Recording } from "../../tide/recording.ts";
import { UNITS } from "../../tide/schema.ts";
import { placeOfFrame, shownFunction, shownPlace } from "../sites.ts";

export interface TurnWords {
  /** "call of handle from server.py:58"; "": nothing repeats. */
  one: string;
  /** "30 120 calls of handle". */
  many: string;
  /** "calls of handle from server.py:58". */
  several: string;
  /** "call". */
  noun: string;
  /** Whose turns they are: "main"; "the program". */
  frame: string;
}

/** @param row of `siteFeatures` */
export function turnOf(r: Recording, row: number): TurnWords {
  const features = r.table("siteFeatures");
  const unit = UNITS[features.unit[row]!]!;
  const count = features.units[row]!;
  const stack = features.driverStack[row]!;
  const times = (noun: string, nouns = `${noun}s`): string => `${formatCount(count)} ${count === 1 ? noun : nouns}`;
  if (unit === "none") return { one: "", many: "the run", several: "", noun: "call", frame: "the program" };
  if (unit === "mark")
    return { one: "mark", many: times("mark"), several: "marks", noun: "mark", frame: "the program" };
  if (unit === "slice")
    return {
      one: "slice of the run",
      many: times("slice"),
      several: "slices of the run",
      noun: "slice",
      frame: "the program",
    };
  if (stack === NONE)
    return { one: "thread", many: times("thread"), several: "threads", noun: "thread", frame: "the program" };
  const place = placeOfFrame(r, r.table("stacks").frame[stack]!);
  const at = shownPlace(place, r.facts.text("cwd"));
  const frame = shownFunction(place) || "the module";
  if (unit === "turn")
    return {
      one: `turn of the loop at ${at}`,
      many: times("turn"),
      several: `turns of the loop at ${at}`,
      noun: "turn",
      frame,
    };
  const callee = calleeOf(r, features.site[row]!, stack);
  if (callee === "")
    return { one: `call from ${at}`, many: times("call"), several: `calls from ${at}`, noun: "call", frame };
  return {
    one: `call of ${callee} from ${at}`,
    many: times(`call of ${callee}`, `calls of ${callee}`),
    several: `calls of ${callee} from ${at}`,
    noun: "call",
    frame,
  };
}

/** The function that the driver calls on the way to the site: read from any of the site's stacks. */
function calleeOf(r: Recording, site: number, driver: number): string {
  const stacks = r.table("stacks");
  const below = (stack: number): number => {
    let inner = NONE;
    for (let at = stack; at !== NONE && at >= driver; at = stacks.parent[at]!) {
      if (at === driver) return inner;
      inner = at;
    }
    return NONE;
  };
  let called = below(r.table("sites").heaviestStack[site]!);
  for (let stack = 0; called === NONE && stack < stacks.length; stack++) {
    if (stacks.site[stack] === site) called = below(stack);
  }
  if (called === NONE) return "";
  return shownFunction(placeOfFrame(r, stacks.frame[called]!)) || "a module";
}
