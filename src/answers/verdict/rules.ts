/** From what a site did to its verdict: docs/verdicts.md, "The rules", in the same order. Who holds the memory is not known here. */

import type { Confidence, Verdict } from "../../tide/schema.ts";

/** Below this at its peak a site is `minor`. */
export const FLOOR = 16 * 1024;
/** Blocks recorded and alive behind a trend, in a sampled recording: fewer are no trend, and fewer than that no more than medium confidence. */
export const FEWEST_SAMPLED = 20;
const MANY_SAMPLED = 100;
const MANY_TURNS = 30;
/** That a site made no more blocks is no news unless so many samples were to be expected. */
const FEWEST_LATE = 5;

/** All of a site's features; bytes and shares. NaN: not known. */
export interface Features {
  peak: number;
  /** At the end of the program. */
  live: number;
  /** Of that, what was left when its last frames had ended, where that is known. */
  left: number;
  made: number;
  heldByCalls: number;
  depth: number;
  calls: number;
  driver: DriverFeatures | undefined;
  /** Too few of its blocks were recorded for any trend. */
  thin: boolean;
  /** All of its blocks were made before the program began, or within a small part of its time. */
  isBrief: boolean;
}

export interface DriverFeatures {
  turns: number;
  /** Live bytes between turns: the last of the envelope, the one before and the one before that; and the most. */
  level: number;
  before: readonly number[];
  most: number;
  up: number;
  early: number;
  late: number;
  growth: number;
  low: number;
  generations: number;
  generationsMax: number;
  allocLate: number;
  replaced: number;
  /** Too few turns to tell growth from a level that is still being reached. */
  filling: boolean;
  /** Share of the program's time at which the driver ended. */
  end: number;
  /** Share of the level that went when the driver ended. */
  released: number;
  /** Recorded blocks that outlived the driver; whether most of their bytes stand for blocks that were not recorded. */
  survivors: number;
  sampledSurvivors: boolean;
  /** Samples that the last third of the turns would have if the site had gone on as before. */
  lateSamples: number;
}

export interface Judgement {
  verdict: Verdict;
  confidence: Confidence;
  /** The site grew with the turns: only then is there a figure a turn to show. */
  growing: boolean;
}

export function judge(features: Features): Judgement {
  const { peak, live, left, made, heldByCalls, depth, calls, driver } = features;
  if (peak < FLOOR) return settled("minor", "high");
  if (heldByCalls >= 0.6 && depth >= 3)
    return settled("held by recursion", heldByCalls >= 0.8 && depth >= 4 ? "high" : "medium");
  if (features.thin) return settled(live < 0.2 * peak ? "recycled" : features.isBrief ? "held" : "undecided", "low");
  if (!driver) {
    const isLast = made >= 2 * peak && left < 0.1 * peak; // of several rounds, and it goes when its frame ends
    if (live > 0.5 * peak && !isLast) return settled("held", live > 0.9 * peak ? "high" : "medium");
    return settled("recycled", live < 0.05 * peak && calls >= 2 ? "high" : "medium");
  }
  const judgement = judgeTrend(driver, peak);
  const fewer = driver.sampledSurvivors && driver.survivors < MANY_SAMPLED && driver.level >= FLOOR / 2;
  return fewer && judgement.confidence === "high" ? { ...judgement, confidence: "medium" } : judgement;
}

function judgeTrend(driver: DriverFeatures, peak: number): Judgement {
  const { turns, level, most, generationsMax, allocLate, replaced, growth, late, lateSamples } = driver;
  const often: Confidence = turns >= MANY_TURNS ? "high" : "medium";
  if (isGrowing(driver)) return driver.filling ? settled("undecided", "low") : judgeGrowing(driver);
  const keeps = level >= FLOOR / 2 || (generationsMax >= 8 && most >= FLOOR / 2);
  if (keeps && allocLate < 0.05)
    return lateSamples < FEWEST_LATE ? settled("undecided", "low") : settled("warm-up", often);
  if (keeps && generationsMax >= 5) {
    if (level < 0.5 * peak) return settled("recycled", often); // a sawtooth
    if (replaced >= 0.3) return settled("bounded cache", "medium");
    return growth >= FLOOR / 2 && late > 0 ? settled("undecided", "low") : settled("recycled", often);
  }
  if (allocLate < 0.02 && level >= FLOOR / 2) return settled("warm-up", often);
  return settled("recycled", often);
}

function isGrowing({ growth, up, early, late, generations, level, before }: DriverFeatures): boolean {
  if (growth < FLOOR / 2 || up < 0.7 || late <= 0.25 * Math.max(early, 0)) return false;
  return generations < 2 || before.some((earlier) => level > earlier);
}

/** Growth on purpose ends with what drives it; whether what goes on growing is kept on purpose, its holder would say. */
function judgeGrowing(driver: DriverFeatures): Judgement {
  const { end, released, survivors, sampledSurvivors, low, growth, turns, up } = driver;
  if (released > 0.5) return { verdict: "held", confidence: "medium", growing: true };
  if (sampledSurvivors && survivors < FEWEST_SAMPLED) return settled("undecided", "low");
  if (end < 0.8) return { verdict: "held", confidence: "low", growing: true };
  const clear = low > 0 && turns >= MANY_TURNS && growth >= FLOOR && up >= 0.85;
  return { verdict: "undecided", confidence: clear ? "medium" : "low", growing: low > 0 };
}

function settled(verdict: Verdict, confidence: Confidence): Judgement {
  return { verdict, confidence, growing: false };
}
