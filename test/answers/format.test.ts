import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatBytes,
  formatCount,
  formatEstimate,
  formatInterval,
  formatSeconds,
  formatShare,
  parseBytes,
  relativePath,
  shortenEnd,
  shortenMiddle,
  shortenPath,
} from "../../src/base/format.ts";

const sizes = fc.double({ min: 0, max: 2 ** 50, noNaN: true });

describe("sizes", () => {
  test("read like a person writes them", () => {
    const table: [number, string][] = [
      [0, "0 B"],
      [112, "112 B"],
      [16.5, "16.5 B"],
      [999, "999 B"],
      [1000, "0.977 KiB"],
      [1024, "1.00 KiB"],
      [800_056, "781 KiB"],
      [10.1 * 2 ** 20, "10.1 MiB"],
      [1023 * 2 ** 10, "0.999 MiB"],
      [2 ** 31, "2.00 GiB"],
      [-(2 ** 21), "-2.00 MiB"],
      [Number.NaN, "unknown"],
    ];
    for (const [bytes, text] of table) expect(formatBytes(bytes)).toBe(text);
  });

  test("have three significant digits, or are whole bytes", () => {
    fc.assert(
      fc.property(sizes, (bytes) => {
        const [number, unit] = formatBytes(bytes).split(" ");
        const digits = number.replace(".", "").replace(/^0+/, "").length;
        if (unit === "B") expect(digits).toBeLessThanOrEqual(3);
        else expect(digits).toBe(3);
      }),
    );
  });

  test("survive a round trip within half a unit of the third digit", () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 2 ** 50, noNaN: true }), (bytes) => {
        expect(Math.abs(parseBytes(formatBytes(bytes))! / bytes - 1)).toBeLessThan(0.00501);
      }),
    );
  });

  test("never change order", () => {
    fc.assert(
      fc.property(sizes, sizes, (a, b) => {
        const [small, large] = a < b ? [a, b] : [b, a];
        expect(parseBytes(formatBytes(small))).toBeLessThanOrEqual(parseBytes(formatBytes(large))!);
      }),
    );
  });

  test("are read in binary units", () => {
    expect(parseBytes("64K")).toBe(65_536);
    expect(parseBytes("1.5 MiB")).toBe(1_572_864);
    expect(parseBytes("4096")).toBe(4096);
    expect(parseBytes("2gb")).toBe(2 ** 31);
    for (const bad of ["", "K", "-1", "1x", "1 2", "1e3", "0x10"]) expect(parseBytes(bad)).toBeUndefined();
  });
});

describe("estimates", () => {
  test("say whether they are exact", () => {
    expect(formatEstimate({ bytes: 800_056, low: 800_056, high: 800_056 })).toBe("781 KiB");
    expect(formatEstimate({ bytes: 1_000_000, low: 9e5, high: 12e5 })).toBe("~977 KiB");
    expect(formatInterval({ bytes: 1_000_000, low: 9e5, high: 12e5 })).toBe("~977 KiB (879 to 1\u2009172)");
  });

  test("of nothing sampled are a bound, not 0", () => {
    const nothing = { bytes: 0, low: 0, high: 3 * 2 ** 19 };
    expect(formatEstimate(nothing)).toBe("< 1.50 MiB");
    expect(formatInterval(nothing)).toBe("< 1.50 MiB");
  });
});

test("times", () => {
  const table: [number, string][] = [
    [0, "0 ms"],
    [0.0042, "4.20 ms"],
    [0.06, "0.06 s"],
    [1.2, "1.20 s"],
    [41.7, "41.7 s"],
    [99.96, "1 min 40 s"],
    [250, "4 min 10 s"],
    [3599.6, "1 h"],
    [7500, "2 h 5 min"],
    [100 * 3600, "4 d 4 h"],
    [Number.NaN, "unknown"],
  ];
  for (const [seconds, text] of table) expect(formatSeconds(seconds)).toBe(text);
});

test("counts have thin spaces", () => {
  expect(formatCount(200)).toBe("200");
  expect(formatCount(30_120)).toBe("30\u2009120");
  expect(formatCount(1_234_567)).toBe("1\u2009234\u2009567");
  expect(formatCount(Number.NaN)).toBe("unknown");
});

test("shares are 100 % only when they are", () => {
  expect(formatShare(1)).toBe("100 %");
  expect(formatShare(0.9999)).toBe("99 %");
  expect(formatShare(0.304)).toBe("30 %");
  expect(formatShare(0.004)).toBe("0.4 %");
});

describe("shortened texts", () => {
  test("paths lose folders from the middle and keep the line", () => {
    const path = "services/billing/reports/monthly/summary.py:1031";
    expect(shortenPath(path, 60)).toBe(path);
    expect(shortenPath(path, 42)).toBe("services/…/reports/monthly/summary.py:1031");
    expect(shortenPath(path, 28)).toBe("services/…/summary.py:1031");
    expect(shortenPath(path, 20)).toBe("…/summary.py:1031");
    expect(shortenPath(path, 12)).toBe("sum….py:1031");
    expect(shortenPath("/opt/very/long/way/to/app.py:7", 22)).toBe("/opt/…/way/to/app.py:7");
  });

  test("never lose the line number and never grow", () => {
    const paths = fc
      .tuple(fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 6 }), fc.boolean(), fc.nat(99_999))
      .map(([parts, absolute, line]) => `${absolute ? "/" : ""}${parts.join("/")}.py:${line}`);
    fc.assert(
      fc.property(paths, fc.integer({ min: 1, max: 60 }), (path, width) => {
        const line = path.slice(path.lastIndexOf(":"));
        const short = shortenPath(path, width);
        expect(short.endsWith(line)).toBe(true);
        expect(short.length).toBeLessThanOrEqual(Math.min(path.length, Math.max(width, line.length + 3)));
      }),
    );
  });

  test("other texts are cut to the width", () => {
    expect(shortenMiddle("abcdefghij", 7)).toBe("abc…hij");
    expect(shortenEnd("x = [0] * 100000", 10)).toBe("x = [0] *…");
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 0, max: 30 }), (text, width) => {
        expect(shortenMiddle(text, width).length).toBeLessThanOrEqual(Math.max(width, 0));
        expect(shortenEnd(text, width).length).toBeLessThanOrEqual(Math.max(width, 0));
      }),
    );
  });
});

test("paths are relative inside the working directory only", () => {
  expect(relativePath("/home/ann/app/main.py", "/home/ann/app")).toBe("main.py");
  expect(relativePath("/home/ann/app2/main.py", "/home/ann/app")).toBe("/home/ann/app2/main.py");
  expect(relativePath("main.py", "/home/ann")).toBe("main.py");
});
