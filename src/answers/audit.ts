/** How far a snapshot can be trusted: what it proves about itself, without help from the process. */
import { formatBytes, formatCount, formatShare } from "../base/format.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { known } from "./about.ts";

/** Shares of 1; null: not measured. */
export interface AuditReport {
  /** reference counts that equal the number of references found */
  readonly refcountsExplained: number | null;
  readonly refcountsCompared: number | null;
  /** objects of the collector's lists that references led to */
  readonly trackedReached: number | null;
  /** bytes of live blocks that belong to an object or to a block that one reaches */
  readonly bytesFound: number | null;
  readonly badPointers: number | null;
  readonly claim: string;
}

export function auditOf({ audit }: Snapshot): AuditReport {
  const explained = audit.explained / audit.counted;
  const found = audit.foundBytes / audit.liveBytes;
  const parts: string[] = [];
  if (audit.counted > 0)
    parts.push(`${formatShare(explained)} of ${formatCount(audit.counted)} reference counts explained`);
  if (audit.liveBytes > 0)
    parts.push(`${formatShare(found)} of ${formatBytes(audit.liveBytes)} in live blocks belong to a known object`);
  if (audit.badPointers > 0) parts.push(`${formatCount(audit.badPointers)} bad pointers`);
  return {
    refcountsExplained: ratio(audit.explained, audit.counted),
    refcountsCompared: known(audit.counted),
    trackedReached: ratio(audit.trackedReached, audit.tracked),
    bytesFound: ratio(audit.foundBytes, audit.liveBytes),
    badPointers: known(audit.badPointers),
    claim: parts.length === 0 ? "Not measured." : `${parts.join("; ")}.`,
  };
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 && !Number.isNaN(part) ? part / whole : null;
}
