import { expect, it } from "vitest";

import { amountColumns } from "./columns";

const of = (columns: string[], sample: string[][] = []) => amountColumns({ columns, sample });

it("finds the column of amounts by its name, or as the second of two", () => {
  expect(of(["userid", "昵称", "数量"])).toEqual({ amounts: "column", column: "数量", eids: [] });
  expect(of(["userid", "Amount"]).column).toBe("Amount");
  expect(of(["userid", "column2"])).toEqual({ amounts: "column", column: "column2", eids: [] });
});

it("finds a column per EID", () => {
  expect(of(["userid", "1002", "昵称", "1001"])).toEqual({ amounts: "perEid", column: "", eids: [1002, 1001] });
  expect(of(["userid", "１００１"]).eids).toEqual([1001]);
});

it("asks for an amount where the file has none", () => {
  expect(of(["userid"], [["100"]]).amounts).toBe("form");
  expect(of(["userid", "昵称", "vip"]).amounts).toBe("form");
});

it("sees amounts behind full-width separators", () => {
  expect(of(["userid"], [["100，5"]]).amounts).toBe("column");
});
