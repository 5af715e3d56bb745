import { expect, it } from "vitest";

import { knownReason } from "../../parts/reasons";
import { checkFields, configOf } from "./config";
import { newFields, type Fields, type UploadedFile } from "./kept";

const file = { name: "players.csv", upload: { sourcename: "upload-1.csv" } } as UploadedFile;
const whole: Fields = { ...newFields(), cluster: "fish", eids: [1001], kind: "modify", amount: " 1,000 " };
const operator = { operatorid: "7", operatorname: "Li" };

it("hands a query in with what a query takes", () => {
  const query: Fields = { ...whole, kind: "query", verify: "all", canaryRows: "5", description: "  why " };
  expect(configOf(query, "form", {})).toEqual({ cluster: "fish", eids: [1001], description: "why" });
});

it("hands a modify in as a dry run, with the amount as digits", () => {
  expect(configOf(whole, "form", operator)).toEqual({
    cluster: "fish", eids: [1001], mode: "inc", amount: "1000", duplicates: "allow", dry_run: true, ...operator,
  });
  const options = configOf({ ...whole, verify: "sample", canaryRows: "100", canaryWait: true }, "column", {});
  expect(options).toEqual({
    cluster: "fish", eids: [1001], mode: "inc", duplicates: "allow", dry_run: true, verify: "sample", canary_rows: 100, canary_wait: true,
  });
});

it("finds nothing wrong where nothing is", () => {
  expect(checkFields(whole, file, "form", operator)).toEqual({});
  expect(checkFields({ ...whole, amount: "" }, file, "column", null)).toEqual({});
  expect(checkFields({ ...whole, mode: "set", amount: "-9223372036854775808" }, file, "form", null)).toEqual({});
});

it("says of every field what is wrong with it, in words that the catalogues know", () => {
  const empty = checkFields({ ...newFields(), kind: "modify" }, null, "form", { operatorid: "", operatorname: " " });
  expect(Object.keys(empty).sort()).toEqual(["amount", "cluster", "eids", "file", "operatorid", "operatorname"]);
  const odd = { ...whole, canaryRows: "x", description: "x".repeat(256) };
  const others = [
    empty,
    checkFields({ ...odd, amount: "-1" }, file, "form", { operatorid: "-1", operatorname: "Li" }),
    checkFields({ ...odd, amount: "9223372036854775808", canaryRows: "4294967296" }, file, "form", null),
    checkFields({ ...odd, amount: "1.5" }, file, "form", { operatorid: "x", operatorname: "Li" }),
  ];
  const reasons = others.flatMap((wrong) => Object.values(wrong).flat());
  expect(reasons.length).toBe(17);
  expect(reasons.filter((reason) => knownReason(reason) === null)).toEqual([]);
});
