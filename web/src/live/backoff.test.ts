import { expect, it } from "vitest";

import { FIRST_MS, LONGEST_MS, pauseMs } from "./backoff";

it("waits longer each time, and never longer than the most", () => {
  const pauses = [0, 1, 2, 3, 4, 5, 50, 5000].map((attempt) => pauseMs(attempt, 1));
  expect(pauses[0]).toBe(FIRST_MS);
  expect([...pauses].sort((a, b) => a - b)).toEqual(pauses);
  expect(Math.max(...pauses)).toBe(LONGEST_MS);
});

it("spreads those who come back over half of the pause", () => {
  expect(pauseMs(3, 0)).toBe(pauseMs(3, 1) / 2);
});
