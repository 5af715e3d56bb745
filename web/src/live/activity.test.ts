import { describe, expect, it } from "vitest";

import type { Activity } from "../api/types";
import { figuresOf, joinActivity, minutesMissed, timesOf } from "./activity";

const MINUTE = Date.parse("2026-01-31T08:00:00Z");

/** Steps of 10 s that begin so many seconds after 08:00. */
function told(afterS: number, rows: (number | null)[], latency: (number | null)[] = rows, name = "fish"): Activity {
  const series = { rows_per_s: rows, latency_ms: latency };
  const nodes = [{ address: "127.0.0.1:30717", ...series }];
  const start = new Date(MINUTE + afterS * 1000).toISOString();
  return { step_s: 10, start, points: rows.length, ...series, clusters: [{ name, ...series, nodes }] };
}

describe("joining", () => {
  it("puts the same steps into the same places and forgets the oldest", () => {
    const joined = joinActivity(told(0, [1, 2, 3, 4]), told(20, [30, 40, 50, 60]), 4);
    expect(joined.rows_per_s).toEqual([30, 40, 50, 60]);
    expect(joinActivity(told(0, [1, 2, 3, 4]), told(20, [30, 40]), 4).rows_per_s).toEqual([1, 2, 30, 40]);
    expect(joinActivity(told(0, [1, 2, 3, 4]), told(40, [5]), 4).rows_per_s).toEqual([2, 3, 4, 5]);
    expect(joinActivity(told(0, [1, 2, 3, 4]), told(40, [5]), 4).start).toBe("2026-01-31T08:00:10.000Z");
  });

  it("leaves open what nobody has told", () => {
    expect(joinActivity(told(0, [1, 2]), told(30, [4]), 4).rows_per_s).toEqual([1, 2, null, 4]);
    expect(joinActivity(null, told(0, [1, 2]), 4).rows_per_s).toEqual([null, null, 1, 2]);
  });

  it("keeps what a restarted server does not know, and takes its steps for the nearest ones", () => {
    const joined = joinActivity(told(0, [1, 2, 3]), told(13, [null, null, 7, 8]), 5);
    expect(joined.rows_per_s).toEqual([1, 2, 3, 7, 8]);
  });

  it("takes a step without answers for one", () => {
    const joined = joinActivity(told(0, [5, 5], [9, 9]), told(10, [0, 0], [null, null]), 3);
    expect(joined.latency_ms).toEqual([9, null, null]);
  });

  it("joins each cluster and node with itself, and drops those that are no more", () => {
    const joined = joinActivity(told(0, [1, 2]), told(10, [3, 4], [3, 4], "label"), 3);
    expect(joined.clusters.map(({ name }) => name)).toEqual(["label"]);
    expect(joined.clusters[0]?.rows_per_s).toEqual([null, 3, 4]);
    const again = joinActivity(told(0, [1, 2]), told(10, [3, 4]), 3);
    expect(again.clusters[0]?.nodes[0]?.rows_per_s).toEqual([1, 3, 4]);
  });

  it("gives each step the time of its middle", () => {
    expect(timesOf(told(0, [1, 2]))).toEqual([MINUTE + 5_000, MINUTE + 15_000]);
  });
});

it("asks for as much as was missed, and for no more than there is", () => {
  expect([null, 10_000, 75_000, 10 * 60_000, 5 * 3_600_000].map(minutesMissed)).toEqual([60, 2, 3, 11, 60]);
});

it("knows the last and the largest of what is known", () => {
  expect(figuresOf([null, 3, 7, 2, null])).toEqual({ last: 2, largest: 7 });
  expect(figuresOf([null])).toEqual({ last: null, largest: null });
});
