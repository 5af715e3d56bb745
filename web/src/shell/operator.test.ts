import { expect, it } from "vitest";

import { typedOperator } from "./operator";

it("takes a number and a name as somebody types them", () => {
  expect(typedOperator(" 1,007 ", " 李雷 ")).toEqual({ operatorid: "1007", operatorname: "李雷" });
  expect(typedOperator("9223372036854775807", "Li")?.operatorid).toBe("9223372036854775807");
});

it.each([
  ["", "Li"],
  ["7", " "],
  ["-7", "Li"],
  ["9223372036854775808", "Li"],
  ["seven", "Li"],
  ["7", "x".repeat(65)],
])("refuses %s, %s", (id, name) => expect(typedOperator(id, name)).toBeNull());
