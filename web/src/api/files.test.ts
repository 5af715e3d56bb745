import { expect, it } from "vitest";

import { endOf, nameIn } from "./files";

it("reads a Chinese name", () => {
  const disposition = `attachment; filename="____-result.csv"; filename*=UTF-8''%E6%B4%BB%E5%8A%A8-result.csv`;
  expect(nameIn(disposition, "12-result.csv")).toBe("活动-result.csv");
  expect(nameIn('attachment; filename="a-result.csv"', "x")).toBe("a-result.csv");
  expect(nameIn("attachment; filename*=UTF-8''%E6%", "12-result.csv")).toBe("12-result.csv");
  expect(nameIn(null, "12-result.csv")).toBe("12-result.csv");
});

it("shows whole lines of a log's end", () => {
  expect(endOf("lf a line\nsecond\nthird\n", true)).toEqual({ lines: ["second", "third"], more: true });
  expect(endOf("first\nsecond\n", false)).toEqual({ lines: ["first", "second"], more: false });
  expect(endOf("", false)).toEqual({ lines: [], more: false });
});
