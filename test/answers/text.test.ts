import { describe, expect, test } from "vitest";
import { explain, leaks, lines, processes, timeline } from "../../src/answers/index.ts";
import type { Recording } from "../../src/answers/index.ts";
import { renderExplain } from "../../src/front/cli/text-explain.ts";
import { renderLeaks } from "../../src/front/cli/text-leaks.ts";
import { renderLines } from "../../src/front/cli/text-lines.ts";
import { renderProcesses } from "../../src/front/cli/text-processes.ts";
import { renderTimeline } from "../../src/front/cli/text-timeline.ts";
import { clean, cut, hanging, sparkline, textWidth, toAscii, wrap } from "../../src/front/cli/text.ts";
import type { TextOptions } from "../../src/front/cli/text.ts";
import { MiB, recordingOf } from "./fixture.ts";
import { situations } from "./situations.ts";

type Situation = keyof typeof situations;

const RENDERERS: Record<string, (r: Recording, options: TextOptions) => string> = {
  explain: (r, options) => renderExplain(explain(r), { ...options, saved: true }),
  leaks: (r, options) => renderLeaks(leaks(r), options),
  s1: (r, options) => renderLeaks(leaks(r, "s1"), options),
  lines: (r, options) => renderLines(lines(r, { context: options.full ? Infinity : 2 }), options),
  timeline: (r, options) => renderTimeline(timeline(r), options),
  processes: (r, options) => renderProcesses(processes(r), options),
};

const render = (name: Situation, command: string, options: Partial<TextOptions> = {}): string =>
  RENDERERS[command](recordingOf(situations[name]), { width: 80, color: false, file: "run.tide", ...options });

/** The whole texts, as a person sees them: test/answers/golden/SITUATION.COMMAND.WIDTH.txt. */
describe("texts", () => {
  const golden: [Situation, string][] = [
    ...(Object.keys(situations) as Situation[]).map((name): [Situation, string] => [name, "explain"]),
    ["recycled", "leaks"],
    ["recycled", "lines"],
    ["service", "leaks"],
    ["service", "s1"],
    ["service", "lines"],
    ["service", "timeline"],
    ["children", "processes"],
    ["pages", "lines"],
    ["pages", "leaks"],
  ];
  const cases = golden.flatMap(([name, command]) => [80, 140].map((width) => [name, command, width] as const));
  test.each(cases)("%s: %s at %i columns", async (name, command, width) => {
    await expect(render(name, command, { width })).toMatchFileSnapshot(`golden/${name}.${command}.${width}.txt`);
  });
});

const everything = (Object.keys(situations) as Situation[]).flatMap((name) =>
  Object.keys(RENDERERS).map((command) => [name, command] as const),
);

describe("every text", () => {
  test.each(everything)("%s: %s stays inside the width", (name, command) => {
    for (const width of [60, 80, 140]) {
      for (const full of [false, true]) {
        const wide = render(name, command, { width, full })
          .split("\n")
          .filter((line) => textWidth(line) > width);
        expect(wide).toEqual([]);
      }
    }
  });

  test.each(everything)("%s: %s says the same in colour, and has no colour when it must not", (name, command) => {
    const coloured = render(name, command, { color: true });
    expect(coloured).toContain("\u001b[");
    // oxlint-disable-next-line no-control-regex
    expect(coloured.replace(/\u001b\[\d+m/g, "")).toBe(render(name, command));
    expect(render(name, command)).not.toContain("\u001b");
  });

  test.each(everything)("%s: %s can be plain ASCII", (name, command) => {
    expect(render(name, command, { ascii: true })).toMatch(/^[\n -~]*$/);
  });
});

describe("the first answer", () => {
  test.each(Object.keys(situations) as Situation[])("fits on a screen: %s", (name) => {
    expect(render(name, "explain").trimEnd().split("\n").length).toBeLessThanOrEqual(40);
  });

  test("names the next command with the file as the user knows it", () => {
    const text = render("service", "explain", { file: "out/a run's $&.tide", called: "./tidegauge" });
    expect(text).toContain("./tidegauge leaks 'out/a run'\\''s $&.tide' s1");
    expect(text).toContain("Saved        out/a run's $&.tide");
  });

  test("shows everything with --full", () => {
    const text = render("crowded", "explain", { full: true });
    for (const needle of ["module_number_29.py:1029", "Part 8 of the machine", "2199"]) expect(text).toContain(needle);
  });
});

describe("text from a program", () => {
  test("cannot act on the terminal", () => {
    expect(clean("a\u001b[31mb\u0007\tc\r\u202ed")).toBe("a·[31mb·    c··d");
  });

  test("is cut by columns, not by characters", () => {
    expect(textWidth("日本")).toBe(4);
    expect(cut("日本語の名前", 7)).toBe("日本語…");
    expect(cut("plain", 5)).toBe("plain");
    expect(cut("plain text", 6)).toBe("plain…");
    expect(textWidth("e\u0301")).toBe(1);
  });

  test("breaks at spaces only", () => {
    expect(wrap("one two three", 8)).toEqual(["one two", "three"]);
    expect(wrap("at most 20.4 MiB, 30 %", 12)).toEqual(["at most", "20.4 MiB,", "30 %"]);
    expect(wrap("averylongword next", 5)).toEqual(["averylongword", "next"]);
    expect(hanging("Not seen  ", "a b c d", 13)).toEqual(["Not seen  a b", "          c d"]);
  });

  test("survives without UTF-8", () => {
    expect(toAscii("9.30 → 10.1 MiB · 30\u2009120 ▁█")).toBe("9.30 -> 10.1 MiB - 30 120 ??");
  });
});

const points = (...values: number[]) => values.map((value, seconds) => ({ seconds, value }));

describe("sparklines", () => {
  test("start at 0, so that a level line looks level", () => {
    expect(sparkline(points(95, 97, 100), 3)).toBe("███");
    expect(sparkline(points(10, 40, 80), 3)).toBe("▁▄█");
  });

  test("show the highest of each part, and hold the last value where nothing was read", () => {
    expect(sparkline(points(1, 8, 1, 1, 4, 4), 3)).toBe("█▁▄");
    expect(
      sparkline(
        [
          { seconds: 0, value: 4 },
          { seconds: 9, value: 8 },
        ],
        4,
      ),
    ).toBe("▄▄▄█");
  });

  test("begin where the time shown begins", () => {
    expect(
      sparkline(
        [
          { seconds: 5, value: 8 },
          { seconds: 10, value: 8 },
        ],
        4,
        { from: 0, to: 10 },
      ),
    ).toBe("  ██");
  });

  test("have an ASCII form", () => {
    expect(sparkline(points(10, 40, 80), 3, { ascii: true })).toBe("_:#");
    expect(sparkline([], 10)).toBe("");
    expect(sparkline(points(MiB), 10)).toBe("█");
  });
});
