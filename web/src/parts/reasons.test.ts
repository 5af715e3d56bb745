import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import en from "../i18n/en/reasons";
import zh from "../i18n/zh/reasons";
import { knownReason } from "./reasons";

it("knows the server's reasons and what stands in them", () => {
  expect(knownReason("over 9223372036854775807")).toEqual({ key: "over", named: { most: "9223372036854775807" } });
  expect(knownReason("5 columns, the header has 3")?.named).toEqual({ found: "5", wanted: "3" });
  expect(knownReason("not one of the operation's EIDs 1001, 1002; no column of 1002")).toEqual({
    key: "strangeEidMissing",
    named: { eids: "1001, 1002", missing: "1002" },
  });
  expect(knownReason("the file is an Excel workbook (.xlsx), not a CSV: save it as CSV and hand that in")?.named).toEqual({ kind: "xlsx" });
  expect(knownReason("the file is a PDF document, not a CSV: save it as CSV and hand that in")?.named).toEqual({ kind: "PDF document" });
  expect(knownReason("the byte at offset 12 (0xFF) is neither valid UTF-8 nor valid GB18030: save the file as UTF-8")?.named).toEqual({ offset: "12" });
  expect(knownReason("12,345 rows are over approval.rows = 10,000")).toEqual({ key: "approvalRows", named: { value: "12,345", limit: "10,000" } });
  expect(knownReason("EID 1001, 1002: among approval.eids")?.named).toEqual({ eids: "1001, 1002" });
  expect(knownReason("not defined for cluster fish: 9, 10 (limits.unknown_eids = refuse)")?.named).toEqual({ cluster: "fish", eids: "9, 10" });
});

it("leaves what it does not know as it is", () => {
  expect(knownReason("something new")).toBeNull();
});

it("fills in nothing that a text has no place for, and leaves no place open", () => {
  const source = readFileSync(fileURLToPath(new URL("reasons.ts", import.meta.url)), "utf-8");
  for (const [, pattern = "", key = ""] of source.matchAll(/^ {2}\[(\/.+\/), "(\w+)"\],$/gm)) {
    const given = [...pattern.matchAll(/\?<(\w+)>/g)].map(([, name]) => name).sort();
    for (const texts of [en, zh] as Record<string, string>[]) {
      const places = [...(texts[key] ?? "?").matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      expect([key, places]).toEqual([key, given]);
    }
  }
});

it("knows every reason that the server writes into a file's problems", () => {
  const storage = fileURLToPath(new URL("../../../eomd/storage", import.meta.url));
  const python = readdirSync(storage)
    .filter((name) => name.startsWith("csv_"))
    .map((name) => readFileSync(join(storage, name), "utf-8"))
    .join("\n");
  const written = [
    ...python.matchAll(/(?:_FAULT = |return (?:"|f")|self\._add\([^"\n]*|problems\.add\([^"\n]*)f?"?([a-z][^"\n]* [^"\n]*)"/g),
  ].map(([, reason = ""]) => reason.replace(/\{[^}]*\}/g, "7"));
  const reasons = written.filter((reason) => !/^(an? (Excel|zip|HTML|XML)|expected)/.test(reason));
  expect(reasons.length).toBeGreaterThan(12);
  expect(reasons.filter((reason) => knownReason(reason) === null)).toEqual([]);
});

it("knows every reason why the server wants a second person", () => {
  const python = readFileSync(fileURLToPath(new URL("../../../eomd/operations/approval.py", import.meta.url)), "utf-8");
  const reasons = [...python.matchAll(/yield f"([^"\n]*)"/g)].map(([, reason = ""]) => reason.replace(/\{here:%H:%M\}/, "23:05").replace(/\{[^}]*\}/g, "7"));
  expect(reasons.length).toBeGreaterThan(5);
  expect(reasons.filter((reason) => knownReason(reason) === null)).toEqual([]);
});
