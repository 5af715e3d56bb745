import { expect, it } from "vitest";

import { add, rates, SAMPLES_MAX, type Sample } from "./throughput";

const looks = (...done: (number | null)[]): Sample[] => done.map((rows, second) => ({ ms: second * 1_000, done: rows }));

it("tells rows per second, over a few looks", () => {
  expect(rates(looks(0, 100, 200, 300, 300, 300, 300))).toEqual([null, 100, 100, 100, 67, 33, 0]);
});

it("shows a break as a gap, and what was done meanwhile as no peak", () => {
  expect(rates(looks(0, 100, null, null, 5000, 5100))).toEqual([null, 100, null, null, null, 100]);
});

it("never goes below nothing, whatever a restart has forgotten", () => {
  expect(rates(looks(500, 300))).toEqual([null, 0]);
});

it("keeps the whole of a long run, less densely", () => {
  let samples: Sample[] = [];
  for (let second = 0; second < 5 * SAMPLES_MAX; second++) samples = add(samples, { ms: second * 1_000, done: second * 7 });
  expect(samples.length).toBeLessThanOrEqual(SAMPLES_MAX);
  expect(samples[0]?.ms).toBe(0);
  expect(new Set(rates(samples))).toEqual(new Set([null, 7]));
});
