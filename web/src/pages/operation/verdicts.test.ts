import { expect, it } from "vitest";

import type { UncertainRow } from "../../api/types";
import { hintOf } from "./verdicts";

const row = (before: UncertainRow["before"], after: UncertainRow["after"], now: UncertainRow["now"]) =>
  ({ row: 0, user: 1, amounts: [5], before, after, now, now_status: null, settled: null });

it.each([
  [[10], [15], [15], "applied"],
  [[10], [15], [10], "notApplied"],
  [[10], [15], [12], "unclear"],
  [[10], [10], [10], "unclear"],
  [null, [15], [15], "applied"],
  [null, null, [15], "unknown"],
  [[10], [15], null, "unknown"],
  [["9007199254740993"], ["9007199254740995"], ["9007199254740995"], "applied"],
] as const)("before %s, after %s, now %s: %s", (before, after, now, hint) =>
  expect(hintOf(row(before && [...before], after && [...after], now && [...now]))).toBe(hint),
);
