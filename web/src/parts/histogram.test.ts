import { expect, it } from "vitest";

import { labelEdges, rebin } from "./histogram";

it("leaves one histogram as it is", () => {
  expect(rebin([{ edges: [0, 5, 10], counts: [3, 4] }])).toEqual({ edges: [0n, 5n, 10n], counts: [[3, 4]], single: false });
});

it("loses no row on the way to the same ranges", () => {
  const { edges, counts } = rebin([
    { edges: [0, 100, 200], counts: [3, 4] },
    { edges: ["9007199254740990", "9007199254740994"], counts: [5] },
  ]);
  expect(counts.map((rows) => rows.reduce((a, b) => a + b))).toEqual([7, 5]);
  expect([edges[0], edges.at(-1)]).toEqual([0n, 9007199254740994n]);
  expect(edges.length).toBe((counts[0]?.length ?? 0) + 1);
  expect(counts[1]?.at(-1)).toBe(5);
});

it("knows what to do where all values are the same", () => {
  const same = { edges: [7, 7, 7], counts: [0, 9] };
  expect(rebin([same, same])).toEqual({ edges: [7n, 8n], counts: [[9], [9]], single: true });
  expect(rebin([same])).toEqual({ edges: [7n, 8n], counts: [[9]], single: true });
});

it("gives each of few values a bar of its own", () => {
  // as the API has them: a value lies in the last bar that begins with it
  const before = { edges: [0, 1, 1, 1, 2, 2, 2, 3, 3, 3], counts: [90, 0, 0, 7, 0, 0, 0, 0, 10] };
  const after = { edges: [5, 5, 5], counts: [0, 107] };
  expect(rebin([before])).toEqual({ edges: [0n, 1n, 2n, 3n, 4n], counts: [[90, 7, 0, 10]], single: true });
  expect(rebin([before, after])).toEqual({
    edges: [0n, 1n, 2n, 3n, 4n, 5n, 6n], counts: [[90, 7, 0, 10, 0, 0], [0, 0, 0, 0, 0, 107]], single: true,
  });
});

it("keeps ranges where a bar may hold two values", () => {
  expect(rebin([{ edges: [0, 1, 2], counts: [3, 4] }]).single).toBe(false);
  expect(rebin([{ edges: [0, 2, 3], counts: [3, 0] }]).single).toBe(false);
});

it("tells edges apart that are near each other", () => {
  const short = (edge: bigint) => `${edge / 10_000n}万`;
  expect(labelEdges([10_000n, 20_000n], short, String)).toEqual(["1万", "2万"]);
  expect(labelEdges([50_010n, 50_015n], short, String)).toEqual(["50010", "50015"]);
});
