import { expect, it } from "vitest";

import type { Operation, State } from "../../api/types";
import { countBefore, groupWaiting, mayDecideAbout, waitsFor } from "./waiting";

const operation = (id: number, state: State, operatorid: number | string = 7, more: Partial<Operation> = {}) =>
  ({ id, state, operatorid, cluster: "fish", paused_by: null, ...more }) as Operation;
const ids = (groups: ReturnType<typeof groupWaiting>) => groups.map(({ group, items }) => [group, ...items.map(({ id }) => id)]);

it("has one's own first, then what one may decide, each the longest waiting first", () => {
  const all = [
    operation(9, "queued", 8),
    operation(8, "awaiting_approval", 8),
    operation(7, "paused", "7"),
    operation(6, "running"),
    operation(5, "awaiting_approval", 7),
    operation(4, "paused", 8),
    operation(3, "awaiting_approval", 9),
  ];
  expect(ids(groupWaiting(all, { operatorid: 7, mayDecide: true }))).toEqual([["mine", 5, 7], ["forMe", 3, 8], ["others", 4, 9]]);
  expect(ids(groupWaiting(all, { operatorid: 7, mayDecide: false }))).toEqual([["mine", 5, 7], ["others", 3, 4, 8, 9]]);
});

it("takes nothing for one's own where nobody knows who asks", () => {
  expect(ids(groupWaiting([operation(1, "queued")], { operatorid: null, mayDecide: false }))).toEqual([["others", 1]]);
  expect(ids(groupWaiting([operation(1, "awaiting_approval")], { operatorid: null, mayDecide: true }))).toEqual([["forMe", 1]]);
});

it("lets nobody decide about what they handed in, nor twice", () => {
  const asker = { operatorid: "9007199254740993", mayDecide: true };
  expect(mayDecideAbout(operation(1, "awaiting_approval", "9007199254740993"), asker)).toBe(false);
  expect(mayDecideAbout(operation(1, "awaiting_approval", "9007199254740992"), asker)).toBe(true);
  expect(mayDecideAbout(operation(1, "queued", 8), asker)).toBe(false);
});

it("says what it waits for", () => {
  expect(waitsFor(operation(1, "queued"))).toBe("turn");
  expect(waitsFor(operation(1, "awaiting_approval"))).toBe("decision");
  expect(waitsFor(operation(1, "paused", 7, { paused_by: "brake" }))).toBe("brake");
});

it("counts those of the same cluster that come first", () => {
  const all = [operation(1, "queued"), operation(2, "running"), operation(3, "queued", 7, { cluster: "label" }), operation(4, "queued")];
  expect(countBefore(operation(4, "queued"), all)).toBe(1);
  expect(countBefore(operation(1, "queued"), all)).toBe(0);
});
