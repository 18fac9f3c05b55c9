/** One object, all objects of a type, or what would go with some, as text. */
import { formatBytes, formatCount } from "../../base/format.ts";
import type { Neighbour, ObjectAnswer, TypeAnswer, WithoutAnswer } from "../../answers/index.ts";
import { heapHead, row, shownHolder } from "./text-heap.ts";
import { inParagraphs } from "./text-parts.ts";
import { clean, cut, finishText, hanging, padEnd, padStart, painter } from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

const INDENT = 24;

export function renderObject(answer: ObjectAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const { width } = options;
  const title = [answer.type, answer.name ?? "", answer.value ?? ""].filter((word) => word !== "").join(" ");
  const facts = [
    `${formatBytes(answer.bytes)} of its own, ${formatBytes(answer.retainedBytes)} with what it alone keeps (${formatCount(answer.keepsCount)} objects)`,
    counted(answer),
    ...answer.states,
    answer.bound ?? "",
    answer.place === null ? "" : `defined at ${answer.place}`,
    answer.address === null ? "" : `at ${answer.address}`,
  ].filter((fact) => fact !== "");
  return finishText(
    inParagraphs([
      heapHead(answer, null, width, paint),
      [
        paint("bold", cut(`${answer.id}  ${clean(title)}`, width)),
        ...hanging("", clean(`${facts.join("; ")}.`), width),
      ],
      [`${paint("bold", "Path")}  ${paint("cyan", shownHolder(answer.holder.text, width - 6))}`],
      neighbours("Fields", answer.fields, answer.fieldCount, width, paint),
      neighbours("Referred to by", answer.referrers, answer.referrerCount, width, paint),
      answer.keeps.length < 2
        ? []
        : [
            paint("bold", "Alone keeps"),
            ...answer.keeps.map(({ type, count, bytes }) =>
              cut(`${padStart(formatBytes(bytes), 17)}${padStart(formatCount(count), 10)}  ${clean(type)}`, width),
            ),
          ],
    ]),
    options,
  );
}

function counted({ refcount, referencesFound }: ObjectAnswer): string {
  if (refcount === null) return `${formatCount(referencesFound)} references found`;
  return `reference count ${formatCount(refcount)}, ${formatCount(referencesFound)} found`;
}

function neighbours(title: string, list: readonly Neighbour[], count: number, width: number, paint: Painter): string[] {
  if (list.length === 0) return [];
  const lines = list.map(({ id, edge, type, name, bytes, retainedBytes }) =>
    cut(
      `${padEnd(id, 9)}${padStart(formatBytes(bytes), 8)}${padStart(formatBytes(retainedBytes), 10)}  ${clean(edge)}  ${clean(name === null ? type : `${type} ${name}`)}`,
      width,
    ),
  );
  if (count > list.length) lines.push(`${formatCount(count - list.length)} more.`);
  return [paint("bold", padEnd(title, 14)) + paint("dim", " own  with what it keeps"), ...lines];
}

export function renderType(answer: TypeAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const { width } = options;
  const name = answer.module === "" || answer.module === "builtins" ? answer.name : `${answer.module}.${answer.name}`;
  return finishText(
    inParagraphs([
      heapHead(answer, null, width, paint),
      hanging(
        "",
        `${formatCount(answer.count)} ${clean(name)} take ${formatBytes(answer.bytes)}, ${formatBytes(answer.retainedBytes)} with what only they keep.`,
        width,
      ),
      [
        paint("bold", "Kept by"),
        ...answer.keptBy.flatMap(({ id, bytes, count, holder, type }) => [
          row(id, bytes, "", cut(`${formatCount(count)} in ${clean(type)}`, width - INDENT)),
          " ".repeat(INDENT) + paint("cyan", shownHolder(holder, width - INDENT)),
        ]),
      ],
      [
        paint("bold", "Referred to as"),
        ...answer.referredBy.map(({ edge, count }) =>
          cut(`${padStart(formatCount(count), 17)}  ${clean(edge)}`, width),
        ),
      ],
      [
        paint("bold", "Examples"),
        ...answer.examples.map(({ id, retainedBytes, holder }) =>
          row(id, retainedBytes, "", paint("cyan", shownHolder(holder, width - INDENT))),
        ),
      ],
    ]),
    options,
  );
}

export function renderWithout(answer: WithoutAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const { width } = options;
  return finishText(
    inParagraphs([
      heapHead(answer, null, width, paint),
      hanging("", answer.claim, width),
      answer.alone.map(({ id, type, retainedBytes, holder }) =>
        row(
          id,
          retainedBytes,
          "",
          cut(`alone: ${clean(type)} ${shownHolder(holder, width - INDENT - 8)}`, width - INDENT),
        ),
      ),
      answer.byType.map(({ type, count, bytes }) =>
        cut(`${padStart(formatBytes(bytes), 17)}${padStart(formatCount(count), 10)}  ${clean(type)}`, width),
      ),
    ]),
    options,
  );
}
