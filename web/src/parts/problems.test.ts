import { expect, it } from "vitest";

import { problemsAsCsv } from "./problems";

it("writes a list that Excel opens and takes for no formula", () => {
  const problems = [
    { line: 2, column: "amount", value: '=1+"x"', reason: "not a number, or too large" },
    { line: 3, column: null, value: "-5", reason: "two\nlines" },
  ];
  expect(problemsAsCsv(problems, ["line", "column", "value", "reason"])).toBe(
    "\uFEFFline,column,value,reason\r\n" +
      `2,amount,"'=1+""x""","not a number, or too large"\r\n` +
      '3,,-5,"two\nlines"\r\n',
  );
  expect(problemsAsCsv(problems.slice(1), ["line", "column", "value", "reason"], "1 of 2")).toBe(
    '\uFEFFline,column,value,reason\r\n3,,-5,"two\nlines"\r\n,,,1 of 2\r\n',
  );
});
