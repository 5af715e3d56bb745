import { expect, it } from "vitest";

import { STATES, type Operation, type Role } from "../../api/types";
import { offers, relationOf, whyNotDecide } from "./actions";

const base = {
  id: 12, model: "modify", mode: "inc", dry_run: false, parent: null, state: "succeeded", paused_by: null, operatorid: 7,
  rows: { total: 10, done: 10, ok: 10, failed: 0, uncertain: 0 },
} as unknown as Operation;
const like = (change: Partial<Operation>) => ({ ...base, ...change });
const offered = (change: Partial<Operation>, role: Role = "admin") => [...offers(like(change), role)].sort();

it("offers nothing to viewers, and nothing of foreign rows", () => {
  for (const state of STATES) expect(offered({ state, rows: { total: 9, done: 8, ok: 5, failed: 2, uncertain: 1 } }, "viewer")).toEqual([]);
  expect(offered({ state: "foreign" })).toEqual([]);
});

it.each([
  ["queued", ["cancel", "pause"]],
  ["running", ["cancel", "pause"]],
  ["awaiting_approval", ["cancel", "decide"]],
  ["succeeded", ["evidence", "undo"]],
  ["rejected", ["evidence"]],
] as const)("offers what %s allows", (state, wanted) => expect(offered({ state })).toEqual(wanted));

it.each([
  ["person", true],
  ["brake", true],
  ["canary", true],
  ["cluster", false],
  ["disk", false],
] as const)("offers to resume what %s paused: %s", (paused_by, can) =>
  expect(offered({ state: "paused", paused_by })).toEqual(can ? ["cancel", "resume"] : ["cancel"]),
);

it("retries failed and unsent rows, never uncertain ones", () => {
  const rows = { total: 10, done: 10, ok: 9, failed: 0, uncertain: 1 };
  expect(offered({ state: "partial", rows })).toEqual(["evidence", "lookAtUncertain", "settle", "undo"]);
  expect(offered({ state: "partial", rows: { ...rows, failed: 1, uncertain: 0 } })).toContain("retry");
  expect(offered({ state: "cancelled", rows: { ...rows, done: 4 } })).toContain("retry");
  expect(offered({ state: "cancelled", rows: { ...rows, done: 4 }, dry_run: true })).toContain("retry");
  expect(offered({ state: "cancelled", rows: { ...rows, done: 4 }, dry_run: true, parent: 3 })).not.toContain("retry");
});

it("undoes what has changed something, and commits what has not", () => {
  expect(offered({ rows: { total: 10, done: 10, ok: 0, failed: 10, uncertain: 0 }, state: "partial" })).not.toContain("undo");
  expect(offered({ model: "query", mode: null })).toEqual(["evidence"]);
  expect(offered({ dry_run: true })).toEqual(["commit", "evidence"]);
  expect(offered({ dry_run: true, state: "cancelled" })).toEqual(["evidence"]);
});

it("leaves deciding, settling and evidence to approvers", () => {
  const rows = { total: 10, done: 10, ok: 9, failed: 0, uncertain: 1 };
  expect(offered({ state: "partial", rows }, "operator")).toEqual(["lookAtUncertain", "undo"]);
  expect(offered({ state: "awaiting_approval" }, "operator")).toEqual(["cancel"]);
});

it("lets nobody decide about their own, not even an admin", () => {
  const waiting = like({ state: "awaiting_approval", operatorid: "9223372036854775807" });
  expect(whyNotDecide(waiting, { role: "admin", operatorid: "9223372036854775807" })).toBe("own");
  expect(whyNotDecide(waiting, { role: "approver", operatorid: 8 })).toBeNull();
  expect(whyNotDecide(waiting, { role: "operator", operatorid: 8 })).toBe("role");
  expect(whyNotDecide(waiting, { role: "admin", operatorid: null })).toBeNull();
});

it("says what an operation is to its parent", () => {
  const dry = like({ dry_run: true });
  expect(relationOf(base, dry)).toBe("commit");
  expect(relationOf(dry, base)).toBe("undoPlan");
  expect(relationOf(dry, dry)).toBe("again");
  expect(relationOf(like({ mode: "dec" }), base)).toBe("undo");
  expect(relationOf(base, base)).toBe("again");
  expect(relationOf(like({ mode: "restore" }), like({ mode: "set" }))).toBe("undo");
  expect(relationOf(like({ model: "query", mode: null }), like({ model: "query", mode: null }))).toBe("again");
  expect(relationOf(like({ mode: "restore" }), like({ mode: "restore" }))).toBe("child");
});
