import { expect, it } from "vitest";

import { searchEids } from "./eids";

const options = [
  { eid: 1001, name: "活动积分", unit: "" },
  { eid: 1002, name: "Gold coins", unit: "coins" },
  { eid: 11, name: "gold", unit: "" },
  { eid: 10, name: "", unit: "" },
];
const search = (text: string, open = false, chosen: number[] = []) =>
  searchEids(options, text, { open, chosen }).map(({ eid }) => eid);

it("offers all while nothing is typed, by number", () => {
  expect(search("")).toEqual([10, 11, 1001, 1002]);
});

it("searches names and numbers, the best first", () => {
  expect(search("积分")).toEqual([1001]);
  expect(search("GOLD")).toEqual([11, 1002]);
  expect(search("10")).toEqual([10, 1001, 1002]);
  expect(search("coins")).toEqual([1002]);
  expect(search("１００１")).toEqual([1001]);
  expect(search("nothing")).toEqual([]);
});

it("offers a number that is not listed only where that may be", () => {
  expect(search("7")).toEqual([]);
  expect(search("7", true)).toEqual([7]);
  expect(search("7", true, [7])).toEqual([]);
  expect(search("0", true)).toEqual([10, 1001, 1002]);
  expect(search("4294967296", true)).toEqual([]);
  expect(search("1001", true)).toEqual([1001]);
});
