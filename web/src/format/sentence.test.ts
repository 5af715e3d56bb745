import { expect, it } from "vitest";
import { createI18n } from "vue-i18n";

import en from "../i18n/en";
import zh from "../i18n/zh";
import { sentenceOf, type Intent } from "./sentence";

const i18n = createI18n({ legacy: false, locale: "en", messages: { en: en.messages, zh: zh.messages } as never });
const { t } = i18n.global as unknown as { t: (key: string, named: object, options: object) => string };
const inEnglish = (intent: Intent) =>
  sentenceOf(intent, (key, named, plural) => t(key, named, { plural, locale: "en" }), "en");
const inChinese = (intent: Intent) =>
  sentenceOf(intent, (key, named, plural) => t(key, named, { plural, locale: "zh" }), "zh-CN");

const points = { eid: 1001, name: "活动积分", unit: "" };
const base: Intent = {
  mode: "inc",
  amount: 5n,
  amounts: "form",
  column: "",
  eids: [points],
  rows: 12_345,
  cluster: "捕鱼集群",
};

it("says what a modify adds to what of whom", () => {
  expect(inEnglish(base)).toBe("Adds 5 to 活动积分 (1001) of 12,345 players of 捕鱼集群.");
  expect(inChinese(base)).toBe("给捕鱼集群的 12,345 名玩家的活动积分 (1001) 增加 5。");
});

it("says one player, several counters, and amounts beyond 2^53", () => {
  const eids = [points, { eid: 1002, name: "", unit: "" }];
  const intent: Intent = { ...base, mode: "set", amount: 9_223_372_036_854_775_807n, rows: 1, eids };
  expect(inEnglish(intent)).toBe("Sets 活动积分 (1001) and 1002 of 1 player of 捕鱼集群 to 9,223,372,036,854,775,807.");
  expect(inChinese(intent)).toBe("将捕鱼集群的 1 名玩家的活动积分 (1001)和1002 设为 9,223,372,036,854,775,807。");
});

it("names the unit where all counters have the same", () => {
  const gold = { eid: 1, name: "Gold", unit: "coins" };
  expect(inEnglish({ ...base, mode: "dec", eids: [gold] })).toContain("Takes 5 coins from Gold (1)");
  expect(inEnglish({ ...base, mode: "dec", eids: [gold, points] })).toContain("Takes 5 from");
});

it("says where the amounts stand", () => {
  expect(inEnglish({ ...base, amounts: "column", column: "数量", amount: null })).toContain("column “数量”");
  expect(inChinese({ ...base, amounts: "perEid", amount: null })).toContain("各自的列");
});

it("says of a query that nothing is changed", () => {
  expect(inEnglish({ ...base, mode: null, amount: null })).toBe(
    "Reads 活动积分 (1001) of 12,345 players of 捕鱼集群. Nothing is changed.",
  );
  expect(inChinese({ ...base, mode: null, amount: null })).toContain("不做任何修改");
});

it("says nothing while something is missing", () => {
  expect(inEnglish({ ...base, amount: null })).toBeNull();
  expect(inEnglish({ ...base, eids: [] })).toBeNull();
  expect(inEnglish({ ...base, cluster: "" })).toBeNull();
  expect(inEnglish({ ...base, rows: 0 })).toBeNull();
});
