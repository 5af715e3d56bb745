import { expect, it } from "vitest";

import { reasonSaid } from "./reasons";

it.each([
  ["12,345 rows are over approval.rows = 10,000", "rows", { value: "12,345", limit: "10,000" }],
  ["9,000,000 in all is over approval.total_amount = 1,000", "total", { value: "9,000,000", limit: "1,000" }],
  ["an amount of 20,000 is over approval.largest_amount = 10,000", "amount", { value: "20,000", limit: "10,000" }],
  ["cluster fish is among approval.clusters", "cluster", { cluster: "fish" }],
  ["EID 1001, 1002: among approval.eids", "eids", { eids: "1001, 1002" }],
  ["23:05 is within approval.hours", "hours", { time: "23:05" }],
])("%s", (reason, what, named) => expect(reasonSaid(reason)).toEqual({ key: `operation.over.${what}`, named }));

it("leaves alone what it does not know", () => expect(reasonSaid("something else")).toBeNull());
