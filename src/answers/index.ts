/**
 * The one door to the answers: each is a pure function from an opened recording to a plain value that JSON can hold.
 * Field names are those of docs/json.md. A recording whose bytes are damaged makes any of them throw a TideError.
 */
export { explain } from "./explain.ts";
export type { ExplainAnswer, Finding } from "./explain.ts";
export { leaks } from "./leaks.ts";
export type { CurvePoint, Growth, Holder, LeaksAnswer, SiteReport } from "./leaks.ts";
export { lines } from "./lines.ts";
export type { FileReport, LineReport, LinesAnswer, LinesOptions } from "./lines.ts";
export { processes } from "./processes.ts";
export type { ProcessReport, ProcessesAnswer } from "./processes.ts";
export { timeline } from "./timeline.ts";
export type { LivePoint, Mark, ProcessTimeline, RssCurve, TimelineAnswer, TimelinePoint } from "./timeline.ts";
export type { About, ProgramFacts, RecordingFacts } from "./about.ts";
export type { Amount } from "./amounts.ts";
export type { Peak, PeakSite } from "./peak.ts";
export { shownFunction, shownPath, shownPlace } from "./sites.ts";
export type { Place, Site } from "./sites.ts";
export { openRecording } from "../tide/recording.ts";
export type { Recording } from "../tide/recording.ts";
export { TideError } from "../tide/container.ts";
export type { ByteSource } from "../tide/container.ts";
export type { Confidence, Verdict } from "../tide/schema.ts";
export { heapAnswer } from "./heap.ts";
export type { AboutHeap, HeapAnswer, Portion, TypeReport } from "./heap.ts";
export type { HolderReport } from "./holders.ts";
export type { ArrayReport } from "./arrays.ts";
export type { AuditReport } from "./audit.ts";
export type { Inspection } from "./inspect.ts";
export { objectAnswer, rowOf, typeAnswer, withoutAnswer } from "./object.ts";
export type { Neighbour, ObjectAnswer, TypeAnswer, WithoutAnswer } from "./object.ts";
export { heapDiff } from "./heapdiff.ts";
export type { HeapDiffAnswer, HolderChange, TypeChange } from "./heapdiff.ts";
export { hasHeap } from "../tide/snapshot.ts";
export { snapshotFile, snapshotOf } from "../views/objects/snapshot.ts";
export type { LedgerNode, Snapshot } from "../views/objects/snapshot.ts";
export { scaleAnswer } from "./forecast.ts";
export type { Fits, ScaleAnswer, ScaleInput } from "./forecast.ts";
export { fit } from "./scaling/fit.ts";
export type { Fit } from "./scaling/fit.ts";
export { forecast, largestFitting, selfTest } from "./scaling/forecast.ts";
export { sizeText } from "./scaling/words.ts";
export type {
  ArrayAtPeak,
  Bound,
  Fitting,
  Forecast,
  Point,
  Refusal,
  SelfTest,
  SiteAtPeak,
  SiteCurve,
} from "./scaling/types.ts";
