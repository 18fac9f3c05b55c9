/** All objects of a process as text: who keeps the memory, of which types, in which arrays, what could be saved, where the RSS is. */
import { formatBytes, formatCount, formatSeconds, formatShare, plural } from "../../base/format.ts";
import type { AboutHeap, HeapAnswer, HeapDiffAnswer, LedgerNode } from "../../answers/index.ts";
import { inParagraphs, onOneScreen, shownCommand } from "./text-parts.ts";
import { clean, cut, finishText, hanging, padEnd, padStart, painter, textWidth, typed } from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

/** Columns before a path: handle, size, share. */
const INDENT = 22;

/** How much of each part is shown. */
interface Size {
  readonly holders: number;
  readonly types: number;
  readonly arrays: number;
  readonly savings: number;
}

const SIZES: readonly Size[] = [
  { holders: 5, types: 8, arrays: 4, savings: 4 },
  { holders: 4, types: 6, arrays: 3, savings: 3 },
  { holders: 3, types: 5, arrays: 2, savings: 2 },
  { holders: 3, types: 4, arrays: 1, savings: 1 },
  { holders: 2, types: 3, arrays: 1, savings: 1 },
];
const EVERYTHING: Size = { holders: Infinity, types: Infinity, arrays: Infinity, savings: Infinity };

/** The whole answer: at most 40 lines unless `full`. */
export function renderHeap(answer: HeapAnswer, options: TextOptions): string {
  const sizes = options.full ? [EVERYTHING] : SIZES;
  return finishText(
    onOneScreen(sizes, (size) => heapLines(answer, size, options)),
    options,
  );
}

function heapLines(answer: HeapAnswer, size: Size, options: TextOptions): string[] {
  const paint = painter(options.color);
  const { width } = options;
  return inParagraphs([
    heapHead(answer, answer.stopMilliseconds, width, paint),
    hanging("", answer.claim, width),
    holderLines(answer, size.holders, options, paint),
    typeLines(answer, size.types, width, paint),
    arrayLines(answer, size.arrays, width, paint),
    savingLines(answer, size.savings, width, paint),
    [...stateLines(answer, width), ...ledgerLines(answer, options), ...trustLines(answer, width)],
    nextLines(answer, options),
  ]);
}

/** Which process, which interpreter, how long it stood still. */
export function heapHead(about: AboutHeap, stop: number | null, width: number, paint: Painter): string[] {
  const { program, snapshot } = about;
  const name = shownCommand(program.argv, program.cwd, Math.max(24, Math.floor(width / 2))) || "a program";
  const parts = [program.python ?? "Python"];
  if (program.pid !== null) parts.push(`pid ${program.pid}`);
  if (snapshot.source === "core") parts.push("from a core file");
  else if (stop !== null && stop > 0) parts.push(`stopped for ${formatSeconds(stop / 1000)}`);
  return [cut(`${paint("dim", "tidegauge  ")}${paint("bold", name)} · ${parts.join(" · ")}`, width + 16)];
}

/** A path in at most `width` columns: its beginning and end say most. */
export function shownHolder(text: string, width: number): string {
  const whole = clean(text);
  if (textWidth(whole) <= width) return whole;
  const head = Math.floor(width * 0.4);
  return `${cut(whole, head)}${whole.slice(whole.length - (width - head)).trimStart()}`;
}

export function row(id: string, bytes: number, share: string, text: string): string {
  return `${padEnd(id, 9)}${padStart(formatBytes(bytes), 8)}${padStart(share, 5)}  ${text}`;
}

function holderLines({ holders }: HeapAnswer, most: number, { width, full }: TextOptions, paint: Painter): string[] {
  if (holders.length === 0) return [];
  const shown = holders.slice(0, most);
  const lines = [paint("bold", "Kept by") + paint("dim", "  (what would go with it)")];
  for (const { id, bytes, share, text, claim, advice, type, shared } of shown) {
    const path = `${text}${shared ? " and others" : ""}`;
    lines.push(
      row(id, bytes, formatShare(share).replace(" ", ""), paint("cyan", shownHolder(path, width - INDENT - 2))),
    );
    // Size and share stand in the line above.
    const rest = clean(claim.replace(/^.*?\) in /, "")).replace(/^an? /, "");
    if (rest !== type || full) lines.push(...hanging(" ".repeat(INDENT + 2), rest, width));
    if (advice !== null) lines.push(...hanging(" ".repeat(INDENT + 2), advice, width));
  }
  if (shown.length < holders.length) lines.push(`${formatCount(holders.length - shown.length)} more with --full.`);
  return lines;
}

function typeLines({ types }: HeapAnswer, most: number, width: number, paint: Painter): string[] {
  const shown = types.slice(0, most);
  const head = `${padStart("own", 9)}${padStart("keeps", 11)}${padStart("count", 12)}  `;
  return [
    paint("bold", "Types") + paint("dim", `${head.slice(5)}type`),
    ...shown.map(({ name, module, bytes, retainedBytes, count }) =>
      cut(
        `${padStart(formatBytes(bytes), 9)}${padStart(formatBytes(retainedBytes), 11)}${padStart(formatCount(count), 12)}  ${clean(module === "builtins" || module === "" ? name : `${module}.${name}`)}`,
        width,
      ),
    ),
  ];
}

function arrayLines({ arrays }: HeapAnswer, most: number, width: number, paint: Painter): string[] {
  const large = most === Infinity ? arrays : arrays.filter(({ bytes }) => bytes >= 64 * 1024).slice(0, most);
  if (large.length === 0) return [];
  const lines = [paint("bold", "Arrays")];
  for (const { id, bytes, dtype, shape, type, holder, views, viewCount, owner } of large) {
    const what = clean([type, dtype, shape].filter((word) => word !== "").join(" "));
    lines.push(cut(row(id, bytes, "", `${what}${owner === "itself" ? "" : `, memory of ${owner}`}`), width));
    lines.push(" ".repeat(INDENT + 2) + paint("cyan", shownHolder(holder, width - INDENT - 2)));
    if (viewCount > 0) {
      const [first] = views;
      const text = `${formatCount(viewCount)} ${viewCount === 1 ? "view" : "views"}: ${first!.id} ${first!.shape} ${first!.holder}`;
      lines.push(" ".repeat(INDENT + 2) + shownHolder(text, width - INDENT - 2));
    }
  }
  return lines;
}

function savingLines({ inspections }: HeapAnswer, most: number, width: number, paint: Painter): string[] {
  if (inspections.length === 0) return [];
  const lines = [paint("bold", "Could be saved")];
  for (const { id, bytes, claim, advice } of inspections.slice(0, most)) {
    hanging(row(id, bytes, "", ""), clean(claim), width).forEach((line) => lines.push(line));
    lines.push(...hanging(" ".repeat(INDENT + 2), clean(advice), width));
  }
  return lines;
}

function stateLines({ garbage, orphans, nativelyHeld }: HeapAnswer, width: number): string[] {
  const parts: string[] = [];
  if (garbage.objects > 0)
    parts.push(
      `${formatBytes(garbage.bytes)} in ${plural(garbage.objects, "object")} wait${garbage.objects === 1 ? "s" : ""} for the cyclic collector`,
    );
  if (orphans.objects > 0)
    parts.push(
      `${formatBytes(orphans.bytes)} are kept by ${plural(orphans.objects, "object")} to which no reference was found: one lost in native code, or kept where no reader looks yet`,
    );
  if (nativelyHeld.objects > orphans.objects)
    parts.push(`native code holds ${formatCount(nativelyHeld.objects - orphans.objects)} more`);
  return parts.length === 0 ? [] : hanging("Out of sight: ", `${parts.join("; ")}.`, width);
}

function ledgerLines({ ledger }: HeapAnswer, { width, full }: TextOptions): string[] {
  if (ledger === null) return [];
  if (full)
    return ["", `Where the ${formatBytes(ledger.bytes)} are:`, ...ledger.children.flatMap((child) => nested(child, 1))];
  const parts = ledger.children
    .filter(({ bytes }) => bytes >= ledger.bytes * 0.004)
    .map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`);
  return hanging("", `Where the ${formatBytes(ledger.bytes)} are: ${parts.join(" · ")}`, width);
}

function nested(node: LedgerNode, depth: number): string[] {
  return [
    `${padStart(formatBytes(node.bytes), 9)}${" ".repeat(depth * 2)}${clean(node.name)}`,
    ...node.children.flatMap((child) => nested(child, depth + 1)),
  ];
}

function trustLines({ audit, snapshot }: HeapAnswer, width: number): string[] {
  const lines = hanging("Checked: ", audit.claim, width);
  if (snapshot.notMeasured.length > 0)
    lines.push(...hanging("Not seen: ", snapshot.notMeasured.map(clean).join(" "), width));
  return lines;
}

function nextLines({ holders, types }: HeapAnswer, options: TextOptions): string[] {
  const own = types.find(({ module }) => module !== "builtins" && module !== "");
  const proposals = ["tidegauge heap FILE -o now.tide"];
  if (options.file?.endsWith(".tide")) proposals.pop();
  if (holders.length > 0 && options.file?.endsWith(".tide")) proposals.push(`tidegauge heap FILE ${holders[0]!.id}`);
  if (own) proposals.push(`tidegauge heap FILE --type ${own.name}`);
  return hanging("Next: ", proposals.map((command) => typed(command, options)).join(" · "), options.width);
}

export function renderHeapDiff(answer: HeapDiffAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const { width } = options;
  return finishText(
    inParagraphs([
      heapHead(answer, null, width, paint),
      hanging("", answer.claim, width),
      answer.types.length === 0
        ? ["No type changed."]
        : [
            paint("bold", "Types") + paint("dim", "    bytes       count  type"),
            ...answer.types.map(({ name, module, bytesBefore, bytesAfter, countBefore, countAfter }) =>
              cut(
                `${padStart(change(bytesBefore, bytesAfter), 10)}${padStart(counted(countBefore, countAfter), 12)}  ${clean(module === "builtins" || module === "" ? name : `${module}.${name}`)}`,
                width,
              ),
            ),
          ],
      answer.holders.length === 0
        ? []
        : [
            paint("bold", "Holders"),
            ...answer.holders.map(
              ({ id, holder, bytesBefore, bytesAfter, isNew }) =>
                `${padEnd(id ?? "gone", 9)}${padStart(change(bytesBefore, bytesAfter), 10)}  ${isNew ? "new: " : ""}${paint("cyan", shownHolder(holder, width - 26))}`,
            ),
          ],
    ]),
    options,
  );
}

function change(before: number, after: number): string {
  return `${after >= before ? "+" : ""}${formatBytes(after - before)}`;
}

function counted(before: number, after: number): string {
  return `${after >= before ? "+" : "-"}${formatCount(Math.abs(after - before))}`;
}
