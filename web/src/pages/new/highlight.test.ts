import { expect, it } from "vitest";

import { markHead, markSample } from "./highlight";

const file = {
  columns: ["userid", "amount"],
  sample: [["100", "5"], ["abc", "five"], ["7"]],
  sample_lines: [2, 5, 6],
};
const problem = (line: number, column: string | null, reason = "not a number") => ({ line, column, value: null, reason });

it("marks the cell in the line that the problem names", () => {
  const rows = markSample(file, [problem(5, "userid"), problem(5, "amount", "a"), problem(5, "amount", "b"), problem(99, "userid")]);
  expect(rows.map(({ line }) => line)).toEqual([2, 5, 6]);
  expect([...(rows[0]?.cellReasons ?? [])]).toEqual([]);
  expect([...(rows[1]?.cellReasons ?? [])]).toEqual([[0, ["not a number"]], [1, ["a", "b"]]]);
});

it("marks a whole line, and a column that the file does not have", () => {
  const rows = markSample(file, [problem(6, null, "1 columns, the header has 2"), problem(2, "1003")]);
  expect(rows[2]?.reasons).toEqual(["1 columns, the header has 2"]);
  expect(rows[0]?.reasons).toEqual(["not a number"]);
});

it("knows columns without a header by what problems call them", () => {
  const bare = { ...file, columns: ["userid", "column2"] };
  expect([...(markSample(bare, [problem(2, "amount")])[0]?.cellReasons.keys() ?? [])]).toEqual([1]);
});

it("marks headers", () => {
  expect([...markHead(file, [problem(1, "amount"), problem(1, null), problem(2, "userid")])]).toEqual([1]);
});
