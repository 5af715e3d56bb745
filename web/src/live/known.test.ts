import { expect, it } from "vitest";

import type { Operation, State } from "../api/types";
import { ENDED_MAX, learn, messageOf } from "./known";

const operation = (id: number, state: State) => ({ id, state }) as Operation;

it("lets a late list not bring back what has ended", () => {
  const known = new Map<number, Operation>();
  learn(known, operation(1, "running"));
  learn(known, operation(1, "succeeded"));
  learn(known, operation(1, "running"));
  expect(known.get(1)?.state).toBe("succeeded");
});

it("forgets the oldest of many that have ended, and none that has not", () => {
  const known = new Map<number, Operation>();
  learn(known, operation(1, "paused"));
  for (let id = 2; id < ENDED_MAX + 12; id++) learn(known, operation(id, "succeeded"));
  expect(known.size).toBe(ENDED_MAX + 1);
  expect(known.has(1)).toBe(true);
  expect(known.has(2)).toBe(false);
  expect(known.has(ENDED_MAX + 11)).toBe(true);
});

it("repeats in the server's words nothing that the state says already", () => {
  const paused = { ...operation(1, "paused"), message: "why" };
  expect(messageOf({ ...paused, paused_by: "person" })).toBeNull();
  expect(messageOf({ ...paused, paused_by: "brake" })).toBe("why");
  expect(messageOf({ ...paused, state: "failed", paused_by: null })).toBe("why");
});
