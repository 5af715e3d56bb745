import { expect, it } from "vitest";

import type { Node } from "../api/types";
import { clusterSince } from "./health";

const node = (state: Node["state"], hour: number) => ({ state, since: `2026-01-31T0${hour}:00:00+00:00` }) as Node;

it("says since when a cluster is in its state", () => {
  expect(clusterSince({ state: "up", nodes: [node("up", 1), node("up", 3)] })).toContain("T03");
  expect(clusterSince({ state: "down", nodes: [node("down", 4), node("misconfigured", 2)] })).toContain("T04");
});

it("says since when a part of it is away", () => {
  const nodes = [node("up", 1), node("up", 2), node("down", 5), node("down", 7)];
  expect(clusterSince({ state: "degraded", nodes })).toContain("T05");
  expect(clusterSince({ state: "degraded", nodes: [node("down", 1), node("up", 6)] })).toContain("T06");
});

it("says nothing where nobody knows", () => {
  expect(clusterSince({ state: "drained", nodes: [node("up", 1)] })).toBeNull();
  expect(clusterSince({ state: "down", nodes: [] })).toBeNull();
});
