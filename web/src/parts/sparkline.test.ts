import { expect, it } from "vitest";

import { isAlone, pathOf, thin } from "./sparkline";

it("draws from left to right, the largest at the top", () => {
  expect(pathOf([0, 5, 10], 100, 20)).toBe("M0 20L50 10L100 0");
});

it("leaves a gap where nothing is known, and a dot where one stands alone", () => {
  expect(pathOf([10, null, 5, 5, null], 40, 10)).toBe("M0 0h2M20 5L30 5");
  expect(pathOf([null, null], 40, 10)).toBe("");
});

it("draws zeros at the bottom", () => {
  expect(pathOf([0, 0], 10, 10)).toBe("M0 10L10 10");
});

it("thins out by means of what is known", () => {
  expect(thin([1, 3, null, 5, null, null], 3)).toEqual([2, 5, null]);
  expect(thin([1, 2], 3)).toEqual([1, 2]);
});

it("tells a single value from those that a line goes through", () => {
  const values = [5, null, 0, 1, null, 7];
  expect(values.map((_, index) => isAlone(values, index))).toEqual([true, false, false, false, false, true]);
  expect(isAlone([], 0)).toBe(false);
});
