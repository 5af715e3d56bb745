import { describe, expect, it } from "vitest";

import { formatBytes, formatChange, formatInt, formatNumber, formatShort, parseInteger, percentOf } from "./numbers";

describe("formatInt", () => {
  it("keeps every digit beyond 2^53", () => {
    expect(formatInt("9223372036854775807", "en")).toBe("9,223,372,036,854,775,807");
    expect(formatInt("-9007199254740993", "zh-CN")).toBe("-9,007,199,254,740,993");
    expect(formatInt(12345, "en")).toBe("12,345");
  });
});

describe("formatChange", () => {
  it("says which way", () => {
    expect(["5000", -5000, 0].map((change) => formatChange(change, "en"))).toEqual(["+5,000", "−5,000", "0"]);
  });
});

describe("formatShort", () => {
  it("counts as the language does", () => {
    expect(formatShort(1_234_567, "en")).toBe("1.23M");
    expect(formatShort(1_234_567, "zh-CN")).toBe("123万");
    expect(formatShort(5_012, "zh-CN")).toBe("5,010");
  });
});

describe("percentOf", () => {
  it("never says that something is whole before it is", () => {
    expect(percentOf(999_999, 1_000_000)).toBe(99);
    expect(percentOf(1_000_000, 1_000_000)).toBe(100);
    expect(percentOf(0, 0)).toBe(0);
  });
});

describe("formatBytes", () => {
  it("takes the unit that fits", () => {
    expect([0, 1023, 1024, 1_572_864, 5 * 1024 ** 4].map((bytes) => formatBytes(bytes, "en"))).toEqual([
      "0 B", "1,023 B", "1 KB", "1.5 MB", "5 TB",
    ]);
  });
});

describe("parseInteger", () => {
  it("reads what people type", () => {
    expect(["12,345", "１２３", " 7 ", "-5", "−5", "9223372036854775807"].map(parseInteger)).toEqual([
      12345n, 123n, 7n, -5n, -5n, 9223372036854775807n,
    ]);
  });
  it("guesses at nothing", () => {
    expect(["", "1.5", "1e3", "12,34", "0x10", "five"].map(parseInteger)).toEqual([null, null, null, null, null, null]);
  });
});

it("says of a mean beyond what a float holds that it is about so much", () => {
  expect(formatNumber(9223372036854775807, "en")).toBe("≈ 9,223,372,036,854,780,000");
  expect(formatNumber(30006.54, "en")).toBe("30,006.5");
});
