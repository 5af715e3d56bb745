import { expect, it } from "vitest";

import type { Operation } from "../../api/types";
import { askPage, askTotal, fits, fromLocalInput, fromQuery, NEWEST, NOTHING, PAGE_SIZE, sameList, startOfDay, toLocalInput, toQuery, type Filter } from "./filter";

const FULL: Filter = {
  operatorid: "9223372036854775807", from: "2026-01-31T00:00:00.000Z", to: "2026-02-01T00:00:00.000Z", cluster: "fish",
  model: "modify", state: "partial", q: "活动 补偿", before: 100_000,
};

it("stands in an address, and comes back out of it as it was", () => {
  expect(fromQuery(toQuery(FULL))).toEqual(FULL);
  expect(fromQuery(toQuery({ ...NOTHING }))).toEqual(NOTHING);
  expect(toQuery({ ...NOTHING })).toEqual({});
  const search = new URLSearchParams(toQuery(FULL)).toString();
  expect(fromQuery(Object.fromEntries(new URLSearchParams(search)))).toEqual(FULL);
});

it.each([
  ["operatorid", "seven"],
  ["operatorid", "-7"],
  ["from", "yesterday"],
  ["model", "delete"],
  ["state", "gone"],
  ["before", "0"],
  ["before", "99999999999"],
  ["before", "1.5"],
  ["unheard", "of"],
])("leaves out %s=%s", (name, value) => expect(fromQuery({ [name]: value })).toEqual(NOTHING));

it("takes the first of what stands there twice, and no value for none", () => {
  expect(fromQuery({ cluster: ["fish", "common"], q: null })).toEqual({ ...NOTHING, cluster: "fish" });
});

it("asks for what is set, from the newest on, without counting", () => {
  expect(askPage({ ...NOTHING, state: "running" })).toEqual({ state: "running", before: NEWEST, page_size: PAGE_SIZE });
  expect(askPage(FULL).before).toBe(100_000);
  expect(askPage(FULL).operatorid).toBe("9223372036854775807");
  expect(askTotal(FULL)).not.toHaveProperty("before");
});

it("knows another page of the same list", () => {
  expect(sameList(FULL, { ...FULL, before: 5 })).toBe(true);
  expect(sameList(FULL, { ...FULL, q: "" })).toBe(false);
});

it("keeps the moment between field and address, to the minute", () => {
  expect(fromLocalInput(toLocalInput("2026-07-01T10:30:00.000Z"))).toBe("2026-07-01T10:30:00.000Z");
  expect([toLocalInput(""), fromLocalInput("")]).toEqual(["", ""]);
  const day = new Date(startOfDay(new Date(2026, 2, 1, 13, 45), 1));
  expect([day.getMonth(), day.getDate(), day.getHours()]).toEqual([1, 28, 0]);
});

const come = {
  operatorid: "9007199254740993", create_time: "2026-01-31T08:00:00+08:00", cluster: "fish", model: "modify", state: "running",
  description: "春节 Gift", note: "inc_1001",
} as unknown as Operation;

it.each<[Partial<Filter>, boolean]>([
  [{}, true],
  [{ operatorid: "9007199254740993", cluster: "fish", model: "modify", state: "running", q: "gift" }, true],
  [{ operatorid: "9007199254740992" }, false],
  [{ cluster: "label" }, false],
  [{ model: "query" }, false],
  [{ state: "succeeded" }, false],
  [{ q: "INC_" }, true],
  [{ q: "元宵" }, false],
  [{ from: "2026-01-31T00:00:00.000Z", to: "2026-01-31T00:00:01.000Z" }, true],
  [{ from: "2026-01-31T00:00:01.000Z" }, false],
  [{ to: "2026-01-31T00:00:00.000Z" }, false],
])("knows whether what comes belongs to the list of %o: %s", (set, belongs) =>
  expect(fits(come, { ...NOTHING, ...set }, null)).toBe(belongs),
);

it("knows whose operations are listed where nobody's are asked for", () => {
  expect(fits(come, { ...NOTHING }, "9007199254740993")).toBe(true);
  expect(fits(come, { ...NOTHING }, 7)).toBe(false);
  expect(fits(come, { ...NOTHING, operatorid: "9007199254740993" }, 7)).toBe(true);
});
