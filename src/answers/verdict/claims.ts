/** What a site did, in words: one sentence, the numbers behind it, what to do. Written once, for every front end. */

import { formatBytes, formatCount, formatEstimate, formatShare, plural } from "../../base/format.ts";
import { intervalOf } from "../../base/interval.ts";
import type { Recording } from "../../tide/recording.ts";
import { VERDICTS } from "../../tide/schema.ts";
import type { Table, Verdict } from "../../tide/schema.ts";
import { samplingInterval } from "../amounts.ts";
import { turnOf } from "./units.ts";
import type { TurnWords } from "./units.ts";

export interface SiteDescription {
  /** Without the verdict and the place, which stand before it. No full stop: it may be followed by more. */
  claim: string;
  /** Two to six rows with numbers. */
  evidence: string[];
  /** One line that begins with a verb; "": nothing to do. */
  advice: string;
  /** What one turn is: "call of handle from server.py:58"; "": nothing repeats. */
  unit: string;
}

/** All that the sentences are made of. */
interface Facts {
  features: Table<"siteFeatures">;
  row: number;
  verdict: Verdict;
  turn: TurnWords;
  sampled: boolean;
  live: string;
  peak: string;
  made: string;
}

/** @param row of `siteFeatures` */
export function describeSite(r: Recording, row: number): SiteDescription {
  const features = r.table("siteFeatures");
  const interval = samplingInterval(r, features.process[row]);
  const amount = (group: "live" | "peak" | "allocated"): string =>
    formatEstimate(
      intervalOf(
        {
          bytes: features[`${group}Bytes`][row]!,
          variance: features[`${group}Variance`][row]!,
          sampled: features[`${group}Sampled`][row]!,
          exactBytes: features[`${group}ExactBytes`][row]!,
        },
        interval,
      ),
    );
  const facts: Facts = {
    features,
    row,
    verdict: VERDICTS[features.verdict[row]!]!,
    turn: turnOf(r, row),
    sampled: features.allocatedSampled[row]! > 0,
    live: amount("live"),
    peak: amount("peak"),
    made: amount("allocated"),
  };
  return { claim: claimOf(facts), evidence: evidenceOf(facts), advice: adviceOf(facts), unit: facts.turn.one };
}

function claimOf(facts: Facts): string {
  const { features, row, turn, live, peak } = facts;
  const most = `at most ${peak} at a time`;
  switch (facts.verdict) {
    case "minor":
      return most;
    case "recycled":
      return `${makersOf(facts)}; ${most}, ${leftOf(facts)}`;
    case "held by recursion":
      return `${nestedCalls(features.depth[row]!)} held ${peak} at the peak; ${afterwards(facts)}`;
    case "held":
      return grew(facts) ? `${growthOf(facts)} while ${turn.frame} ran; ${whatStays(facts)}` : heldOf(facts);
    case "warm-up":
      return `grew early to ${peak}, made next to nothing in the last third of ${turn.many}, ${live} kept`;
    case "bounded cache":
      return `old blocks give way to new ones: ${most}, ${live} now, after ${turn.many}`;
    case "undecided":
      return grew(facts) ? `${growthOf(facts)}, ${inHowMany(facts)}; ${live} now` : unclearOf(facts);
    default:
      return `${live} now, ${most}`;
  }
}

/** "3 calls made 2.29 MiB". */
function makersOf({ features, row, turn, made, sampled }: Facts): string {
  const calls = features.calls[row]!;
  if (calls > 1) return `${plural(calls, "call")} made ${made}`;
  return features.units[row]! > 1 && !sampled ? `${turn.many} made ${made}` : `${made} made`;
}

function leftOf({ features, row, live }: Facts): string {
  const share = features.liveBytes[row]! / features.peakBytes[row]!;
  if (share < 0.01) return "nothing left behind";
  return Number.isNaN(features.units[row]!) ? `${live} left` : `${live} left, no more with each turn`;
}

/** From this depth on the recorder folds a recursion: deeper calls are not told apart. */
const FOLDED_DEPTH = 8;

function nestedCalls(depth: number): string {
  return depth < FOLDED_DEPTH ? plural(depth, "nested call") : `${formatCount(FOLDED_DEPTH)} or more nested calls`;
}

function afterwards({ features, row, live }: Facts): string {
  return features.liveBytes[row]! < 0.05 * features.peakBytes[row]!
    ? "all gone as they returned"
    : `${live} left after them`;
}

function heldOf({ features, row, live, peak }: Facts): string {
  const calls = features.calls[row]!;
  const made = calls > 0 ? `made in ${plural(calls, "call")}` : "made";
  return features.liveBytes[row]! >= 0.99 * features.peakBytes[row]!
    ? `${live} ${made}, alive at the end`
    : `${live} of ${peak} at the most still alive at the end`;
}

function grew({ features, row }: Facts): boolean {
  return !Number.isNaN(features.growthPerUnit[row]!);
}

/** "8.00 KiB more with each call of handle from server.py:58". */
function growthOf({ features, row, turn, sampled }: Facts): string {
  const half = (features.growthHigh[row]! - features.growthLow[row]!) / 2;
  const each = features.growthPerUnit[row]!;
  const wide = half > 0.02 * each ? ` (±${formatBytes(half)})` : "";
  if (each < 1) return `${sampled ? "~" : ""}${formatBytes(each * 1000)} more with each thousand ${turn.several}`;
  return `${sampled ? "~" : ""}${formatBytes(each)}${wide} more with each ${turn.one}`;
}

/** "in all of 200"; "in 1 in 10 of 1 500". */
function inHowMany({ features, row, sampled }: Facts): string {
  const units = features.units[row]!;
  const share = features.growingUnits[row]!;
  // Where births are missing (sampled, or only counted), so are turns: their number is an estimate.
  const isAbout = sampled || Number.isNaN(share);
  const seen = `${isAbout ? "~" : ""}${formatCount(isAbout ? Number(units.toPrecision(2)) : units)}`;
  if (Number.isNaN(share)) return `${seen} of them`;
  if (share >= 0.995) return `in all of ${seen}`;
  return `in ${formatShare(share)} of ${seen}`;
}

function whatStays({ features, row, live }: Facts): string {
  const released = features.released[row]!;
  if (released > 0.95) return "gone when it ended";
  if (released > 0.5) return `${formatShare(released)} gone when it ended`;
  return `${live} when the program ended`;
}

/** Undecided, and not for growth. */
function unclearOf({ features, row, turn, live, peak, sampled }: Facts): string {
  if (sampled && !(features.generations[row]! >= 5)) return `too few blocks were sampled to tell a trend: ${live} now`;
  const slower = features.late[row]! <= 0.25 * features.early[row]!;
  return `grew to ${peak} over ${turn.many}, ${slower ? "ever more slowly" : "unevenly"}; whether it has a bound is not known`;
}

const has = (value: number): boolean => !Number.isNaN(value);

function evidenceOf(facts: Facts): string[] {
  const { features, row, turn, sampled } = facts;
  const rows: string[] = [`${facts.made} made in all, ${facts.peak} at the most, ${facts.live} at the end`];
  if (features.depth[row]! >= 3 && features.heldByCalls[row]! >= 0.6) {
    rows.push(
      `${formatShare(features.heldByCalls[row]!)} of it at the peak belonged to calls that had not returned, ${nestedCalls(features.depth[row]!)} of one function`,
    );
  }
  if (has(features.units[row]!))
    rows.push(
      `The turn: 1 ${turn.one}, ${sampled || !has(features.growingUnits[row]!) ? "about " : ""}${formatCount(features.units[row]!)} times`,
    );
  if (grew(facts)) {
    rows.push(
      `Growth a turn: ${formatBytes(features.growthPerUnit[row]!)}, 90 % interval ${formatBytes(features.growthLow[row]!)} to ${formatBytes(features.growthHigh[row]!)}`,
    );
  }
  if (has(features.up[row]!) && features.growth[row]! !== 0) rows.push(envelopeOf(facts));
  if (has(features.growingUnits[row]!) && features.growingUnits[row]! > 0) {
    rows.push(`${formatShare(features.growingUnits[row]!)} of the turns left something behind`);
  }
  if (has(features.replaced[row]!) && features.replaced[row]! >= 0.01) {
    rows.push(
      `Of what the last third of the turns made, as much as ${formatShare(Math.min(1, features.replaced[row]!))} took the place of older blocks`,
    );
  }
  if (sampled)
    rows.push(
      `Estimated from ${plural(features.allocatedSampled[row]!, "sampled block")}, ${formatCount(features.liveSampled[row]!)} of them alive at the end`,
    );
  return rows.slice(0, 6);
}

/** "The least of each tenth of the run rose in 7 of 7 steps: 157 KiB a tenth in the last third, 156 KiB before". */
function envelopeOf({ features, row }: Facts): string {
  const { up, late, early } = features;
  return `The least of each tenth of the turns rose in ${formatShare(up[row]!)} of the steps: ${formatBytes(late[row]!)} a tenth in the last third, ${formatBytes(early[row]!)} before`;
}

function adviceOf(facts: Facts): string {
  const { features, row, verdict, sampled, turn } = facts;
  if (verdict !== "undecided") return "";
  if (grew(facts))
    return `Find what still refers to it after its ${turn.noun}; what holds it is not read yet, so this may be meant`;
  if (sampled && !(features.generations[row]! >= 5)) return "Run it with --exact, or for longer";
  return "Run it for longer: a bound shows when it is reached";
}
