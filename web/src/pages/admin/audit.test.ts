import { expect, it } from "vitest";

import { filterOf, formOf, linesOf, operationOf, queryOf, subjectOf } from "./audit";

it("takes from an address what can be asked for, and nothing else", () => {
  const query = { operation: "12", who: " user li ", action: "log_in", from: "2026-01-31T08:00:00+08:00", before: "9007199254740993" };
  expect(filterOf(query)).toEqual({
    operation: 12, who: "user li", action: "log_in", from: "2026-01-31T00:00:00.000Z", before: "9007199254740993",
  });
  expect(filterOf({ operation: "0", who: " ", action: "a b", from: "yesterday", to: "", before: "-1", more: "x" })).toEqual({});
  expect(filterOf({ operation: "2147483648" })).toEqual({});
  expect(filterOf({ who: ["li", "wu"] })).toEqual({ who: "li" });
});

it("brings a form into the address and back", () => {
  const form = { operation: "12", who: "li", action: "undo", from: "2026-01-31T08:00", to: "2026-02-01T00:00" };
  expect(formOf(filterOf(queryOf(form) as Record<string, string>))).toEqual(form);
  const empty = { operation: "", who: " ", action: "", from: "", to: "" };
  expect(queryOf(empty)).toEqual({});
});

it("knows which operation an entry is about", () => {
  expect([operationOf("operation 12"), operationOf("user li"), operationOf("operation x")]).toEqual(["12", null, null]);
});

it("knows what else an entry can be about", () => {
  expect(subjectOf("user li")).toEqual({ kind: "user", name: "li" });
  expect(subjectOf("definitions")).toEqual({ kind: "definitions", name: "" });
  expect(subjectOf("users li")).toBeNull();
});

it("shows details one by one", () => {
  expect(linesOf({ role: "admin", eids: [1, 2], more: { a: null, b: { c: true } } })).toEqual([
    { name: "role", value: "admin" },
    { name: "eids", value: [1, 2] },
    { name: "more.a", value: null },
    { name: "more.b.c", value: true },
  ]);
});
