import { expect, it } from "vitest";

import { parseSpeed } from "./speed";

it("takes whole numbers as people type them", () => {
  expect(["0", "20,000", " 2147483647 ", "２００"].map(parseSpeed)).toEqual([0, 20_000, 2_147_483_647, 200]);
});

it("takes nothing else", () => {
  expect(["", "-1", "1.5", "2147483648", "fast"].map(parseSpeed)).toEqual([null, null, null, null, null]);
});
