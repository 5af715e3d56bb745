import { expect, it } from "vitest";

import type { Operation, Plan } from "../api/types";
import { changeOf, isOutlier, LARGE_ROWS, likelyRepeats, meanChange, needsTyping, rowsSent } from "./plan";

const plan = (change: number, same = 0): Plan => ({
  hash: "",
  rows: { change, same, fail: 7, superseded: 3 },
  doubled_users: 0,
  eids: { "1001": { up: 100, down: "9007199254740993", largest: [] } },
});

it("counts the rows that are sent", () => {
  expect(rowsSent(plan(10, 5))).toBe(15);
});

it("has the number typed from the limit on", () => {
  expect(needsTyping(plan(LARGE_ROWS - 1))).toBe(false);
  expect(needsTyping(plan(LARGE_ROWS - 1, 1))).toBe(true);
});

it("calculates beyond 2^53", () => {
  expect(changeOf({ before: "-9223372036854775808", after: "9223372036854775807" })).toBe(2n ** 64n - 1n);
  expect(meanChange(plan(1), "1001")).toBe(9007199254741093n);
  expect(meanChange(plan(0), "1001")).toBe(0n);
});

it("lets the largest changes not hide themselves in the mean", () => {
  const own = plan(12);
  own.eids["1001"] = { up: 1_000_055, down: 0, largest: [{ row: 0, user: 1, before: 0, after: 1_000_000 }] };
  expect(meanChange(own, "1001")).toBe(5n);
});

it("tells what stands out", () => {
  expect(isOutlier({ before: 0, after: 101 }, 10n)).toBe(true);
  expect(isOutlier({ before: 0, after: -101 }, 10n)).toBe(true);
  expect(isOutlier({ before: 0, after: 100 }, 10n)).toBe(false);
  expect(isOutlier({ before: 0, after: 5 }, 0n)).toBe(false);
});

it("finds operations that look the same, and none that did nothing", () => {
  const planned = { id: 9, model: "modify", cluster: "fish", mode: "inc", eids: [1, 2], dry_run: true, state: "succeeded", rows: { total: 5, ok: 5 } } as Operation;
  const done = (id: number, other: object = {}) => ({ ...planned, id, dry_run: false, eids: [2, 1], ...other }) as Operation;
  const found = likelyRepeats(
    [
      done(1),
      planned,
      done(2, { mode: "dec" }),
      done(3, { cluster: "common" }),
      done(4, { rows: { total: 6, ok: 6 } }),
      done(5, { state: "rejected" }),
      done(6, { state: "cancelled", rows: { total: 5, ok: 0 } }),
      done(7, { dry_run: true }),
      done(8, { state: "cancelled", rows: { total: 5, ok: 1 } }),
    ],
    planned,
  );
  expect(found.map(({ id }) => id)).toEqual([1, 8]);
});
